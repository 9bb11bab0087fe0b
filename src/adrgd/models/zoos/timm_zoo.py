"""timm: image models by name, or from a folder as `timm:local-dir:FOLDER`."""

from __future__ import annotations

from typing import Any

from adrgd.errors import optional
from adrgd.models.zoos.published import Published


def load(name: str, pretrained: object, arguments: dict[str, Any]) -> Published:
    """A network with what its `pretrained_cfg` says; `arguments` go to `timm.create_model`."""
    timm = optional("timm", extra="timm")
    module = timm.create_model(name, pretrained=bool(pretrained), **arguments)
    known = module.pretrained_cfg
    channels, *sides = known["input_size"]
    size = arguments.get("img_size")
    shape = (arguments.get("in_chans", channels), *(sides if size is None else (size, size)))
    return Published(module, shape, module.num_classes, known["mean"], known["std"])
