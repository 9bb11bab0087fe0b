"""A small classification problem that some attacks solve and some do not."""

from dataclasses import dataclass, field

from torch import Tensor, nn

from adrgd.attacks import Threat


@dataclass(frozen=True)
class Problem:
    """A network of four classes on 1 x 4 x 4 images, and images of which a few are misclassified."""

    net: nn.Module
    images: Tensor
    labels: Tensor
    attack: dict[str, object] = field(default_factory=lambda: {"threat": Threat(eps=0.06), "steps": 12})
