"""What an attacker may do, and what counts as success."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from adrgd.attacks.mask import masked
from adrgd.domain import Box, Domain, Patch, as_eps, as_norm, ball, distance
from adrgd.domain.protocol import Value
from adrgd.errors import UsageError
from adrgd.names import Norm
from adrgd.rows import RowRandom
from adrgd.settings import as_count, settle

NO_BOX: dict[str, None] = {"lower": None, "upper": None}
"""What makes a `Threat` without a box."""

LEAVES = "no box: perturbed images are bounded by the ball alone and may leave the data's range"


@dataclass(frozen=True, kw_only=True)
class Threat:
    """Perturbations of a given size, inside the range of valid inputs unless there is none.

    Attributes:
        norm: "linf" bounds every coordinate's change, "l2" the Euclidean length of the whole change, "l1" the sum of
            the absolute changes, "l0" how many pixels of an image (coordinates of a vector) change at all.
        eps: the bound.
        lower, upper: the range of valid inputs; both None where perturbed inputs may leave it (no box).
        target: None for any wrong class; a class number; "next" (the class after the label), "random" (another class,
            drawn by seed), or "least-likely" (the class with the smallest clean logit).
        mask: what may change: a file (.npy or a picture) or truth values that broadcast to one image; None for all.
        patch: the side of one square that may change, its place free in each image; None for all.
    """

    norm: Norm = "linf"
    eps: float = 0.1
    lower: float | None = 0.0
    upper: float | None = 1.0
    target: int | Literal["next", "random", "least-likely"] | None = None
    mask: Any = None
    patch: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "norm", as_norm(self.norm))
        for name in ("eps", "lower", "upper"):
            if name != "eps" and getattr(self, name) is None:
                continue
            number = as_eps(getattr(self, name)) if name == "eps" else getattr(self, name)
            number = number.item() if isinstance(number, Tensor) and number.numel() == 1 else number
            if isinstance(number, Tensor) or not hasattr(number, "__float__"):
                raise UsageError(
                    f"{name} must be one number for all images, found {_form(number)}; for one a row or a pixel use "
                    "maximize with a LinfBall and a Box"
                )
            object.__setattr__(self, name, float(number))
        if not 0 < self.eps < float("inf"):
            raise UsageError(f"eps must be positive and finite, found {self.eps}")
        if self.norm == "l0" and self.eps != int(self.eps):
            raise UsageError(f"expected a whole number of pixels as eps in the norm l0, found {self.eps:g}")
        if self.norm == "l0" and self.lower is None:
            raise UsageError("in the norm l0 nothing but the box bounds a pixel that changes; leave the box as it is")
        if (self.lower is None) != (self.upper is None):
            raise UsageError(f"expected both ends of the range or neither, found {self.lower} and {self.upper}")
        if self.range is not None and not self.range[0] < self.range[1]:
            raise UsageError(f"expected lower < upper, found {self.lower} and {self.upper}")
        if self.patch is not None:
            settle(self, patch=as_count)
        if self.patch is not None and (self.norm != "linf" or self.range is None):
            raise UsageError("a patch needs the norm linf and a box; leave out the other norm, or the patch")
        target: Any = self.target
        if isinstance(target, bool):
            raise UsageError(f"expected a class number as the target, found {target}; pass the number of the class")
        if target is not None and target not in ("next", "random", "least-likely"):
            try:
                object.__setattr__(self, "target", operator.index(target))
            except TypeError:
                raise UsageError(
                    f"unknown target {_form(target)}; expected a class number, next, random or least-likely"
                ) from None

    @property
    def range(self) -> tuple[float, float] | None:
        """Of valid inputs, where perturbed ones have to stay inside; None without a box."""
        return None if self.lower is None or self.upper is None else (self.lower, self.upper)

    def clip(self, x: Tensor) -> Tensor:
        """Inputs x put inside the range; they stay as they are without a box."""
        return x if self.range is None else x.clamp(*self.range)

    def around(self, x: Tensor, eps: Value | None = None) -> Domain:
        """The allowed inputs around clean inputs x (B, ...), within the threat's own eps unless another is given."""
        size, box = self.eps if eps is None else eps, None if self.range is None else Box(*self.range)
        patch = None if self.patch is None or box is None else Patch(x, self.patch, box, size)
        domain = patch or ball(self.norm, x, size, box)
        return domain if self.mask is None else masked(domain, self.mask, x)

    def check(self, images: Tensor) -> None:
        """See that changes of images (B, ...) can be searched for, before a run begins.

        Raises:
            DomainError: a mask or a patch does not fit, or more pixels may change than there are.
            DataError: a mask cannot be read.
        """
        few = self.clip(images[:1])
        self.around(few).bind(few)

    def settings(self) -> dict[str, Any]:
        """What a run's folder keeps of it."""
        return {name: value for name, value in vars(self).items() if name not in ("mask", "patch") or value is not None}

    def distance(self, x: Tensor, clean: Tensor) -> Tensor:
        """(B,) the size of each perturbation in the threat's norm, in float64."""
        return distance(self.norm, x, clean)

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


def of_box(config: dict[str, Any]) -> dict[str, None]:
    """The fields of a `Threat` that the settings of an evaluation decide by their entry `box`, which may be missing.

    Raises:
        ValueError: it is no box.
    """
    box = config.get("box")
    if box not in (None, "data", "none"):
        raise ValueError(f"expected box to be data or none, found {box!r}")
    return dict(NO_BOX) if box == "none" else {}
