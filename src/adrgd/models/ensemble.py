"""Several classifiers attacked as one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, get_args

import torch
from torch import Tensor, nn

from adrgd.errors import UsageError
from adrgd.models.outputs import Logits
from adrgd.modes import check_mode
from adrgd.names import EnsembleBy
from adrgd.objective import Asked, margin


class Ensemble(nn.Module):
    """Several classifiers of the same classes as one.

    Args:
        models: each takes (B, ...) and returns logits (B, C), or what `attack_batch` takes besides.
        by: "logits" for the mean of the logits; "probabilities" for the logarithm of the mean of the probabilities;
            "worst" for the logits of the member that is furthest from what an attack is after, row by row, so that an
            image is broken where all of them are wrong (in a targeted attack: where all of them say the target).

    Raises:
        UsageError: no models, or another `by`.
        ModelError: one is in train mode.

    Examples:
        >>> import adrgd, torch
        >>> nets = [adrgd.load_model(f"bundled:{name}").module for name in ("mnist-pgd", "mnist-clean")]
        >>> adrgd.Ensemble(nets, by="probabilities")(torch.zeros(2, 1, 28, 28)).shape
        torch.Size([2, 10])
    """

    def __init__(self, models: Sequence[Callable[[Tensor], Any]], by: EnsembleBy = "logits") -> None:
        super().__init__()
        if not models:
            raise UsageError("expected at least one model in an ensemble, found none; pass some")
        if by not in get_args(EnsembleBy):
            raise UsageError(f"expected an ensemble by {', '.join(get_args(EnsembleBy))}, found {by!r}; choose one")
        for model in models:
            if isinstance(model, nn.Module):
                check_mode(model)
        self.members = nn.ModuleList(Logits(model) for model in models)
        self.by = by
        self.training = self.members.training = False

    def forward(self, x: Tensor) -> Tensor:
        """The logits (B, C); by "worst" those of the member that is surest of the class that the mean predicts."""
        each = self._each(x)
        if self.by == "logits":
            return each.mean(0)
        mean = (each.log_softmax(2).logsumexp(0)) - torch.tensor(float(len(each))).log().to(each)
        return mean if self.by == "probabilities" else _furthest(each, mean.argmax(1), targeted=False)

    @property
    def passes(self) -> int:
        """Of single networks, that a call takes."""
        return len(self.members)

    @property
    def furthest(self) -> Asked | None:
        """By "worst": the logits of the member that is furthest from leaving the labels, or from the targets."""
        if self.by != "worst":
            return None
        return lambda x, label, targeted: _furthest(self._each(x), label, targeted=targeted)

    def _each(self, x: Tensor) -> Tensor:
        each = [member(x) for member in self.members]
        if len({logits.shape for logits in each}) > 1:
            found = ", ".join(str(tuple(logits.shape)) for logits in each)
            raise UsageError(f"expected members of an ensemble with the same classes, found logits of shape {found}")
        return torch.stack(each)


def _furthest(each: Tensor, label: Tensor, *, targeted: bool) -> Tensor:
    """(B, C) of logits (M, B, C): those of the member with the smallest margin, on the scale of log-probabilities."""
    each = each.log_softmax(2)
    margins = torch.stack([margin(logits, label) for logits in each.detach()])
    member = (-margins if targeted else margins).argmin(0)
    return each[member, torch.arange(each.shape[1], device=each.device)]
