"""Train the two bundled MNIST classifiers: one on clean images, one on PGD adversarial examples (eps .25).

    python experiments/bundled_nets/train.py MNIST_FOLDER --kind clean --out mnist-clean.safetensors
    python experiments/bundled_nets/train.py MNIST_FOLDER --kind pgd --out mnist-pgd.safetensors

MNIST_FOLDER holds the four IDX files. The schedule, the seed and the measured accuracies are written beside the weights
as JSON. Stopped in the middle, the same command goes on after the last finished epoch.
"""

import argparse
import json
import os
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from rich.progress import track
from safetensors.torch import save_file

from adrgd.models.mnist import mnist_cnn

EPS, STEPS, BATCH, PEAK_RATE = 0.25, 10, 128, 2e-3
EPOCHS = {"clean": 6, "pgd": 12}


def load(folder: Path, split: str) -> tuple[torch.Tensor, torch.Tensor]:
    pixels = np.fromfile(folder / f"{split}-images-idx3-ubyte", np.uint8)[16:].reshape(-1, 1, 28, 28)
    labels = np.fromfile(folder / f"{split}-labels-idx1-ubyte", np.uint8)[8:]
    return torch.from_numpy(pixels).float() / 255, torch.from_numpy(labels).long()


def pgd(model: torch.nn.Module, x: torch.Tensor, y: torch.Tensor, eps: float, steps: int) -> torch.Tensor:
    """Sign ascent on cross-entropy from a random start, the step such that the whole ball is crossed 1.25 times."""
    low, high = (x - eps).clamp_min(0), (x + eps).clamp_max(1)
    z = torch.lerp(low, high, torch.rand_like(x))
    for _ in range(steps):
        z.requires_grad_(True)
        (grad,) = torch.autograd.grad(F.cross_entropy(model(z), y), z)
        z = torch.minimum(torch.maximum(z.detach() + 2.5 * eps / steps * grad.sign(), low), high)
    return z


def accuracy(model: torch.nn.Module, x: torch.Tensor, y: torch.Tensor, eps: float = 0.0) -> float:
    right = 0
    for at in range(0, len(x), 500):
        a, b = x[at : at + 500], y[at : at + 500]
        a = pgd(model, a, b, eps, 20) if eps else a
        with torch.no_grad():
            right += int((model(a).argmax(1) == b).sum())
    return right / len(x)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--kind", choices=sorted(EPOCHS), required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()

    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    images, labels = load(args.folder, "train")
    model = mnist_cnn()
    optimiser = torch.optim.Adam(model.parameters())
    epochs, batches = EPOCHS[args.kind], len(images) // BATCH
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, PEAK_RATE, total_steps=epochs * batches)
    checkpoint = args.out.with_suffix(".checkpoint")
    first, seconds = 0, 0.0
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        for part, name in ((model, "model"), (optimiser, "optimiser"), (schedule, "schedule")):
            part.load_state_dict(state[name])
        first, seconds = state["epoch"], state["seconds"]
        torch.set_rng_state(state["random"])

    for epoch in range(first, epochs):
        began, running = time.perf_counter(), 0.0
        order = torch.randperm(len(images))
        for i in track(range(batches), description=f"epoch {epoch + 1} of {epochs}"):
            index = order[i * BATCH : (i + 1) * BATCH]
            x, y = images[index], labels[index]
            if args.kind == "pgd":  # the radius grows over the first two epochs, or training gets stuck at a constant
                x = pgd(model, x, y, EPS * min(1.0, (epoch * batches + i) / (2 * batches)), STEPS)
            loss = F.cross_entropy(model(x), y)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            running += loss.item()
        seconds += time.perf_counter() - began
        print(f"epoch {epoch + 1}: mean loss {running / batches:.4f}, {seconds:.0f} s", flush=True)
        state = {"model": model.state_dict(), "optimiser": optimiser.state_dict(), "schedule": schedule.state_dict()}
        state |= {"epoch": epoch + 1, "seconds": seconds, "random": torch.get_rng_state()}
        torch.save(state, checkpoint.with_suffix(".tmp"))
        os.replace(checkpoint.with_suffix(".tmp"), checkpoint)

    x, y = load(args.folder, "t10k")
    torch.manual_seed(args.seed)
    facts = {
        "kind": args.kind,
        "seed": args.seed,
        "epochs": epochs,
        "seconds": round(seconds),
        "clean": accuracy(model, x, y),
    }
    facts |= {f"pgd20_eps_{eps}": accuracy(model, x[:1000], y[:1000], eps) for eps in (0.1, 0.2, 0.25, 0.3)}
    save_file(model.state_dict(), args.out)
    args.out.with_suffix(".json").write_text(json.dumps(facts, indent=2) + "\n")
    print(json.dumps(facts, indent=2))


if __name__ == "__main__":
    main()
