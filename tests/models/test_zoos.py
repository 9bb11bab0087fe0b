"""`timm:` and `torchvision:` specs, against stand-ins for the two libraries."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from adrgd.errors import MissingExtraError, ModelError
from adrgd.models import load_model

MEAN, STD = (0.5, 0.25, 0.125), (0.5, 0.25, 0.5)


def network(classes: int = 5) -> nn.Sequential:
    torch.manual_seed(3)
    return nn.Sequential(nn.Flatten(), nn.Linear(12, classes))


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Puts both stand-ins in place; a list of what they were asked for."""
    asked: list[Any] = []

    def create_model(name: str, *, pretrained: bool, num_classes: int = 5, in_chans: int = 3) -> nn.Module:
        if name != "tiny":
            raise RuntimeError(f"Unknown model ({name})")
        asked.append(pretrained)
        net = network(num_classes)
        net.pretrained_cfg = {"mean": MEAN, "std": STD, "input_size": (3, 2, 2)}
        net.num_classes = num_classes
        return net

    class Sets:
        DEFAULT = SimpleNamespace(
            meta={"categories": "abcde"}, transforms=lambda: SimpleNamespace(crop_size=[2], mean=MEAN, std=STD)
        )

        def __getitem__(self, name: str) -> Any:
            return {"V1": self.DEFAULT}[name]

    def get_model_weights(name: str) -> Sets:
        if name != "tiny":
            raise ValueError(f"Unknown model {name}")
        return Sets()

    def get_model(name: str, *, weights: Any, num_classes: int = 5) -> nn.Module:
        asked.append(weights is not None)
        return network(num_classes)

    monkeypatch.setitem(sys.modules, "timm", SimpleNamespace(create_model=create_model))
    vision = SimpleNamespace(get_model_weights=get_model_weights, get_model=get_model)
    monkeypatch.setitem(sys.modules, "torchvision.models", vision)
    return asked


@pytest.fixture
def by_hand() -> Callable[[torch.Tensor], torch.Tensor]:
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (MEAN, STD))
    return lambda x: network()((x - mean) / std)


ZOOS = pytest.mark.parametrize("zoo", ["timm", "torchvision"])


@ZOOS
def test_published_weights_with_their_normalisation(zoo: str, asked: list[Any], by_hand: Any) -> None:
    model = load_model(f"{zoo}:tiny")
    assert asked == [True]
    assert (model.input_shape, model.classes) == ((3, 2, 2), 5)
    x = torch.rand(4, 3, 2, 2)
    torch.testing.assert_close(model(x), by_hand(x))
    assert not model.module.training


@ZOOS
def test_a_normalisation_of_one_s_own_takes_its_place(zoo: str, asked: list[Any]) -> None:
    x = torch.rand(4, 3, 2, 2)
    torch.testing.assert_close(load_model(f"{zoo}:tiny?mean=0&std=1")(x), network()(x))


@ZOOS
def test_weights_of_one_s_own(zoo: str, asked: list[Any], tmp_path: Path) -> None:
    net = network()
    nn.init.zeros_(net[1].weight)
    torch.save(net.state_dict(), tmp_path / "net.th")
    model = load_model(f"{zoo}:tiny?weights={tmp_path / 'net.th'}")
    assert asked == [False]
    torch.testing.assert_close(model(torch.rand(1, 3, 2, 2))[0], net[1].bias)


@ZOOS
def test_random_weights_and_further_arguments(zoo: str, asked: list[Any]) -> None:
    assert load_model(f"{zoo}:tiny?pretrained=false&num_classes=7").classes == 7
    assert asked == [False]


def test_a_set_of_weights_by_name(asked: list[Any]) -> None:
    load_model("torchvision:tiny?pretrained=V1")
    with pytest.raises(ModelError, match="V2"):
        load_model("torchvision:tiny?pretrained=V2")


@ZOOS
def test_unknown_network(zoo: str, asked: list[Any]) -> None:
    with pytest.raises(ModelError, match="huge"):
        load_model(f"{zoo}:huge")


@ZOOS
def test_the_library_is_missing(zoo: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("timm", "torchvision", "torchvision.models"):
        monkeypatch.setitem(sys.modules, name, None)
    extra = {"timm": "timm", "torchvision": "zoo"}[zoo]
    with pytest.raises(MissingExtraError, match=rf'pip install ".*\[{extra}\]"'):
        load_model(f"{zoo}:tiny")


def test_a_normalisation_for_other_channels_is_refused(asked: list[Any]) -> None:
    with pytest.raises(ModelError, match=r"3 channels that it was normalised for, found 1; add \?mean"):
        load_model("timm:tiny?in_chans=1")
