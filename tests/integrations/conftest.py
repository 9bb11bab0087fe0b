"""The robust network of the package and a few images, and what every adapter has to get right on them."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType

import pytest
import torch
from torch import Tensor, nn

from adrgd import load_data, load_model
from adrgd.attacks import Attack, AttackResult, Threat, attack_batch


@dataclass(frozen=True)
class Case:
    """A classifier, and images of which the wrong ones are few."""

    net: nn.Module
    images: Tensor
    labels: Tensor

    def attack(self, eps: float, norm: str = "linf", steps: int = 15, **settings: object) -> AttackResult:
        """Our own interface on the same images: the adapters must find exactly this."""
        attack = Attack(threat=Threat(norm=norm, eps=eps), steps=steps, **settings)  # type: ignore[arg-type]
        return attack_batch(self.net, self.images, self.labels, attack)

    def predictions(self, x: Tensor) -> Tensor:
        return self.net(x).argmax(1)


@pytest.fixture(scope="session")
def case() -> Case:
    data = load_data("bundled:mnist", limit=16)
    return Case(load_model("bundled:mnist-pgd").module, data.images, data.labels)


@pytest.fixture(scope="session")
def library() -> Callable[[str], ModuleType]:
    """Import a peer, or skip; these packages are older than what they import, and are warned about it."""

    def load(name: str) -> ModuleType:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                return importlib.import_module(name)
            except ImportError as error:
                pytest.skip(f"needs {name}: {error}")

    return load


@pytest.fixture(scope="session")
def shifted() -> Callable[[Tensor], Tensor]:
    """A target for each image."""
    return lambda labels: (labels + 1 + torch.arange(len(labels)) % 3) % 10
