"""An attack for the Adversarial Robustness Toolbox: `adversarial = Adrgd(classifier, eps=0.1).generate(x, y)`."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from adrgd.attacks.ensemble.standard import Standard
from adrgd.domain import as_norm
from adrgd.errors import DataError, ModelError, UsageError, optional
from adrgd.given import as_labels, from_array
from adrgd.integrations.perturb import Method, as_radius, perturb
from adrgd.settings import as_count, as_flag
from adrgd.solvers import Solver

optional("art.attacks.attack", extra="art")

from art.attacks.attack import EvasionAttack  # noqa: E402
from art.estimators.classification import PyTorchClassifier  # noqa: E402

METHOD = ("solver", "steps", "restarts", "loss", "seed", "stop_at_success")

Array = NDArray[Any]


class Adrgd(EvasionAttack):
    """Our solvers with the manners of ART: arrays in and out, labels as indices or one-hot, `set_params`.

    Args:
        estimator: a `PyTorchClassifier` that returns logits; its `clip_values` bound the inputs, its preprocessing is
            differentiated through.
        norm: `numpy.inf`, "inf" or 2.
        eps: the largest perturbation.
        targeted: whether the labels given to `generate` are to be reached rather than left.
        batch_size: images that are worked on side by side; it does not change the result.
        solver: a name from `adrgd list`, or a solver.
        steps, restarts, loss, seed, stop_at_success: as in `adrgd.attacks.Attack`.

    Raises:
        EstimatorError: the estimator is not a `PyTorchClassifier`.
        UsageError: settings that do not exist.
    """

    attack_params: ClassVar[list[str]] = [
        *EvasionAttack.attack_params, "norm", "eps", "targeted", "batch_size", *METHOD,
    ]  # fmt: skip
    _estimator_requirements = (PyTorchClassifier,)

    def __init__(
        self,
        estimator: Any,
        norm: float | str = np.inf,
        eps: float = 0.3,
        targeted: bool = False,
        batch_size: int = 128,
        *,
        solver: str | Solver | Standard = "graduated",
        steps: int = 100,
        restarts: int = 1,
        loss: str = "cross-entropy",
        seed: int = 0,
        stop_at_success: bool = True,
    ) -> None:
        super().__init__(estimator=estimator)
        self.norm, self.eps, self.targeted, self.batch_size = norm, eps, targeted, batch_size
        self.solver, self.steps, self.restarts = solver, steps, restarts
        self.loss, self.seed, self.stop_at_success = loss, seed, stop_at_success
        self._check_params()

    def generate(self, x: Array, y: Array | None = None, **kwargs: Any) -> Array:
        """The inputs found, as an array like x (B, ...).

        Args:
            y: (B,), (B, 1) or one-hot (B, C): the labels, or the targets. An untargeted attack without labels leaves
                the classes that the estimator predicts.

        Raises:
            UsageError: a targeted attack without targets, or an argument that is not known.
            ModelError: the estimator's preprocessing cannot be differentiated by torch.
        """
        if any(value is not None for value in kwargs.values()):
            raise UsageError(f"expected x and y only, found {', '.join(kwargs)}; a mask is not supported, leave it out")
        if not self.estimator.all_framework_preprocessing:
            raise ModelError(
                "expected preprocessing that torch can differentiate, found preprocessing defences on arrays; use "
                "their PyTorch variants"
            )
        clean: Array = from_array(np.asarray(x), "images").numpy()
        if not clean.ndim:
            raise DataError(f"images must be an array (B, ...), found {x!r:.60}; pass several")
        if not len(clean):
            return clean.copy()
        labels = self._labels(clean, y)
        found = np.empty_like(clean)
        for start in range(0, len(clean), self.batch_size):
            part = slice(start, start + self.batch_size)
            images = torch.from_numpy(clean[part]).to(self.estimator.device)
            result = perturb(
                self._logits, images, labels[part], self._method(), eps=self.eps, norm=as_norm(self.norm),
                bounds=self._bounds(), targeted=self.targeted, first=start, network=self.estimator.model,
            )  # fmt: skip
            found[part] = result.cpu().numpy()
        return found

    def _labels(self, x: Array, y: Array | None) -> Array:
        if y is None:
            if self.targeted:
                raise UsageError("a targeted attack needs the targets: expected y, found None; pass generate(x, y)")
            y = np.asarray(self.estimator.predict(x, batch_size=self.batch_size))
            y = y.argmax(1) if y.shape[1] > 1 else y[:, 0] > 0  # one logit, of class 1 against class 0
            return y.astype(np.int64)
        y = np.asarray(y)
        if y.ndim == 2 and y.shape[1] == self.estimator.nb_classes > 1:
            y = y.argmax(1)
        return as_labels(y, len(x), torch.device("cpu"), "targets" if self.targeted else "labels").numpy()

    def _logits(self, x: Tensor) -> Tensor:
        logits: Tensor = self.estimator._predict_framework(x)[0]  # what ART's own torch attacks call for gradients
        return logits

    def _bounds(self) -> tuple[float, float] | None:
        clip = self.estimator.clip_values
        if clip is None:
            return None
        low, high = (np.unique(np.asarray(value, dtype=float)) for value in clip)
        if len(low) > 1 or len(high) > 1:
            raise UsageError("expected clip_values of two numbers, found others for each feature; rescale the features")
        return float(low[0]), float(high[0])

    def _method(self) -> Method:
        return Method(**{name: getattr(self, name) for name in METHOD})

    def _check_params(self) -> None:
        super()._check_params()
        as_norm(self.norm)
        as_radius(self.eps)
        self.targeted, self.batch_size = as_flag(self.targeted, "targeted"), as_count(self.batch_size, "batch_size")
        self._method()
