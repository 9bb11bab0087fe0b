"""A model that counts what passes through it, and sees what another library's attack meets on its way."""

from __future__ import annotations

import time

import torch
from torch import Tensor, nn

from adrgd.attacks.case import Case
from adrgd.attacks.matrix.judge import inside
from adrgd.defences.expected import passes_of

POINTS = 101  # of a loss curve
SEEN = 0.9  # the share of a run's queries that must be recognised for its loss curve to mean anything


class Watched(nn.Module):
    """The model of a case, handed to an attack in its place.

    A query that has one row an image, each inside the ball of its own image, is recognised: its predictions tell when
    an image was first broken. Others, such as those of an attack that goes on with a part of the batch, are only
    counted.

    Attributes:
        forwards, backwards: rows that passed in either direction.
        seconds: spent here rather than in the attack.
        first: (B,) passes spent on an image, on average, when a recognised query first broke it; -1 for never.
    """

    def __init__(self, case: Case) -> None:
        super().__init__()
        self.case, self.inner = case, case.model
        # libraries ask a model's parameters for its device, and some models have none
        self.place = nn.Parameter(torch.zeros(0, device=case.clean.device), requires_grad=False)
        self.forwards = self.backwards = self.recognised = 0
        self.seconds, self.cost = 0.0, passes_of(case.model)
        self.first = torch.full_like(case.labels, -1)
        self.losses = [case.loss(case.logits, case.goal)]
        self.training = False

    def train(self, mode: bool = True) -> Watched:
        """Stay in eval mode, whatever a library asks for."""
        return self

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.inner(x)
        self.forwards += len(x) * self.cost
        if logits.requires_grad:
            logits.register_hook(self._back)  # type: ignore[no-untyped-call]
        began = time.perf_counter()
        with torch.no_grad():
            self._look(x.detach(), logits.detach())
        self.seconds += time.perf_counter() - began
        return logits

    def _back(self, gradient: Tensor) -> None:
        self.backwards += len(gradient) * self.cost

    def _look(self, x: Tensor, logits: Tensor) -> None:
        if x.shape != self.case.clean.shape:
            return
        within = inside(self.case, x)
        if within.all():
            self.recognised += len(x) * self.cost
        broken = within & self.case.broken(logits.argmax(1)) & (self.first < 0)
        self.first[broken] = -(-(self.forwards + self.backwards) // len(x))
        loss = self.case.loss(logits, self.case.goal)
        self.losses.append(torch.where(within & (loss > self.losses[-1]), loss, self.losses[-1]))

    def each(self, total: int) -> Tensor:
        """A count of rows shared out among the images, (B,), without a remainder."""
        count = len(self.case.clean)
        return total // count + (torch.arange(count, device=self.first.device) < total % count).long()

    def history(self) -> Tensor:
        """(B, POINTS) the best loss so far; NaN if too few queries were recognised."""
        at = torch.linspace(0, len(self.losses) - 1, POINTS).floor().long().tolist()
        history = torch.stack([self.losses[k] for k in at], 1)
        enough = self.recognised >= SEEN * max(1, self.forwards)
        return history if enough else torch.full_like(history, torch.nan)
