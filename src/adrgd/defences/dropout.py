"""Dropout left on, as in Monte Carlo dropout and stochastic activation pruning, while all else stays in eval mode."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.dropout import _DropoutNd

from adrgd.errors import ModelError

KINDS: dict[type[nn.Module], Callable[..., Tensor]] = {
    nn.Dropout: F.dropout, nn.Dropout1d: F.dropout1d, nn.Dropout2d: F.dropout2d, nn.Dropout3d: F.dropout3d,
}  # fmt: skip


class DropoutOn(nn.Module):
    """A network whose dropout layers drop at every call, although it is in eval mode.

    Args:
        model: a module in eval mode; it is not changed.

    Raises:
        ModelError: it has no dropout layer that can be left on.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.training = False
        parts = model.modules() if isinstance(model, nn.Module) else ()
        self.layers = [part for part in parts if isinstance(part, _DropoutNd) and type(part) in KINDS and part.p > 0]
        if not self.layers:
            raise ModelError(
                "expected dropout layers (nn.Dropout, nn.Dropout1d, 2d, 3d with p above 0) to leave on, found none; "
                "dropout that a model calls as a function has to be turned on by the model itself"
            )

    def forward(self, x: Tensor) -> Tensor:
        hooks = [part.register_forward_hook(_dropped) for part in self.layers]
        try:
            logits: Tensor = self.model(x)
        finally:
            for hook in hooks:
                hook.remove()
        return logits


def _dropped(module: Any, args: tuple[Tensor, ...], answer: Tensor) -> Tensor:
    return KINDS[type(module)](answer, module.p, True)
