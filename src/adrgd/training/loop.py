"""The training loop. Each update depends on its number and on the state before it, and on nothing else.

So a run that was stopped anywhere goes on to the same weights, to the bit (on one machine's processor).

    config.yaml         everything that decides the result
    checkpoint.pt       the last state
    model.safetensors   the weights, once finished
    summary.json
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors.torch import save as serialise
from torch import Tensor, nn

from adrgd.data import Images, load_data
from adrgd.domain import Box, LinfBall
from adrgd.errors import AdrgdError, ModelError, UsageError, warn
from adrgd.given import check_classes
from adrgd.maximize import maximize
from adrgd.models import new_model
from adrgd.models.checks import answer, probe
from adrgd.models.normalise import inside
from adrgd.objective import Misclassify
from adrgd.rows import RowRandom
from adrgd.runs import Run, open_run
from adrgd.solution import Solution
from adrgd.solvers import PGD, Solver
from adrgd.training.augment import AUGMENT
from adrgd.training.checkpoint import State, load, save
from adrgd.training.config import Training

RISE = 0.3  # share of the run over which the rate rises
EVERY = 60.0  # seconds between checkpoints
TEST_STEPS, TEST_BATCH = 20, 250

Advance = Callable[[int, int, float], None]
"""Told the number of updates made, of how many, and the last loss."""


def train(
    training: Training,
    out: Path,
    *,
    device: str = "cpu",
    resume: bool = False,
    every: float = EVERY,
    advance: Advance | None = None,
) -> dict[str, Any]:
    """Train a classifier, save it under `out`, and return the summary.

    Args:
        every: seconds between checkpoints.

    Raises:
        UsageError: model and images do not belong together.
        RunFolderError: `out` holds another run, or is damaged.
        AdrgdError: the loss stopped being finite.
    """
    images = load_data(training.data, limit=training.limit)
    test = load_data(training.test, limit=training.test_limit)
    model = new_model(training.model, seed=training.seed, device=device)
    _check_images(images, test, model.input_shape, training)
    _check_labels(model.module, images, test, device)
    config = asdict(training) | {"device": device}
    known = training.test == training.data
    if known:
        warn(
            f"{training.data} has no test images: the network is judged on those that it learns from, which says "
            "little of others; name test images to judge it by"
        )
    with open_run(out, config, resume=resume) as folder:
        optimiser = torch.optim.Adam(model.module.parameters())
        state = load(folder, model.module, optimiser)
        with torch.random.fork_rng(devices=[]):
            _run(training, images, model.module, optimiser, state, folder, every, advance)
        module = model.module.eval()
        weights = {name: value.cpu().contiguous() for name, value in inside(module).state_dict().items()}
        folder.write_bytes("model.safetensors", serialise(weights))
        clean, robust = accuracy(module, test, training.eps, device)
        summary = {
            "epochs": training.epochs,
            "losses": [round(loss, 6) for loss in state.losses],
            "clean_accuracy": clean,
            "robust_accuracy": robust,
            "test_images": len(test),
            "judged_on_training_images": known,
            "seconds": round(state.seconds, 1),
            "out": str(out),
            "config": config,
        } | folder.remarks()
        folder.write_text("summary.json", json.dumps(summary, indent=2) + "\n")
    return summary


def adversarial(
    module: nn.Module, x: Tensor, labels: Tensor, solver: Solver, *, eps: float, steps: int, seed: int, identity: Tensor
) -> Solution:
    """Raise the cross-entropy of images x (B, ...) in [0, 1] within linf eps; the module is in eval mode meanwhile."""
    was = module.training
    module.eval()  # batch statistics would mix the rows
    found = maximize(
        Misclassify(module, labels), x, domain=LinfBall(x, eps, Box(0.0, 1.0)), solver=solver, steps=steps, seed=seed,
        identity=identity, stop_at_goal=False, check=False,
    )  # fmt: skip
    module.train(was)
    return found


def accuracy(module: nn.Module, test: Images, eps: float, device: str = "cpu") -> tuple[float, float]:
    """The share classified correctly, clean and at every point that 20 steps of PGD visit."""
    right = standing = 0
    for start in range(0, len(test), TEST_BATCH):
        rows = slice(start, start + TEST_BATCH)
        x, labels, index = (part[rows].to(device) for part in (test.images, test.labels, test.index))
        with torch.no_grad():
            right += int((module(x).argmax(1) == labels).sum())
        found = adversarial(module, x, labels, PGD(), eps=eps, steps=TEST_STEPS, seed=0, identity=index)
        standing += int((~found.reached).sum())
    return right / len(test), standing / len(test)


def rate(step: int, total: int, peak: float) -> float:
    """The step size of one update: linear up to `peak`, then linear down to zero."""
    at = (step + 0.5) / total
    return peak * min(at / RISE, (1 - at) / (1 - RISE))


def order(count: int, epoch: int, seed: int) -> Tensor:
    """The images of an epoch, shuffled."""
    keys = RowRandom.seeded(seed, torch.arange(count) + epoch * count).uniform((), "order")
    return keys.argsort(stable=True)


def _run(
    training: Training,
    images: Images,
    module: nn.Module,
    optimiser: torch.optim.Optimizer,
    state: State,
    folder: Run,
    every: float,
    advance: Advance | None,
) -> None:
    size = min(training.batch_size, len(images))
    batches = len(images) // size
    total = batches * training.epochs
    began = saved = time.perf_counter()
    before = state.seconds
    shuffled, epoch_of_it = torch.empty(0), -1
    while state.step < total:
        epoch, batch = divmod(state.step, batches)
        if epoch != epoch_of_it:
            shuffled, epoch_of_it = order(len(images), epoch, training.seed), epoch
        rows = shuffled[batch * size : (batch + 1) * size]
        for group in optimiser.param_groups:
            group["lr"] = rate(state.step, total, training.rate)
        loss = _update(training, images, module, optimiser, rows, epoch=epoch, progress=state.step / batches)
        state.step += 1
        state.running += loss
        if batch == batches - 1:
            state.losses.append(state.running / batches)
            state.running = 0.0
        now = time.perf_counter()
        state.seconds = before + now - began
        if now - saved >= every or state.step == total:
            save(folder, state, module, optimiser)
            saved = now
        if advance is not None:
            advance(state.step, total, loss)


def _update(
    training: Training,
    images: Images,
    module: nn.Module,
    optimiser: torch.optim.Optimizer,
    rows: Tensor,
    *,
    epoch: int,
    progress: float,
) -> float:
    device = next(module.parameters()).device
    x, labels = images.images[rows].to(device), images.labels[rows].to(device)
    identity = (rows + epoch * len(images)).to(device)
    if training.augment is not None:
        x = AUGMENT[training.augment](x, RowRandom.seeded(training.seed, identity))
    if training.solver is not None:
        share = min(1.0, (progress + 1e-3) / training.warmup) if training.warmup else 1.0
        x = adversarial(
            module, x, labels, training.solver, eps=share * training.eps, steps=training.steps, seed=training.seed,
            identity=identity,
        ).x  # fmt: skip
    torch.manual_seed(training.seed + int(identity[0]))  # whatever a network draws while training, dropout say
    loss = F.cross_entropy(module(x), labels)
    optimiser.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    optimiser.step()
    found = loss.item()
    if not math.isfinite(found):
        raise AdrgdError(f"the loss is not finite in epoch {epoch + 1} ({found:g}); lower --learning-rate")
    return found


def _check_labels(module: nn.Module, images: Images, test: Images, device: str) -> None:
    """See that all labels are classes of the network, without moving its statistics."""
    mode = module.training
    module.eval()
    with torch.no_grad():
        logits = answer(module, probe(images.images).to(device))
    module.train(mode)
    if logits.dim() != 2:
        raise ModelError(f"the model must return logits of shape (B, classes), found {tuple(logits.shape)}")
    for part in (images, test):
        check_classes(part.labels, logits.shape[1])


def _check_images(images: Images, test: Images, shape: tuple[int, ...] | None, training: Training) -> None:
    for part, spec in ((images, training.data), (test, training.test)):
        found = tuple(part.images.shape[1:])
        if found != (shape or tuple(images.images.shape[1:])):
            raise UsageError(
                f"{training.model} takes inputs of shape {shape or tuple(images.images.shape[1:])}, but {spec} holds "
                f"images of shape {found}; choose a model and data that belong together"
            )
