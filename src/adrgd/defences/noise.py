"""Noise on the input, or inside."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from adrgd.errors import ModelError, UsageError


class Noisy(nn.Module):
    """A network with Gaussian noise, drawn anew at every call, on its input or on what some of its modules return.

    Args:
        model: takes (B, ...), returns logits (B, C).
        sigma: the noise's standard deviation.
        at: names of modules whose answers are disturbed, instead of the input.

    Raises:
        UsageError: sigma is not positive.
        ModelError: there is no module of such a name.
    """

    def __init__(self, model: Callable[[Tensor], Tensor], sigma: float, at: tuple[str, ...] = ()) -> None:
        super().__init__()
        if not sigma > 0:
            raise UsageError(f"expected a positive sigma of the noise, found {sigma}; correct it")
        self.model, self.sigma, self.at = model, float(sigma), (at,) if isinstance(at, str) else tuple(at)
        self.training = False
        parts = dict(model.named_modules()) if isinstance(model, nn.Module) else {}
        if missing := [name for name in self.at if name not in parts]:
            raise ModelError(
                f"expected modules of the model to put noise at, found no {', '.join(missing)}; it has "
                f"{', '.join(name for name in parts if name) or 'none'}"
            )
        self.parts = [parts[name] for name in self.at]

    def forward(self, x: Tensor) -> Tensor:
        if not self.at:
            return self.model(self._disturbed(x))
        hooks = [part.register_forward_hook(self._after) for part in self.parts]
        try:
            return self.model(x)
        finally:
            for hook in hooks:
                hook.remove()

    def _after(self, module: nn.Module, args: Any, answer: Tensor) -> Tensor:
        return self._disturbed(answer)

    def _disturbed(self, x: Tensor) -> Tensor:
        return x + self.sigma * torch.randn_like(x)
