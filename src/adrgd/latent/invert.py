"""Find the codes whose images agree with what was measured (Bora et al. 2017): least ||A(G(z)) - y||^2 over z."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from adrgd.domain import Domain, Everywhere
from adrgd.errors import DataError, ModelError, UsageError
from adrgd.latent.operators import Identity, Operator
from adrgd.latent.solvers import latent_solver
from adrgd.maximize import maximize
from adrgd.modes import check_mode
from adrgd.rows import RowRandom
from adrgd.shown import Shown
from adrgd.solvers import Solver

Generator = Callable[[Tensor], Tensor]
"""Codes (B, ...) -> images (B, C, H, W) in [0, 1], row by row."""

SLACK = 0.01  # how far outside [0, 1] a generator's images may lie


@dataclass(frozen=True, repr=False)
class Reconstruction(Shown):
    """One entry a target.

    Attributes:
        z: (B, ...) the best codes found.
        images: (B, C, H, W) what the generator makes of them.
        measured: (B, ...) what they were asked to agree with.
        residual: (B,) mean squared difference from it.
        error: (B,) mean squared difference between the images and the targets; None where the targets are not known.
        forwards, backwards: (B,) passes, restarts together.
        history: (steps + 1, B) the least residual so far, with the prior's term if there is one.
        seconds: wall time.
    """

    z: Tensor
    images: Tensor
    measured: Tensor
    residual: Tensor
    error: Tensor | None
    forwards: Tensor
    backwards: Tensor
    history: Tensor
    seconds: float


def reconstruct(
    generator: Generator, target: Tensor, *, operator: Operator | None = None, **how: Any
) -> Reconstruction:
    """Measure the targets (B, C, H, W) in [0, 1] by `operator`, and find the codes that explain the measurements.

    Takes the further arguments of `invert`.

    Raises:
        DataError: the targets leave [0, 1], or have not the shape of the generator's images.
        UsageError: the operator does not fit them.
        ModelError: see `invert`.
    """
    if target.dim() != 4 or not target.is_floating_point() or not len(target):
        raise DataError(
            f"expected targets as floating-point images (B, C, H, W), found {target.dtype} of shape "
            f"{tuple(target.shape)}; convert them"
        )
    low, high = float(target.min()), float(target.max())
    if not (low >= -1e-6 and high <= 1 + 1e-6):  # false for NaN as well
        raise DataError(f"expected targets in [0, 1], found values from {low:g} to {high:g}; rescale them")
    operator = operator or Identity()
    found = invert(generator, measure(operator, target), operator=operator, image_shape=tuple(target.shape[1:]), **how)
    error = (found.images - target).square().flatten(1).mean(1)
    return Reconstruction(**{**vars(found), "error": error})


def invert(
    generator: Generator,
    measured: Tensor,
    *,
    operator: Operator | None = None,
    solver: Solver | str = "graduated",
    restarts: int = 1,
    steps: int = 200,
    domain: Domain | None = None,
    prior: float = 0.0,
    code: int | tuple[int, ...] | None = None,
    start: Tensor | None = None,
    seed: int = 0,
    identity: Tensor | None = None,
    image_shape: tuple[int, ...] | None = None,
) -> Reconstruction:
    """Find codes whose images, measured by `operator`, agree with `measured` (B, ...).

    Args:
        generator: codes -> images in [0, 1]; a module in eval mode, a `Model`, or any callable.
        operator: what was measured; the whole image unless given.
        solver: a solver, or a name: "graduated", graduated gates under Adam steps; "adam", "gd", "adr"; any other of
            `adrgd list`.
        restarts: runs a target, from codes of their own; the best is kept.
        domain: where codes may be, e.g. `L2Ball(torch.zeros(20), 5.0)` or `Box(-3, 3)`; everywhere unless given.
        prior: the weight of ||z||^2, which is added to the sum of squares.
        code: shape of one code; found from a module's first Linear layer unless given.
        start: (B, ...) where the first runs begin; drawn from the standard normal distribution unless given.
        seed: of starts and solver.
        identity: (B,) integers that name the targets, so that a result does not depend on the batch.
        image_shape: (C, H, W) that the images must have.

    Raises:
        ModelError: the generator is in train mode, random, mixes the rows of a batch, fails, or its images are not
            in [0, 1] or of another shape.
        UsageError: the operator does not fit its images, or a setting makes no sense.

    Examples:
        >>> import adrgd, torch
        >>> generator = adrgd.load_model("bundled:mnist-vae")
        >>> found = adrgd.latent.invert(generator, generator(torch.zeros(1, 20)), steps=60)
        >>> found.z.shape, bool(found.residual < 0.01)
        (torch.Size([1, 20]), True)
    """
    began = time.perf_counter()
    if prior < 0:
        raise UsageError(f"the prior's weight must not be negative, found {prior}")
    operator = operator or Identity()
    if isinstance(module := getattr(generator, "module", generator), nn.Module):
        check_mode(module)
    count = len(measured)
    identity = torch.arange(count) if identity is None else identity
    shape = code_shape(generator) if code is None else (code,) if isinstance(code, int) else code
    if start is None:
        start = RowRandom.seeded(seed, identity).normal(shape, "code", dtype=measured.dtype).to(measured)
    _check_images(generator, start, operator, measured, image_shape)

    def agreement(z: Tensor, rows: Tensor) -> Tensor:
        difference = operator(generator(z)) - measured[rows]
        value = -difference.square().flatten(1).sum(1)
        return value - prior * z.square().flatten(1).sum(1) if prior else value

    solution = maximize(
        agreement, start, domain=domain or Everywhere(), solver=latent_solver(solver), steps=steps, restarts=restarts,
        seed=seed, identity=identity, history=True,
    )  # fmt: skip
    with torch.no_grad():
        images = generator(solution.x)
        residual = (operator(images) - measured).square().flatten(1).mean(1)
    history = solution.history if solution.history is not None else solution.value[None]
    return Reconstruction(
        z=solution.x, images=images, measured=measured, residual=residual, error=None, forwards=solution.forwards,
        backwards=solution.backwards, history=-history / measured[0].numel(), seconds=time.perf_counter() - began,
    )  # fmt: skip


def measure(operator: Operator, images: Tensor) -> Tensor:
    """What the operator sees of images (B, C, H, W).

    Raises:
        UsageError: it does not fit them, or does not keep the rows apart.
    """
    try:
        with torch.no_grad():
            seen = operator(images)
    except (RuntimeError, TypeError, ValueError, IndexError) as error:
        if isinstance(error, UsageError):
            raise
        raise UsageError(
            f"the operator does not fit images of shape {tuple(images.shape[1:])} ({str(error).splitlines()[0]}); "
            "choose another"
        ) from error
    if not isinstance(seen, Tensor) or seen.shape[:1] != images.shape[:1]:
        raise UsageError("the operator must return a tensor with one row an image; choose another")
    return seen


def code_shape(generator: Any) -> tuple[int, ...]:
    """The shape of one code of a generator.

    Raises:
        ModelError: it does not show.
    """
    if (known := getattr(generator, "input_shape", None)) is not None:
        return tuple(known)
    module = getattr(generator, "module", generator)
    parts = module.modules() if isinstance(module, nn.Module) else ()
    for part in parts:
        if isinstance(part, nn.Linear):
            return (part.in_features,)
        if isinstance(part, nn.Conv2d | nn.ConvTranspose2d):
            return (part.in_channels, 1, 1)
    raise ModelError("the shape of the generator's codes does not show; say it by code=64, or --code 64")


def _check_images(
    generator: Generator, start: Tensor, operator: Operator, measured: Tensor, shape: tuple[int, ...] | None
) -> None:
    try:
        with torch.no_grad():
            images = generator(start[:2])
    except (RuntimeError, TypeError, ValueError, IndexError) as error:
        if isinstance(error, ModelError):
            raise
        raise ModelError(
            f"the generator fails on codes of shape {tuple(start.shape[1:])} ({str(error).splitlines()[0]}); say the "
            "right shape by code=..."
        ) from error
    if not isinstance(images, Tensor) or images.dim() != 4:
        found = tuple(images.shape) if isinstance(images, Tensor) else type(images).__name__
        raise ModelError(f"the generator must return images (B, C, H, W), found {found}; wrap it so that it does")
    if shape is not None and tuple(images.shape[1:]) != shape:
        raise DataError(
            f"the generator makes images of shape {tuple(images.shape[1:])}, but the targets have {shape}; resize "
            "them, or convert their channels"
        )
    low, high = float(images.min()), float(images.max())
    if not (low >= -SLACK and high <= 1 + SLACK):
        raise ModelError(
            f"the generator's images must lie in [0, 1], found values from {low:g} to {high:g}; wrap it, e.g. "
            "(output + 1) / 2 behind a tanh, which --span -1 1 does"
        )
    expected = tuple(measured.shape[1:])
    if tuple(measure(operator, images).shape[1:]) != expected:
        raise UsageError(
            f"the operator turns the generator's images into shape {tuple(measure(operator, images).shape[1:])}, but "
            f"the measurements have {expected}; use the operator that made them"
        )
