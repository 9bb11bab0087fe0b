"""The networks of this experiment, and the images of each that long, diversified PGD does not break."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from adrgd import load_data, load_model
from adrgd.data import Images
from adrgd.errors import UsageError
from adrgd.rows import take

HERE = Path(__file__).parent
LISTS = HERE / "lists"
sys.path.insert(0, str(HERE))
sys.path.append(str(HERE.parent.parent / "benchmarks"))  # which has a small_nets of its own
from standard_nets import NETS, hard_mnist  # noqa: E402


@dataclass(frozen=True, kw_only=True)
class Folders:
    """Where data and published networks are."""

    mnist: Path | None = None
    """The folder of MNIST's four files."""
    cifar10: Path | None = None
    """The folder of cifar10.npz."""
    assets: Path | None = None
    """Published networks: hard_mnist/ and cifar10/cifar_cnn_a_adv4.model of Verified-Intelligence/alpha-beta-CROWN."""


@dataclass(frozen=True)
class Subject:
    """A network, the data it is for, and the radius at which it is attacked."""

    words: str
    data: str
    eps: float
    load: Callable[[Folders], nn.Module]
    assets: bool = False
    """Whether it is one of the published networks."""

    def images(self, folders: Folders, limit: int | None = None) -> Images:
        """The first test images."""
        return load_data(f"{self.data}:{getattr(folders, self.data)}", limit=limit)


def _own(kind: str) -> Callable[[Folders], nn.Module]:
    weights = HERE / "nets" / f"{kind}.safetensors"
    return lambda folders: load_model(f"small_nets:{kind}?weights={weights}").module


def _of_assets(folders: Folders) -> Path:
    if folders.assets is None:
        raise UsageError("expected the folder of published networks; give it as --assets FOLDER")
    return folders.assets


SUBJECTS: dict[str, Subject] = {
    "hard_mnist": Subject(
        "the published list: 20 MNIST images that 200 x 200 steps of PGD do not break and a MIP does, eps .3", "mnist",
        0.3, lambda folders: hard_mnist(_of_assets(folders), folders.mnist or Path())[0], True,
    ),
    "mnist": Subject("nets/mnist, eps .3", "mnist", 0.3, _own("mnist")),
    "cifar10": Subject("nets/cifar10, eps 2/255", "cifar10", 2 / 255, _own("cifar10")),
    "cnn-a": Subject(
        "cifar_cnn_a_adv4, eps 2/255", "cifar10", 2 / 255, lambda folders: NETS["cnn-a"][0](_of_assets(folders)), True
    ),
}  # fmt: skip


def available(folders: Folders, only: tuple[str, ...] = ()) -> dict[str, Subject]:
    """Those for which the folders are given, and whose lists are made and not empty."""
    return {
        name: subject
        for name, subject in SUBJECTS.items()
        if (not only or name in only)
        and getattr(folders, subject.data) is not None
        and (folders.assets is not None or not subject.assets)
        and (name == "hard_mnist" or made(name).get("list"))
    }


def made(name: str) -> dict[str, Any]:
    """What is known of a list; nothing before it is made."""
    file = LISTS / f"{name}.json"
    return json.loads(file.read_text()) if file.exists() else {}


def listed(name: str, folders: Folders) -> tuple[nn.Module, Images]:
    """A network and the images of its list."""
    if name == "hard_mnist":
        return hard_mnist(_of_assets(folders), folders.mnist or Path())
    subject = SUBJECTS[name]
    known = made(name)
    return subject.load(folders), take(subject.images(folders, known["among"]), torch.tensor(known["list"]))
