"""Inputs rounded to a few levels, which leaves no gradient (feature squeezing, Xu et al. 2018)."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from adrgd.errors import UsageError


class Rounded(nn.Module):
    """A network behind inputs in [0, 1] that are rounded to so many levels.

    Raises:
        UsageError: fewer than two levels.
    """

    def __init__(self, model: Callable[[Tensor], Tensor], levels: int) -> None:
        super().__init__()
        if levels < 2:
            raise UsageError(f"expected at least two levels to round to, found {levels}; correct it")
        self.model, self.levels = model, levels
        self.training = False

    def forward(self, x: Tensor) -> Tensor:
        return self.model((x * (self.levels - 1)).round() / (self.levels - 1))
