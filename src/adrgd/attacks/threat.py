"""What an attacker may do, and what counts as success."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from adrgd.domain import Box, Domain, L2Ball, LinfBall, as_eps
from adrgd.errors import UsageError
from adrgd.rows import RowRandom

Norm = Literal["linf", "l2"]


def as_norm(given: object) -> Norm:
    """Our name of the norms "linf", "Linf", "inf", infinity, "l2", "L2" and 2.

    Raises:
        UsageError: another norm.
    """
    norms: dict[str, Norm] = {"linf": "linf", "inf": "linf", "l2": "l2", "2": "l2", "2.0": "l2"}
    try:
        return norms[str(given).lower()]
    except KeyError:
        raise UsageError(f"unknown norm {given!r}; expected linf or l2") from None


@dataclass(frozen=True, kw_only=True)
class Threat:
    """Perturbations of a given size inside the range of valid inputs.

    Attributes:
        norm: "linf" bounds every coordinate's change, "l2" the Euclidean length of the whole change.
        eps: the bound.
        lower, upper: the range of valid inputs.
        target: None for any wrong class; a class number; "next" (the class after the label), "random" (another class,
            drawn by seed), or "least-likely" (the class with the smallest clean logit).
    """

    norm: Norm = "linf"
    eps: float = 0.1
    lower: float = 0.0
    upper: float = 1.0
    target: int | Literal["next", "random", "least-likely"] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "norm", as_norm(self.norm))
        for name in ("eps", "lower", "upper"):
            number = as_eps(getattr(self, name)) if name == "eps" else getattr(self, name)
            if isinstance(number, Tensor) or not hasattr(number, "__float__"):
                raise UsageError(
                    f"{name} must be one number for all images, found {_form(number)}; for one a row or a pixel use "
                    "maximize with a LinfBall and a Box"
                )
            object.__setattr__(self, name, float(number))
        if not 0 < self.eps < float("inf"):
            raise UsageError(f"eps must be positive and finite, found {self.eps}")
        if not self.lower < self.upper:
            raise UsageError(f"expected lower < upper, found {self.lower} and {self.upper}")
        target: Any = self.target
        if target is not None and target not in ("next", "random", "least-likely"):
            try:
                object.__setattr__(self, "target", operator.index(target))
            except TypeError:
                raise UsageError(
                    f"unknown target {_form(target)}; expected a class number, next, random or least-likely"
                ) from None

    def around(self, x: Tensor) -> Domain:
        """The allowed inputs around clean inputs x (B, ...)."""
        box = Box(self.lower, self.upper)
        return LinfBall(x, self.eps, box) if self.norm == "linf" else L2Ball(x, self.eps, box)

    def distance(self, x: Tensor, clean: Tensor) -> Tensor:
        """(B,) the size of each perturbation in the threat's norm, in float64."""
        difference = (x.double() - clean.double()).flatten(1)
        return difference.abs().amax(1) if self.norm == "linf" else difference.norm(dim=1)

    def targets(self, labels: Tensor, logits: Tensor, index: Tensor, seed: int) -> Tensor | None:
        """(B,) the class each image is to be turned into, or None for an untargeted attack.

        Raises:
            UsageError: the target is not a class of the model.
        """
        classes = logits.shape[1]
        match self.target:
            case None:
                return None
            case "next":
                return (labels + 1) % classes
            case "least-likely":
                return logits.scatter(1, labels[:, None], torch.inf).argmin(1)
            case "random":
                u = RowRandom.seeded(seed, index).uniform((), "target").to(labels.device)
                return (labels + 1 + (u * (classes - 1)).long()) % classes
            case number:
                if not 0 <= int(number) < classes:
                    raise UsageError(f"target class {number} is out of range; the model has {classes} classes")
                return torch.full_like(labels, int(number))


def _form(given: object) -> str:
    return f"shape {tuple(given.shape)}" if isinstance(given, Tensor) else repr(given)
