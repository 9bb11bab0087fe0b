"""Check that a model is a fixed function of each row of a batch, which is what optimising its inputs needs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from adrgd.errors import AdrgdError, ModelError, UsageError
from adrgd.models.program import relative_gap
from adrgd.modes import check_mode

REPEAT_EPSILONS = 100
"""How far two calls on the same batch may differ, in units of the type's precision."""

BATCH_EPSILONS = 1000
"""How far a row alone may differ from the row in a batch: sums run in another order there."""

GPU_TOLERANCE = 1e-2
"""The same on a GPU, where convolutions may round to TF32, in a way that depends on the size of the batch."""

ANY_SIZE = "it takes several rows: let it take batches of any size, since rows are dropped when they are done"
CHANNELS = (1, 3, 4)
SUM = 1e-3
"""How far the probabilities of one row may be from a sum of 1."""


def check_model(module: nn.Module, x: Tensor, known: Tensor | None = None) -> None:
    """Run a model up to three times on a batch, and raise an error if its inputs cannot be optimised row by row.

    Args:
        module: takes (B, ...) and returns logits (B, C).
        x: a batch (B, ...) of at least two rows, on the device and of the type of the module.
        known: (B, C) what a call on these rows has returned, among others or not, which saves one.

    Raises:
        ModelError: a part of it is in train mode; it cannot take the batch; its logits are not (B, C) with C >= 2,
            not floating-point or not finite; two calls differ; or a row's logits depend on the other rows.
        UsageError: the batch has fewer than two rows.
    """
    if x.ndim < 2 or x.shape[0] < 2:
        raise UsageError(
            f"expected a batch of at least two rows to check the model with, found shape {tuple(x.shape)}; pass more"
        )
    check_mode(module)
    with torch.no_grad():
        logits = answer(module, x)
        _check_logits(logits, x)
        epsilon = _precision(module, x, logits)
        repeated = known is not None and relative_gap(known, logits) <= REPEAT_EPSILONS * epsilon
        again = known if repeated and known is not None else answer(module, x)
        alone = answer(module, x[:1], advice=ANY_SIZE)
    gap = relative_gap(again, logits)
    if gap > REPEAT_EPSILONS * epsilon:
        raise ModelError(
            f"expected the same logits from two calls on the same batch, found a difference of {gap:.2g} of the "
            "largest; remove the randomness (noise, dropout, random crops) from the model, or attack its mean over "
            "draws by eot"
        )
    others = {"the first row is alone": (alone, logits[:1])}
    if known is not None:
        others["fewer rows are with it"] = (logits, known)
    for when, (found, expected) in others.items():
        gap = relative_gap(found, expected)
        if gap > max(BATCH_EPSILONS * epsilon, GPU_TOLERANCE if x.is_cuda else 0.0):
            raise ModelError(
                f"expected a row's logits not to depend on the rest of its batch, found a difference of {gap:.2g} of "
                f"the largest when {when}; remove what mixes rows, such as batch statistics"
            )


def probe(images: Tensor) -> Tensor:
    """At most eight of some images (B, ...), and at least two rows, to look at a model with."""
    rows = images[:8]
    return rows if len(rows) > 1 else rows.repeat_interleave(2, 0)


def answer(model: Callable[[Tensor], Any], x: Tensor, *, advice: str = "pass what it was trained on") -> Tensor:
    """What a model makes of a batch x (B, ...).

    Args:
        advice: what to do if it fails.

    Raises:
        ModelError: it fails, or returns no tensor.
    """
    try:
        logits = model(x)
    except AdrgdError:
        raise
    except Exception as error:  # whatever somebody's own code comes upon
        if "memory" in str(error):
            raise  # it has nothing to do with what the model was given
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ModelError(
            f"expected a model that takes a batch of shape {tuple(x.shape)} and type {x.dtype}, found that it fails "
            f"({reason}); {advice}{layout(x, reason)}"
        ) from error
    if not isinstance(logits, Tensor):
        raise ModelError(
            f"expected a model that returns a tensor of logits, found {type(logits).__name__}; wrap it so that it "
            "does, or name one of several outputs by output="
        )
    return logits


def layout(x: Tensor, reason: str = "") -> str:
    """What it may be due to that a model fails on images (B, ...), for a reason of torch's; "" if nothing is known."""
    shape = tuple(x.shape)
    if len(shape) == 4 and shape[3] in CHANNELS and shape[1] not in CHANNELS:
        return ": (B, channels, height, width) is usual, which images.permute(0, 3, 1, 2) makes of these"
    if len(shape) == 3 and shape[0] in CHANNELS:
        return ": a single image needs a batch dimension, images[None]"
    if x.dim() > 2 and reason.startswith("mat1 and mat2 shapes"):
        return ": one that takes rows of numbers needs a Flatten in front, or ?layout=flat behind its name"
    return ""


def scale_of(logits: Tensor) -> str | None:
    """ "softmax", "log-softmax" or "sigmoid" where logits (B, C) look as if they had passed one; None otherwise."""
    x = logits.detach().double()
    if (x >= 0).all() and ((x.sum(1) - 1).abs() < SUM).all():
        return "softmax"
    if (x <= 0).all() and (x.logsumexp(1).abs() < SUM).all():
        return "log-softmax"
    return "sigmoid" if (x >= 0).all() and (x <= 1).all() and x.any() else None


def squashed(logits: Tensor) -> str:
    """A sentence about outputs that are probabilities; "" for others."""
    kind = scale_of(logits)
    if kind not in ("softmax", "sigmoid"):
        return ""
    return (
        f"the model's outputs are probabilities, as after a {kind}, where logits are expected: losses made for logits "
        "fade on them and attacks fail; let the model return what enters it"
    )


def _precision(module: nn.Module, *tensors: Tensor) -> float:
    """The unit of the coarsest type that takes part."""
    own = (t for t in (*module.parameters(), *module.buffers(), *tensors) if t.is_floating_point())
    return max(torch.finfo(t.dtype).eps for t in own)


def _check_logits(logits: Tensor, x: Tensor) -> None:
    found = f"{logits.dtype} of shape {tuple(logits.shape)}"
    if not logits.is_floating_point() or logits.ndim != 2 or logits.shape[0] != x.shape[0] or logits.shape[1] < 2:
        raise ModelError(
            f"expected floating-point logits of shape ({x.shape[0]}, C) with at least two classes C, found {found}; "
            "wrap the model so that it returns them"
        )
    bad = (~torch.isfinite(logits)).any(dim=1).nonzero()
    if len(bad):
        raise ModelError(
            f"expected finite logits, found NaN or infinity in row {int(bad[0])} of the batch; check the model's "
            "weights and the range of its inputs"
        )
