"""RobustBench: the networks of its leaderboards. They normalise their inputs by themselves.

Weights are looked for where RobustBench keeps them, CACHE/DATASET/THREAT/NAME.pt, and fetched by it where they are not
there. It reads them with torch's `weights_only`.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from torch import nn

from adrgd.errors import MissingExtraError, ModelError, optional
from adrgd.models.zoos.published import Published
from adrgd.specs import closest, only_keys

EXTRA = "robustbench"
DATASETS = {"cifar10": ((3, 32, 32), 10), "cifar100": ((3, 32, 32), 100), "imagenet": ((3, 224, 224), 1000)}
THREATS = ("Linf", "L2", "corruptions")
KEYS = ("dataset", "threat", "cache")
CACHE = "models"  # RobustBench's own default, below the folder one works in


def load(name: str, pretrained: object, arguments: dict[str, Any]) -> Published:
    """A network by its name on a leaderboard.

    Args:
        arguments: `dataset` (cifar10 by default), `threat` (Linf) and `cache`, the folder of its weights (models).

    Raises:
        ModelError: there is no such leaderboard, or no such network on it.
    """
    only_keys(arguments, KEYS, spec=f"robustbench:{name}", error=ModelError)
    dataset = _one_of("dataset", str(arguments.get("dataset", "cifar10")), DATASETS)
    threat = _one_of("threat", str(arguments.get("threat", "Linf")), THREATS)
    package = imported()
    zoo = import_module("robustbench.model_zoo")
    enums = import_module("robustbench.model_zoo.enums")
    listed = zoo.model_dicts[enums.BenchmarkDataset(dataset)][enums.ThreatModel(threat)]
    if name not in listed:
        raise ModelError(
            f"expected a network of RobustBench's list for {dataset} and {threat} ({len(listed)} names), found "
            f"{name!r}{closest(name, listed)}; see its model zoo"
        )
    if pretrained:
        cache = Path(str(arguments.get("cache", CACHE))).expanduser()
        module = package.utils.load_model(name, model_dir=cache, dataset=dataset, threat_model=threat)
    else:
        module = _untrained(name, listed[name], dataset, threat)
    (channels, *sides), classes = DATASETS[dataset]
    cut = re.search(r"Crop(\d+)", str(listed[name].get("preprocessing", "")))
    return Published(module, (channels, *([int(cut[1])] * 2 if cut else sides)), classes)


def imported() -> Any:
    """The package. It asks for pyautoattack and imports autoattack, the same program under another name, which is lent
    to it where it is not there.

    Raises:
        MissingExtraError: it is not installed, or cannot be imported.
    """
    if find_spec("autoattack") is None and find_spec("pyautoattack") is not None:
        for part in ("", ".state"):
            sys.modules.setdefault(f"autoattack{part}", import_module(f"pyautoattack{part}"))
    try:
        return optional("robustbench", extra=EXTRA)
    except (AttributeError, RuntimeError) as error:  # a torchvision or a timm that was made for other versions
        raise MissingExtraError(
            f"RobustBench cannot be imported ({str(error).strip().partition(chr(10))[0]}); it needs the versions of "
            "timm and torchvision that it asks for"
        ) from error


def _untrained(name: str, entry: dict[str, Any], dataset: str, threat: str) -> nn.Module:
    timm = import_module("timm")
    registered = f"{name.lower().replace('-', '_')}_{dataset}_{threat.lower()}"
    if timm.is_model(registered):
        made: nn.Module = timm.create_model(registered, pretrained=False, num_classes=DATASETS[dataset][1])
        return made
    module: nn.Module = entry["model"]()
    return module


def _one_of(key: str, value: str, known: Iterable[str]) -> str:
    found = {word.lower(): word for word in known}.get(value.lower())
    if found is None:
        raise ModelError(f"expected {key}={', '.join(known)} of RobustBench, found {key}={value}; choose one of these")
    return found
