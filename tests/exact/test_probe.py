"""Networks that are asked for their matrices."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from adrgd import ModelError
from adrgd.exact import mlp_from_module, mlp_from_network


def test_matrices_of_a_plain_network(mlp: nn.Sequential) -> None:
    found = mlp_from_network(mlp.double(), torch.rand(1, 5))
    known = mlp_from_module(mlp)
    for a, b in zip((*found.weights, *found.biases), (*known.weights, *known.biases), strict=True):
        assert torch.allclose(a, b, atol=1e-12)


@pytest.mark.parametrize("in_place", [False, True])
def test_convolutions_become_matrices(in_place: bool) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(2, 3, 3, stride=2, padding=1), nn.ReLU(in_place), nn.AvgPool2d(2), nn.Conv2d(3, 4, 2),
        nn.ReLU(in_place), nn.Flatten(), nn.Linear(4, 2),
    ).double()  # fmt: skip
    x = torch.randn(7, 2, 8, 8, dtype=torch.float64)
    assert torch.allclose(mlp_from_network(net, x[:1])(x.flatten(1)), net(x), atol=1e-12)


def residual(x: Tensor) -> Tensor:
    h = torch.relu(x)
    return torch.relu(2 * h - 1) + h


@pytest.mark.parametrize(
    ("network", "sentence"),
    [
        (residual, "no affine function of that layer alone"),
        (lambda x: torch.relu(torch.tanh(x)), "layer 0 is tanh"),
        (lambda x: torch.relu(torch.exp(x)), "no affine function"),
        (lambda x: F.leaky_relu(x), "leaky_relu"),
    ],
)
def test_other_networks_are_refused(network: object, sentence: str) -> None:
    with pytest.raises(ModelError, match=sentence):
        mlp_from_network(network, torch.rand(1, 3))  # type: ignore[arg-type]
