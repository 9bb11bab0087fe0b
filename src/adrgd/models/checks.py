"""Check that a model is a fixed function of each row of a batch, which is what optimising its inputs needs."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from adrgd.errors import ModelError

REPEAT_EPSILONS = 100
"""How far two calls on the same batch may differ, in units of the type's precision."""

BATCH_EPSILONS = 1000
"""How far a row alone may differ from the row in a batch: sums run in another order there."""

GPU_TOLERANCE = 1e-2
"""The same on a GPU, where convolutions may round to TF32, in a way that depends on the size of the batch."""


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
            f"expected a model that returns a tensor of logits, found {type(logits).__name__}; wrap it so that it does"
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
