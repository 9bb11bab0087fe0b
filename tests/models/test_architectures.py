"""The named architectures: their sizes, and the specs that name them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from adrgd.errors import ModelError
from adrgd.gates import find_layers
from adrgd.models import load_model, new_model
from adrgd.models.architectures import ARCHITECTURES
from adrgd.models.checks import check_model
from adrgd.models.resnet import Bottleneck

PARAMETERS = {"cifar-vgg19": 20_035_018, "resnet50": 25_557_032, "wide-resnet50-2": 68_883_240}
"""As their sources print them; the VGG's convolutions have no biases."""


@pytest.mark.parametrize("name", PARAMETERS)
def test_number_of_parameters(name: str) -> None:
    with torch.device("meta"):
        net = ARCHITECTURES[name].make()
    assert sum(parameter.numel() for parameter in net.parameters()) == PARAMETERS[name]


SMALL = [name for name, kind in ARCHITECTURES.items() if name not in PARAMETERS and kind.classes == 10]


@pytest.mark.parametrize("name", SMALL)
def test_weights_go_out_and_in(name: str, tmp_path: Path) -> None:
    fresh = new_model(name, seed=1)
    assert fresh.module.training
    save_file(fresh.module.state_dict(), tmp_path / "net.safetensors")
    loaded = load_model(f"{name}?weights={tmp_path / 'net.safetensors'}")
    x = torch.rand(2, *(loaded.input_shape or ()))
    assert loaded.classes == 10
    torch.testing.assert_close(loaded(x), fresh.module.eval()(x), rtol=0, atol=0)
    again = new_model(f"{name}?weights={tmp_path / 'net.safetensors'}", seed=2).module.eval()
    torch.testing.assert_close(loaded(x), again(x), rtol=0, atol=0)


def test_the_seed_decides_the_parameters() -> None:
    one, same, other = (new_model("mnist-cnn", seed=seed).module[0].weight for seed in (0, 0, 1))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


@pytest.mark.parametrize("spec", ["bundled:mnist-pgd", "net.onnx", "mnist-cn", "mnist-cnn?wieghts=x"])
def test_what_cannot_be_trained(spec: str) -> None:
    with pytest.raises(ModelError, match="expected"):
        new_model(spec)


LARGER = {"cifar-vgg11-quarter": 2.4e6}
"""Bytes of weights, where more than 2 MB were agreed on."""


@pytest.mark.parametrize("name", SMALL)
def test_a_small_network_is_small_and_keeps_its_rows_apart(name: str) -> None:
    """Weights of at most 2 MB go into the repository; attacks work on batches of independent rows."""
    model = new_model(name)
    assert 4 * sum(parameter.numel() for parameter in model.module.parameters()) < LARGER.get(name, 2e6)
    check_model(model.module.eval(), torch.rand(3, *(model.input_shape or ())))


@pytest.mark.parametrize("norm", [True, False])
@pytest.mark.parametrize("where", ["first", "middle"])
def test_a_bottleneck_strides_where_it_is_told_to(where: str, norm: bool) -> None:
    block = Bottleneck(4, 2, 8, 2, where, norm).eval()
    shapes = [layer.shape for layer in find_layers(block, torch.rand(2, 4, 6, 6))]
    assert shapes == [(2, 3, 3) if where == "first" else (2, 6, 6), (2, 3, 3), (8, 3, 3)]
