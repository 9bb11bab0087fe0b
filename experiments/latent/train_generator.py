"""Train the bundled MNIST generator: the decoder of a variational autoencoder (Kingma & Welling 2014).

    python experiments/latent/train_generator.py MNIST_FOLDER --out mnist-vae.safetensors

MNIST_FOLDER holds the four IDX files. The seed and what was measured on the test images are written beside
the weights as JSON. Stopped in the middle, the same command goes on after the last finished epoch.
"""

import argparse
import json
import os
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from rich.progress import track
from safetensors.torch import save_file
from torch import Tensor, nn

from adrgd import load_data
from adrgd.models.mnist import mnist_decoder

BATCH, PEAK_RATE, EPOCHS, CODE = 128, 2e-3, 60, 20


class Autoencoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        layers = nn.Flatten(), nn.Linear(784, 400), nn.ReLU(), nn.Linear(400, 200), nn.ReLU(), nn.Linear(200, 2 * CODE)
        self.encoder, self.decoder = nn.Sequential(*layers), mnist_decoder()

    def logits(self, z: Tensor) -> Tensor:
        """Without the last sigmoid, for a cross-entropy that does not overflow."""
        return self.decoder[:-2](z)

    def loss(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """The negative evidence bound and its divergence term, in nats an image."""
        mean, log_variance = self.encoder(images).chunk(2, 1)
        z = mean + (log_variance / 2).exp() * torch.randn_like(mean)
        error = F.binary_cross_entropy_with_logits(self.logits(z), images.flatten(1), reduction="sum") / len(images)
        divergence = (mean.square() + log_variance.exp() - 1 - log_variance).sum() / (2 * len(images))
        return error + divergence, divergence


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()

    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    images = load_data(f"mnist:{args.folder}?split=train").images
    model, batches = Autoencoder(), len(images) // BATCH
    optimiser = torch.optim.Adam(model.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, PEAK_RATE, total_steps=EPOCHS * batches)
    checkpoint = args.out.with_suffix(".checkpoint")
    first, seconds = 0, 0.0
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        for part, name in ((model, "model"), (optimiser, "optimiser"), (schedule, "schedule")):
            part.load_state_dict(state[name])
        first, seconds = state["epoch"], state["seconds"]
        torch.set_rng_state(state["random"])

    for epoch in range(first, EPOCHS):
        began, running = time.perf_counter(), 0.0
        order = torch.randperm(len(images))
        for i in track(range(batches), description=f"epoch {epoch + 1} of {EPOCHS}"):
            loss, _ = model.loss(images[order[i * BATCH : (i + 1) * BATCH]])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            running += loss.item()
        seconds += time.perf_counter() - began
        print(f"epoch {epoch + 1}: mean loss {running / batches:.2f}, {seconds:.0f} s", flush=True)
        state = {"model": model.state_dict(), "optimiser": optimiser.state_dict(), "schedule": schedule.state_dict()}
        state |= {"epoch": epoch + 1, "seconds": seconds, "random": torch.get_rng_state()}
        torch.save(state, checkpoint.with_suffix(".tmp"))
        os.replace(checkpoint.with_suffix(".tmp"), checkpoint)

    held_out = load_data(f"mnist:{args.folder}").images
    torch.manual_seed(args.seed)
    with torch.no_grad():
        loss, divergence = model.loss(held_out)
        decoded = model.decoder(model.encoder(held_out).chunk(2, 1)[0])
    facts = {
        "seed": args.seed,
        "epochs": EPOCHS,
        "seconds": round(seconds),
        "test_loss_nats": round(loss.item(), 2),
        "test_divergence_nats": round(divergence.item(), 2),
        "test_mse_through_the_encoder": round(F.mse_loss(decoded, held_out).item(), 5),
    }
    save_file(model.decoder.state_dict(), args.out)
    args.out.with_suffix(".json").write_text(json.dumps(facts, indent=2) + "\n")
    print(json.dumps(facts, indent=2))


if __name__ == "__main__":
    main()
