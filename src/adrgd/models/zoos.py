"""Published classifiers of timm and torchvision, with their own normalisation of the input inside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from adrgd.errors import MissingExtraError, ModelError, optional
from adrgd.models.factory import parse_value
from adrgd.models.normalise import Normalised
from adrgd.models.weights import load_named

ZOOS = ("timm", "torchvision")


@dataclass(frozen=True)
class Published:
    """A network, what it was made for (None where unknown), and the normalisation it was trained with."""

    module: nn.Module
    input_shape: tuple[int, ...] | None
    classes: int | None
    mean: Sequence[float]
    std: Sequence[float]


def load_published(base: str, query: Mapping[str, str], *, spec: str, normalise: bool) -> Published:
    """Load `timm:NAME` or `torchvision:NAME`.

    Args:
        query: `weights=FILE`, a state dict to use instead of the published one; `pretrained=false`, random weights, or
            for torchvision the name of one of its sets of weights; anything else goes to the library's own factory.
        normalise: put the published normalisation in front, so that inputs are pixels in [0, 1].

    Raises:
        MissingExtraError: the library is not installed.
        ModelError: it has no such network, or cannot load it.
    """
    zoo, _, name = base.partition(":")
    arguments = {key: parse_value(text) for key, text in query.items()}
    weights, pretrained = arguments.pop("weights", None), arguments.pop("pretrained", True)
    load = {"timm": _timm, "torchvision": _torchvision}[zoo]
    try:
        found = load(name, False if weights is not None else pretrained, arguments)
    except MissingExtraError:
        raise
    except (RuntimeError, ValueError, KeyError, TypeError, OSError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ModelError(
            f"expected {name!r} of {spec!r} to be a network that {zoo} can load, found: {reason}; see its list"
        ) from error
    if weights is not None:
        load_named(found.module, Path(str(weights)).expanduser())
    if not normalise:
        return found
    mean, std = (torch.tensor(values, dtype=torch.float64) for values in (found.mean, found.std))
    module = Normalised(found.module, mean, std)
    return Published(module, found.input_shape, found.classes, found.mean, found.std)


def _timm(name: str, pretrained: object, arguments: Mapping[str, Any]) -> Published:
    timm = optional("timm", extra="zoo")
    module = timm.create_model(name, pretrained=bool(pretrained), **arguments)
    known = module.pretrained_cfg
    return Published(module, tuple(known["input_size"]), module.num_classes, known["mean"], known["std"])


def _torchvision(name: str, pretrained: object, arguments: Mapping[str, Any]) -> Published:
    models = optional("torchvision.models", extra="zoo")
    sets = models.get_model_weights(name)
    chosen = sets[pretrained] if isinstance(pretrained, str) else sets.DEFAULT
    module = models.get_model(name, weights=chosen if pretrained else None, **arguments)
    shown = chosen.transforms()
    classes = arguments.get("num_classes", len(chosen.meta["categories"]))
    return Published(module, (3, *shown.crop_size * (3 - len(shown.crop_size))), classes, shown.mean, shown.std)
