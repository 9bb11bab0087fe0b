"""torchvision: classifiers by name."""

from __future__ import annotations

from typing import Any

from adrgd.errors import optional
from adrgd.models.zoos.published import Published


def load(name: str, pretrained: object, arguments: dict[str, Any]) -> Published:
    """A network with what its set of weights says; `pretrained` may name one of several sets."""
    models = optional("torchvision.models", extra="zoo")
    sets = models.get_model_weights(name)
    chosen = sets[pretrained] if isinstance(pretrained, str) else sets.DEFAULT
    module = models.get_model(name, weights=chosen if pretrained else None, **arguments)
    shown = chosen.transforms()
    classes = arguments.get("num_classes", len(chosen.meta["categories"]))
    return Published(module, (3, *shown.crop_size * (3 - len(shown.crop_size))), classes, shown.mean, shown.std)
