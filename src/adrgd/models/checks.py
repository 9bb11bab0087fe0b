"""Check that a model is a fixed function of each row of a batch, which is what optimising its inputs needs."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from adrgd.errors import ModelError, UsageError
from adrgd.models.program import relative_gap
from adrgd.modes import check_mode

REPEAT_EPSILONS = 100
"""How far two calls on the same batch may differ, in units of the type's precision."""

BATCH_EPSILONS = 1000
"""How far a row alone may differ from the row in a batch: sums run in another order there."""

GPU_TOLERANCE = 1e-2
"""The same on a GPU, where convolutions may round to TF32, in a way that depends on the size of the batch."""


def check_model(module: nn.Module, x: Tensor) -> None:
    """Run a model up to three times on a batch, and raise an error if its inputs cannot be optimised row by row.

    Args:
        module: takes (B, ...) and returns logits (B, C).
        x: a batch (B, ...) of at least two rows, on the device and of the type of the module.

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
        logits = _call(module, x)
        _check_logits(logits, x)
        again, alone = _call(module, x), _call(module, x[:1])
    epsilon = torch.finfo(logits.dtype).eps
    gap = relative_gap(again, logits)
    if gap > REPEAT_EPSILONS * epsilon:
        raise ModelError(
            f"expected the same logits from two calls on the same batch, found a difference of {gap:.2g} of the "
            "largest; remove the randomness (noise, dropout, random crops) from the model"
        )
    gap = relative_gap(alone, logits[:1])
    if gap > max(BATCH_EPSILONS * epsilon, GPU_TOLERANCE if x.is_cuda else 0.0):
        raise ModelError(
            f"expected a row's logits not to depend on the rest of its batch, found a difference of {gap:.2g} of the "
            "largest when the first row is alone; remove what mixes rows, such as batch statistics"
        )


def _call(module: nn.Module, x: Tensor) -> Tensor:
    try:
        logits = module(x)
    except ModelError:
        raise
    except (RuntimeError, TypeError, ValueError, IndexError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ModelError(
            f"expected a model that takes a batch of shape {tuple(x.shape)} and type {x.dtype}, found that it fails "
            f"({reason}); pass what it was trained on"
        ) from error
    if not isinstance(logits, Tensor):
        raise ModelError(
            f"expected a model that returns a tensor of logits, found {type(logits).__name__}; wrap it so that it "
            "does, or name one of several outputs with ?output="
        )
    return logits


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
