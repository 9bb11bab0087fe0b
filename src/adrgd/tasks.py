"""Objectives of networks that do not answer with one class: labels, maps, numbers, embeddings, units inside.

Each takes x (B, ...) and the rows it is asked for, as those of `adrgd.objective`, and says which rows have reached
their goal.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from adrgd.errors import ModelError, UsageError
from adrgd.objective import Score, margin

Network = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Through:
    """An objective of what `decode` makes of x: of a rotation's angle, of colours, of a generator's code.

    Attributes:
        objective: of inputs; one with data of its own per row takes `rows` as well.
        decode: takes (B, ...) and the rows asked for, returns inputs (B, ...), differentiably.
    """

    objective: Callable[..., Any]
    decode: Callable[[Tensor, Tensor], Tensor]

    def __call__(self, x: Tensor, rows: Tensor) -> Any:
        return self.objective(self.decode(x, rows), rows)


@dataclass(frozen=True)
class MultiLabel:
    """Change a set of labels; one logit a label, positive where the label is there. One logit alone is a binary task.

    Attributes:
        model: returns logits (B, L), or (B,) for one.
        wanted: (N, L) of 1 for a label to add, -1 for one to take away, 0 for one that does not matter.
        all: every one of them, instead of any.
    """

    model: Network
    wanted: Tensor
    all: bool = False

    def __call__(self, x: Tensor, rows: Tensor) -> Score:
        logits, wanted = self.model(x), self.wanted[rows]
        logits = logits[:, None] if logits.dim() == 1 else logits
        wanted = wanted[:, None] if wanted.dim() == 1 else wanted
        if logits.shape != wanted.shape:
            raise UsageError(f"expected wanted labels of shape {tuple(logits.shape)}, found {tuple(wanted.shape)}")
        none = torch.inf if self.all else -torch.inf
        ahead = torch.where(wanted == 0, none, logits * wanted)
        value = ahead.amin(1) if self.all else ahead.amax(1)
        return Score(value, value > 0)


@dataclass(frozen=True)
class Segment:
    """Make pixels of a map wrong; the loss is over those that are right yet, so that no effort goes to the others.

    Attributes:
        model: returns logits (B, C, ...), one class a place.
        labels: (N, ...) the classes.
        share: of the places that are to be wrong for the goal.
        ignore: a label that does not count.
    """

    model: Network
    labels: Tensor
    share: float = 0.99
    ignore: int = 255

    def __call__(self, x: Tensor, rows: Tensor) -> Score:
        logits, labels = self.model(x), self.labels[rows]
        flat, label = logits.flatten(2).transpose(1, 2), labels.flatten(1)
        counts = label != self.ignore
        safe = torch.where(counts, label, 0)
        ahead = margin(flat.flatten(0, 1), safe.flatten()).view_as(safe)
        many = counts.sum(1).clamp_min(1)
        value = torch.where(counts, ahead.clamp_max(0), 0).sum(1) / many
        wrong = (counts & (ahead > 0)).sum(1) / many
        return Score(value, wrong >= self.share)


@dataclass(frozen=True)
class Leave:
    """Push a number that a network predicts out of a band, above or below.

    Attributes:
        model: returns (B,) or (B, 1).
        low, high: (N,) the ends of the band; an infinite one is never left.
    """

    model: Network
    low: Tensor
    high: Tensor

    def __call__(self, x: Tensor, rows: Tensor) -> Score:
        found = self.model(x).reshape(len(x), -1)
        if found.shape[1] != 1:
            raise UsageError(f"expected one number a row, found {found.shape[1]}; pick one of them")
        below, above = self.low[rows] - found[:, 0], found[:, 0] - self.high[rows]
        value = torch.where(above >= below, above, below)  # in the middle one of them: their slopes cancel out
        return Score(value, value > 0)


@dataclass(frozen=True)
class Embedding:
    """Move an embedding towards others, or away from them, by the cosine of the angle between them.

    Attributes:
        model: returns embeddings (B, D).
        others: (N, D).
        threshold: of the cosine: above it two are the same.
        away: from them instead.
    """

    model: Network
    others: Tensor
    threshold: float = 0.5
    away: bool = False

    def __call__(self, x: Tensor, rows: Tensor) -> Score:
        cosine = F.cosine_similarity(self.model(x), self.others[rows], dim=1)
        value = self.threshold - cosine if self.away else cosine - self.threshold
        return Score(value, value > 0)


@dataclass(frozen=True)
class Unit:
    """The mean answer of one unit or channel inside a network: what does it look for?

    Attributes:
        network: the whole.
        module: the part whose output (B, U, ...) is looked at; one of the network's own modules.
        index: of the unit.
    """

    network: nn.Module
    module: nn.Module
    index: int

    def __call__(self, x: Tensor) -> Tensor:
        kept: list[Tensor] = []
        handle = self.module.register_forward_hook(lambda module, given, answer: kept.append(answer))
        try:
            self.network(x)
        finally:
            handle.remove()
        if not kept:
            raise ModelError("the network did not run the module whose unit is asked for; name one that it runs")
        if not 0 <= self.index < kept[-1].shape[1]:
            raise UsageError(f"expected a unit from 0 to {kept[-1].shape[1] - 1}, found {self.index}")
        return kept[-1][:, self.index].reshape(len(x), -1).mean(1)
