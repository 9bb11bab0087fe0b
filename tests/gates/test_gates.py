"""Every activation call is seen once, in order, and what replaces it reaches the network as its own form would."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from networks import FORMS, Around, Block, normal, small_cnn
from torch import Tensor, nn

from adrgd.activations import Factor
from adrgd.errors import UsageError
from adrgd.gates import Call, Gates, Layer, count_neurons, find_layers, select
from adrgd.models.exported import without_guards
from adrgd.models.mnist import mnist_cnn


@pytest.fixture(params=FORMS)
def net(request: pytest.FixtureRequest) -> Around:
    torch.manual_seed(1)
    return Around(copy.deepcopy(FORMS[request.param])).requires_grad_(False)


def under(rule: Callable[[Call], Tensor], net: Callable[[Tensor], Tensor], x: Tensor) -> tuple[Tensor, Tensor]:
    """The output at x with `rule` in force, and the gradient of the sum of its squares."""
    x = x.clone().requires_grad_(True)
    with Gates(rule):
        out = net(x)
    return out.detach(), torch.autograd.grad(out.square().sum(), x)[0]


def plain(net: Callable[[Tensor], Tensor], x: Tensor) -> tuple[Tensor, Tensor]:
    x = x.clone().requires_grad_(True)
    out = net(x)
    return out.detach(), torch.autograd.grad(out.square().sum(), x)[0]


def true_slope(call: Call) -> Tensor:
    h = call.h.detach().clone().requires_grad_(True)
    (slope,) = torch.autograd.grad(call.phi.value(h).sum(), h)
    return call.with_slope(Factor(slope))


def test_each_form_is_one_layer(net: Around) -> None:
    (layer,) = find_layers(net, normal(5, 4))
    assert layer.number == 0
    assert layer.neurons == 6


def test_true_slopes_change_no_bit(net: Around) -> None:
    x = 3 * normal(50, 4)
    out, gradient = under(true_slope, net, x)
    expected, expected_gradient = plain(net, x)
    assert torch.equal(out, expected)
    assert torch.equal(gradient, expected_gradient)


def test_slope_multiplies_the_gradient_and_keeps_the_value(net: Around) -> None:
    x, slope = normal(5, 4), normal(5, 6, seed=1)
    out, gradient = under(lambda call: call.with_slope(Factor(slope.view(call.h.shape))), net, x)
    assert torch.equal(out, net(x))
    by_hand = (2 * out @ net.last.weight * slope) @ net.first.weight
    torch.testing.assert_close(gradient, by_hand)


def test_answer_reaches_the_network(net: Around) -> None:
    x, other = normal(5, 4), normal(5, 6, seed=1)
    with Gates(lambda call: call.answer(other.view(call.h.shape))):
        out = net(x)
    assert torch.equal(out, net.last(other))


def test_slopes_inside_residual_blocks() -> None:
    net, x = small_cnn(), normal(4, 2, 6, 6)
    out, gradient = under(true_slope, net, x)
    expected, expected_gradient = plain(net, x)
    assert torch.equal(out, expected)
    torch.testing.assert_close(gradient, expected_gradient, rtol=1e-12, atol=1e-14)


def test_layers_not_selected_are_left_alone() -> None:
    net, x = small_cnn(), normal(4, 2, 6, 6)
    met: list[int] = []

    def rule(call: Call) -> Tensor:
        met.append(call.layer)
        return call.original()

    for layers, expected in ((frozenset[int](), []), (frozenset({2, 7}), [2, 7])):
        met.clear()
        with Gates(rule, layers) as gates:
            out = net(x)
        assert torch.equal(out, net(x))
        assert (met, gates.seen) == (expected, 9)


def test_calls_are_numbered_in_order() -> None:
    layers = find_layers(small_cnn(), normal(2, 2, 6, 6))
    assert [layer.number for layer in layers] == list(range(9))
    names = ["prelu", "relu", "relu", "relu_", "relu", "relu", "leaky_relu", "hardtanh", "hardtanh"]
    assert [layer.name for layer in layers] == names
    assert [layer.shape for layer in layers] == [(4, 4, 4)] * 6 + [(4, 2, 2), (8,), (8,)]


def test_one_module_used_many_times() -> None:
    linear, relu = nn.Linear(4, 4), nn.ReLU()
    net = nn.Sequential(linear, relu, linear, relu, linear, relu)
    assert [layer.number for layer in find_layers(net, torch.zeros(2, 4))] == [0, 1, 2]


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_exported_program_has_the_same_layers() -> None:
    forms = [FORMS[name] for name in FORMS if "view" not in name and "aten" not in name]

    class All(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.modules_used = nn.ModuleList(form for form in forms if isinstance(form, nn.Module))
            self.linear = nn.Linear(6, 6, dtype=torch.float64)

        def forward(self, x: Tensor) -> Tensor:
            for form in forms:
                x = self.linear(form(self.linear(x)))
            return x

    net, x = All().eval(), normal(3, 6)
    rows = torch.export.Dim("rows")
    exported = without_guards(torch.export.export(net, (x,), dynamic_shapes=({0: rows},)))
    listed, original = find_layers(exported, x), find_layers(net, x)
    assert [layer.number for layer in listed] == list(range(len(forms)))
    assert [layer.phi.breaks for layer in listed] == [layer.phi.breaks for layer in original]
    assert torch.equal(under(true_slope, exported, x)[0], net(x))


@pytest.mark.parametrize(
    "other",
    [
        F.gelu,
        lambda h: F.threshold(h, 1.0, 0.0),
        lambda h: h.clamp(1.0, -1.0),
        lambda h: h + h.long().clamp(min=0),
        lambda h: h * h.amax(1, keepdim=True),
    ],
    ids=["smooth", "a jump", "bounds in the wrong order", "integers", "a choice of many"],
)
def test_what_is_no_sum_of_hinges_is_no_layer(other: Callable[[Tensor], Tensor]) -> None:
    assert find_layers(Around(other), normal(5, 4)) == []


def test_a_clamped_weight_is_no_neuron() -> None:
    weight = nn.Parameter(torch.ones(4, 4)).requires_grad_(False)

    def net(x: Tensor) -> Tensor:
        return F.relu(x @ weight.clamp(min=0))

    x = torch.zeros(4, 4)
    (layer,) = find_layers(net, x)
    assert layer.number == 1
    assert select("0", [layer]) == frozenset({1})
    assert count_neurons(net, x) == 4


def test_looking_leaves_the_input_alone() -> None:
    x = normal(3, 4)
    kept = x.clone()
    find_layers(Around(torch.relu_), x)
    assert torch.equal(x, kept)
    assert not x.requires_grad


def test_neurons_of_the_mnist_network_of_table_1() -> None:
    x = torch.zeros(1, 1, 28, 28)
    assert count_neurons(mnist_cnn(), x) == 8396
    assert count_neurons(mnist_cnn(), x) + x.numel() == 9180
    assert count_neurons(mnist_cnn(), x, "last:1") == 100


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        ("all", {0, 1, 2, 3, 4}),
        ("last:2", {3, 4}),
        ("last:5", {0, 1, 2, 3, 4}),
        ("0,3", {0, 3}),
        ("-1", {4}),
        (" 1, -2 ", {1, 3}),
        ([2, 2], {2}),
        ((0, -1), {0, 4}),
        (range(3), {0, 1, 2}),
        ([], set()),
        (lambda layer: layer.number % 2 == 1, {1, 3}),
        (lambda layer: layer.name == "relu_", {2}),
    ],
)
def test_selection(layers: object, expected: set[int]) -> None:
    among = find_layers(Block(2), torch.zeros(1, 2, 3, 3))
    assert select(layers, among) == frozenset(expected)


@pytest.mark.parametrize(
    "layers", ["", "first", "last:", "last:0", "last:-1", "last:6", "5", "-6", "0,,1", "1.5", [1.5], [None], [5], 3]
)
def test_wrong_selections(layers: object) -> None:
    among = find_layers(Block(2), torch.zeros(1, 2, 3, 3))
    with pytest.raises(UsageError, match="layers="):
        select(layers, among)


def test_layer_counts_its_neurons() -> None:
    (layer,) = find_layers(nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU()), torch.zeros(3, 1, 5, 5))
    assert isinstance(layer, Layer)
    assert (layer.shape, layer.neurons) == ((2, 3, 3), 18)
