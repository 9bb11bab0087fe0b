"""A small classification problem that some attacks solve and some do not."""

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from adrgd.attacks import Threat
from adrgd.attacks.case import Case


@dataclass(frozen=True)
class Problem:
    """A network of four classes on 1 x 4 x 4 images, and images of which a few are misclassified."""

    net: nn.Module
    images: Tensor
    labels: Tensor
    attack: dict[str, object] = field(default_factory=lambda: {"threat": Threat(eps=0.06), "steps": 12})

    def case(self, *, loss: str = "cross-entropy", **threat: object) -> Case:
        """All images under one threat."""
        allowed = Threat(**{"eps": 0.06, **threat})  # type: ignore[arg-type]
        index = torch.arange(len(self.labels))
        return Case.of(self.net, self.images, self.labels, index, allowed, loss=loss, seed=0)
