"""An attack for torchattacks: `adversarial = Adrgd(model, eps=8 / 255)(images, labels)`."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from adrgd.attacks.ensemble.standard import Standard
from adrgd.domain import as_norm
from adrgd.errors import DataError, MissingExtraError
from adrgd.given import as_labels, as_model, from_array
from adrgd.integrations.perturb import Method, as_radius, perturb
from adrgd.models.outputs import Logits
from adrgd.solvers import Solver

try:
    from torchattacks.attack import Attack
except ImportError as error:
    raise MissingExtraError(
        f"this needs the Python package 'torchattacks', which cannot be imported ({error}); no extra brings it, "
        "since it asks for a torchvision that it never imports: pip install scipy; pip install --no-deps torchattacks"
    ) from error


class Adrgd(Attack):
    """Our solvers with the manners of torchattacks: images in [0, 1], targeted modes, normalisation.

    Args:
        model: a module or a function that returns logits (B, C).
        norm: "Linf" or "L2".
        eps: the largest perturbation.
        steps: iterations of each run.
        restarts: runs an image.
        solver: a name from `adrgd list`, or a solver.
        loss: a name from `adrgd.objective.LOSSES`.
        seed: of all randomness; the targets of `set_mode_targeted_random` are torchattacks' own and follow torch's.
        stop_at_success: leave an image as soon as it is broken; otherwise go on raising the loss.

    Raises:
        UsageError: settings that do not exist.
    """

    def __init__(
        self,
        model: Callable[[Tensor], Any],
        norm: str = "Linf",
        eps: float = 8 / 255,
        steps: int = 100,
        restarts: int = 1,
        solver: str | Solver | Standard = "graduated",
        loss: str = "cross-entropy",
        seed: int = 0,
        stop_at_success: bool = True,
    ) -> None:
        with contextlib.redirect_stdout(io.StringIO()):  # it says that a function has no device, and none is needed
            super().__init__("Adrgd", model if isinstance(model, nn.Module) else Logits(as_model(model)))
        self.norm, self.eps, self.steps, self.restarts, self.solver = norm, eps, steps, restarts, solver
        self.loss, self.seed, self.stop_at_success = loss, seed, stop_at_success
        self.supported_mode = ["default", "targeted"]
        as_norm(norm)
        as_radius(eps)
        self._method()

    def forward(self, inputs: Any, labels: Any, *args: Any, **kwargs: Any) -> Tensor:
        """The inputs found; torchattacks has undone the normalisation, if it knows of one, and will apply it again."""
        inputs = from_array(inputs, "images")
        if not isinstance(inputs, Tensor):
            raise DataError(f"images must be a tensor or an array (B, ...), found {type(inputs).__name__}; stack them")
        images = inputs.detach().to(self.device)
        labels = as_labels(labels, len(images), images.device)
        classes = self.get_target_label(images, labels) if self.targeted else labels
        return perturb(
            self.get_logits, images, classes, self._method(), eps=self.eps, norm=as_norm(self.norm),
            bounds=(0.0, 1.0), targeted=self.targeted, network=self.model,
        )  # fmt: skip

    def _method(self) -> Method:
        return Method(
            solver=self.solver, steps=self.steps, restarts=self.restarts, loss=self.loss, seed=self.seed,
            stop_at_success=self.stop_at_success,
        )  # fmt: skip
