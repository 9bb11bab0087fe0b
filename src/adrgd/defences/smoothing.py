"""Randomised smoothing (Cohen et al. 2019): the class that a network under Gaussian noise predicts most often."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist

import torch
from torch import Tensor, nn

from adrgd.defences.noise import Noisy
from adrgd.errors import UsageError


@dataclass(frozen=True)
class SmoothedPrediction:
    """(B,) each.

    Attributes:
        label: the class, -1 where the draws do not tell it at this confidence.
        radius: within which, in l2, the smoothed network has that class, at a confidence of 1 - alpha; 0 without one.
        share: of the draws that had the class.
    """

    label: Tensor
    radius: Tensor
    share: Tensor


class Smoothed(nn.Module):
    """A network under Gaussian noise, whose class is the one that most draws have.

    Called, it returns the logarithm of the mean of the probabilities over `draws` fresh draws, which has a gradient
    (soft smoothing, Salman et al. 2019). `certify` counts votes, as the theorem asks.

    Args:
        model: takes (B, ...), returns logits (B, C).
        sigma: the noise's standard deviation.
        draws: of a call.

    Raises:
        UsageError: sigma or draws are not positive.
    """

    def __init__(self, model: Callable[[Tensor], Tensor], sigma: float, draws: int = 16) -> None:
        super().__init__()
        if draws < 1:
            raise UsageError(f"expected at least one draw, found {draws}; correct it")
        self.model, self.sigma, self.draws = Noisy(model, sigma), float(sigma), draws
        self.training = False

    @property
    def passes(self) -> int:
        """Of the network inside, that a call takes."""
        return self.draws

    def forward(self, x: Tensor) -> Tensor:
        each = torch.stack([self.model(x).log_softmax(1) for _ in range(self.draws)])
        return each.logsumexp(0) - torch.tensor(float(self.draws)).log().to(each)

    def certify(
        self, x: Tensor, *, first: int = 100, draws: int = 1000, alpha: float = 0.001, at_once: int = 1000
    ) -> SmoothedPrediction:
        """The class of each row of x (B, ...), and the radius within which it is certain (Cohen et al., algorithm 1).

        Args:
            first: draws that choose the class.
            draws: others, from which the probability of that class is bounded below (Clopper-Pearson).
            alpha: the chance that a row's claim is wrong.
            at_once: rows that pass together.

        Raises:
            UsageError: numbers that make no sense.
        """
        if first < 1 or draws < 1 or not 0 < alpha < 1:
            raise UsageError(f"expected draws of at least 1 and 0 < alpha < 1, found {first}, {draws} and {alpha}")
        chosen = self._votes(x, first, at_once).argmax(1)
        hits = self._votes(x, draws, at_once).gather(1, chosen[:, None])[:, 0]
        bounds = {count: lower_bound(count, draws, alpha) for count in set(hits.tolist())}
        least = torch.tensor([bounds[count] for count in hits.tolist()], dtype=torch.float64)
        sure = least > 0.5
        radius = torch.tensor([self.sigma * NormalDist().inv_cdf(p) if p > 0.5 else 0.0 for p in least.tolist()])
        label = torch.where(sure, chosen.cpu(), -1)
        return SmoothedPrediction(label, radius.double(), hits.cpu().double() / draws)

    def _votes(self, x: Tensor, draws: int, at_once: int) -> Tensor:
        """(B, C) how many of the draws have each class."""
        votes: Tensor | None = None
        with torch.no_grad():
            for rows in torch.split(torch.arange(len(x)).repeat(draws), max(1, at_once)):
                logits = self.model(x[rows])
                if votes is None:
                    votes = torch.zeros(len(x), logits.shape[1], dtype=torch.int64)
                votes.index_put_((rows, logits.argmax(1).cpu()), torch.ones(len(rows), dtype=torch.int64), True)
        if votes is None:
            raise UsageError("expected at least one row to certify, found none; pass some")
        return votes


def lower_bound(hits: int, draws: int, alpha: float) -> float:
    """The Clopper-Pearson bound: the least p for which `hits` or more of `draws` have a chance of alpha.

    Examples:
        >>> from adrgd.defences.smoothing import lower_bound
        >>> round(lower_bound(100, 100, 0.001), 6)  # alpha ** (1 / 100)
        0.933254
    """
    if not hits:
        return 0.0
    k = torch.arange(hits, draws + 1, dtype=torch.float64)
    n = torch.tensor(float(draws), dtype=torch.float64)
    ways = torch.lgamma(n + 1) - torch.lgamma(k + 1) - torch.lgamma(n - k + 1)
    low, high = 0.0, hits / draws
    for _ in range(60):
        p = torch.tensor((low + high) / 2, dtype=torch.float64)
        at_least = (ways + torch.xlogy(k, p) + torch.xlogy(n - k, 1 - p)).exp().sum()
        low, high = (low, float(p)) if at_least > alpha else (float(p), high)
    return low
