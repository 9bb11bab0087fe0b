"""Attacks for Foolbox 3: `raw, clipped, is_adv = LinfAdrgd()(fmodel, images, labels, epsilons=[0.1, 0.2])`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from adrgd.attacks.ensemble.standard import Standard
from adrgd.domain import Norm
from adrgd.errors import DataError, ModelError, UsageError, optional
from adrgd.integrations.perturb import Method, as_radius, perturb
from adrgd.solvers import Solver

optional("foolbox", extra="foolbox")

import eagerpy  # noqa: E402
from foolbox.attacks.base import (  # noqa: E402
    FixedEpsilonAttack,
    get_criterion,
    raise_if_kwargs,
)
from foolbox.criteria import Misclassification, TargetedMisclassification  # noqa: E402
from foolbox.distances import l2, linf  # noqa: E402


class _Adrgd(FixedEpsilonAttack):
    """A run at each epsilon.

    Args:
        solver: a name from `adrgd list`, or a solver.
        steps: iterations of each run.
        restarts: runs an image; `repeat(n)` multiplies them.
        loss: a name from `adrgd.objective.LOSSES`.
        seed: of all randomness.
        stop_at_success: leave an image as soon as it is broken; otherwise go on raising the loss.

    Raises:
        UsageError: settings that do not exist.
    """

    norm: Norm

    def __init__(
        self,
        *,
        solver: str | Solver | Standard = "graduated",
        steps: int = 100,
        restarts: int = 1,
        loss: str = "cross-entropy",
        seed: int = 0,
        stop_at_success: bool = True,
    ) -> None:
        self.solver, self.steps, self.restarts = solver, steps, restarts
        self.loss, self.seed, self.stop_at_success = loss, seed, stop_at_success
        Method(**vars(self))

    def __call__(self, model: Any, inputs: Any, criterion: Any, *, epsilons: Any, **kwargs: Any) -> Any:
        """What was found at each epsilon, the same clipped to it once more, and whether that is adversarial.

        Raises:
            DataError: images outside the model's bounds.
            UsageError: an epsilon that is no number, or none at all, or labels in a form that is not known.
            ModelError: this is no model of Foolbox.
        """
        several = isinstance(epsilons, Iterable) and not isinstance(epsilons, str) and getattr(epsilons, "ndim", 1) > 0
        given = list(epsilons) if several else [epsilons]
        if not given or any(eps is None for eps in given):
            raise UsageError(
                f"expected a number or numbers as epsilons, found {epsilons!s:.60}: these attacks search inside a "
                "given size; for the smallest change of each image use adrgd.attacks.smallest_changes"
            )
        sizes = [as_radius(eps) for eps in given]
        if not hasattr(model, "bounds"):
            raise ModelError(f"expected a model of Foolbox, found {type(model).__name__}; wrap it in PyTorchModel")
        if criterion is None:
            raise UsageError("expected labels or a criterion, found None; pass the labels of the images")
        if isinstance(criterion, list | tuple | str):
            raise DataError(f"labels must be a tensor (B,) of torch, found {type(criterion).__name__}; convert them")
        try:
            x, restore_type = eagerpy.astensor_(inputs)
        except ValueError:
            raise DataError(f"images must be a tensor of torch, found {type(inputs).__name__}; convert them") from None
        if not len(x):
            raise_if_kwargs(kwargs)
            none = restore_type(eagerpy.zeros(x, (len(sizes), 0)).bool() if several else eagerpy.zeros(x, 0).bool())
            found = [restore_type(x) for _ in sizes]
            return (found, list(found), none) if several else (found[0], found[0], none)
        if len(x):
            self._check_bounds(x, model.bounds)
        return super().__call__(model, inputs, criterion, epsilons=sizes if several else sizes[0], **kwargs)

    @staticmethod
    def _check_bounds(x: Any, bounds: Any) -> None:
        low, high = float(x.min().item()), float(x.max().item())
        if not (bounds.lower <= low and high <= bounds.upper):
            raise DataError(
                f"images must lie in the model's bounds {bounds.lower:g} to {bounds.upper:g}, found values from "
                f"{low:g} to {high:g}; rescale them, or give the Foolbox model its bounds"
            )

    def run(self, model: Any, inputs: Any, criterion: Any, *, epsilon: float, **kwargs: Any) -> Any:
        """The inputs found, within epsilon of the given ones.

        Args:
            model: a Foolbox model of a torch network.
            criterion: labels, `Misclassification` or `TargetedMisclassification`.

        Raises:
            UsageError: another criterion.
            ModelError: a model of another framework.
        """
        raise_if_kwargs(kwargs)
        x, restore_type = eagerpy.astensor_(inputs)
        if not isinstance(x, eagerpy.PyTorchTensor):
            raise ModelError(
                f"expected a Foolbox model and images of torch, found {type(x).__name__}; use PyTorchModel"
            )
        self._check_bounds(x, model.bounds)
        criterion = get_criterion(criterion)
        if isinstance(criterion, TargetedMisclassification):
            classes, targeted = criterion.target_classes, True
        elif isinstance(criterion, Misclassification):
            classes, targeted = criterion.labels, False
        else:
            raise UsageError(f"expected Misclassification or TargetedMisclassification, found {criterion!r}; use these")
        if not isinstance(classes, eagerpy.PyTorchTensor) or classes.shape != (len(x),):
            raise DataError(
                f"expected one label for each of {len(x)} images as a tensor (B,) of torch, found "
                f"{type(classes.raw).__name__} of shape {tuple(classes.shape)}; convert the labels"
            )
        found = perturb(
            model, x.raw, classes.raw, Method(**vars(self)), eps=epsilon, norm=self.norm,
            bounds=(float(model.bounds.lower), float(model.bounds.upper)), targeted=targeted,
            network=getattr(model, "_model", None),
        )  # fmt: skip
        return restore_type(eagerpy.astensor(found))

    def repeat(self, times: int) -> _Adrgd:
        """The same attack with that many times the restarts: the same seed would repeat the same run."""
        settings: dict[str, Any] = vars(self) | {"restarts": self.restarts * times}
        return type(self)(**settings)


class LinfAdrgd(_Adrgd):
    """Bounds the change of every coordinate."""

    distance = linf
    norm = "linf"


class L2Adrgd(_Adrgd):
    """Bounds the Euclidean length of the whole change."""

    distance = l2
    norm = "l2"
