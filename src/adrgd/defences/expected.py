"""The mean of a random network over a fixed number of draws: a fixed function, with its gradient."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from adrgd.defences.common import CommonDraws
from adrgd.objective import Asked
from adrgd.settings import as_count, as_integer

Purpose = Literal["search", "judge"]

APART = {"search": 0, "judge": 2**20}
"""Numbers of the first draws, so that those that judge are fresh."""


class Expected(nn.Module):
    """The mean logits of a random network over `draws` draws (expectation over transformation, Athalye et al. 2018).

    The draws are the same at every call, and the same for every row (common random numbers): the mean is a fixed
    function of each row, of which two points can be compared, and its gradient is the mean of the draws' gradients.
    torch's, NumPy's and Python's own random numbers are set for each draw, and put back afterwards. Generators of a
    network's own are out of reach.

    Args:
        model: takes (B, ...), returns logits (B, C), from random numbers that follow those generators.
        draws: how many; a call costs so many passes.
        seed: of all of them.
        purpose: "judge" for other draws than those of "search".

    Examples:
        >>> import adrgd, torch
        >>> from adrgd.defences import Expected, Noisy
        >>> model = Expected(Noisy(adrgd.load_model("bundled:mnist-pgd").module, 0.1), draws=4)
        >>> x = torch.zeros(3, 1, 28, 28)
        >>> bool((model(x) == model(x)).all()), torch.allclose(model(x)[:1], model(x[:1]), atol=1e-5)
        (True, True)
    """

    def __init__(
        self, model: Callable[[Tensor], Tensor], draws: int = 20, seed: int = 0, purpose: Purpose = "search"
    ) -> None:
        super().__init__()
        self.model = model
        self.draws, self.seed, self.purpose = as_count(draws, "draws"), as_integer(seed, "seed"), purpose
        self.training = False

    def forward(self, x: Tensor) -> Tensor:
        return self._mean(x, self.model)

    @property
    def passes(self) -> int:
        """Of the network inside, that a call takes."""
        return self.draws

    @property
    def furthest(self) -> Asked | None:
        """See `adrgd.objective.asked`."""
        inner: Asked | None = getattr(self.model, "furthest", None)
        if inner is None:
            return None
        return lambda x, label, targeted: self._mean(x, lambda x: inner(x, label, targeted))

    def each(self, x: Tensor, ask: Callable[[Tensor], Tensor] | None = None) -> Tensor:
        """The logits (draws, B, C) of every draw, or what `ask` returns in it, without gradients."""
        with torch.no_grad():
            return torch.stack(list(self._drawn(x, ask or self.model)))

    def other(self, draws: int, purpose: Purpose = "judge") -> Expected:
        """The same network's mean over other draws."""
        return Expected(self.model, draws, self.seed, purpose)

    def _mean(self, x: Tensor, ask: Callable[[Tensor], Tensor]) -> Tensor:
        drawn = self._drawn(x, ask)
        total = next(drawn)
        for logits in drawn:
            total = total + logits
        return total / self.draws

    def _drawn(self, x: Tensor, ask: Callable[[Tensor], Tensor]) -> Iterator[Tensor]:
        for draw in range(self.draws):
            with seeded(self.seed * 2**24 + APART[self.purpose] + draw, x.device), CommonDraws(len(x)):
                logits = ask(x.clone())
            yield logits


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """While active, torch, NumPy and Python draw the numbers of a seed; afterwards they go on as before."""
    numbers, python = np.random.get_state(), random.getstate()
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed % 2**63)
        np.random.seed(seed % 2**32)
        random.seed(seed)
        try:
            yield
        finally:
            np.random.set_state(numbers)
            random.setstate(python)


def passes_of(model: object) -> int:
    """What one call of a model costs, in passes of the network inside."""
    found = 1
    while isinstance(model, nn.Module):
        found *= int(getattr(model, "passes", 1))
        inner = getattr(model, "model", None)
        if inner is model:
            break
        model = inner
    return found
