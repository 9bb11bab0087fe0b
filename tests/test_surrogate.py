"""The paper's equations, against the same equations written out by hand."""

from __future__ import annotations

import pytest
import torch
from networks import Mlp, normal, small_cnn
from torch import Tensor, nn

from adrgd.errors import UsageError
from adrgd.gates import find_layers
from adrgd.rows import RowRandom
from adrgd.surrogate import (
    descent_direction,
    estimated_squared_norms,
    exact_norms,
    gated,
    hinge_values,
    normals,
    sigmoid_gates,
    true_pattern,
)

MLP = Mlp(5, 12, 10, 8, 1)


def output(x: Tensor) -> Tensor:
    return MLP(x)[:, 0]


def uniform_like(hinges: list[Tensor], seed: int = 0) -> list[Tensor]:
    """Numbers in [0, 1), one tensor a hinge."""
    random = torch.Generator().manual_seed(seed)
    return [torch.rand(h.shape, generator=random, dtype=h.dtype) for h in hinges]


def feasible(hinges: list[Tensor], least: float, most: float) -> list[Tensor]:
    """Equation 7: eta on the side of 1/2 that the true pattern asks for, `least` to `most` away from it."""
    away = [least + (most - least) * u for u in uniform_like(hinges)]
    return [torch.where(h >= 0, 0.5 + a, 0.5 - a) for h, a in zip(hinges, away, strict=True)]


NETS: dict[str, tuple[nn.Module, Tensor]] = {
    "mlp": (MLP, normal(20, 5)),
    "deep mlp": (Mlp(3, 6, 6, 6, 6, 6, 2, seed=1), normal(20, 3)),
    "cnn": (small_cnn(), normal(6, 2, 6, 6)),
    "large values": (small_cnn(1), 30 * normal(6, 2, 6, 6)),
}


@pytest.fixture(params=NETS)
def net_and_x(request: pytest.FixtureRequest) -> tuple[nn.Module, Tensor]:
    return NETS[request.param]


def test_proposition_5_1(net_and_x: tuple[nn.Module, Tensor]) -> None:
    """With the true pattern as gates the network and all its pre-activations are unchanged."""
    net, x = net_and_x
    out, hinges = hinge_values(net, x)
    same, inner = gated(net, x, true_pattern(hinges))
    assert torch.equal(out, net(x))
    torch.testing.assert_close(same, out, rtol=1e-10, atol=1e-10)
    for h, again in zip(hinges, inner, strict=True):
        torch.testing.assert_close(again, h, rtol=1e-10, atol=1e-10)


def test_hinges_are_one_tensor_a_break() -> None:
    net, x = NETS["cnn"]
    _, hinges = hinge_values(net, x)
    breaks = [len(layer.phi.breaks) for layer in find_layers(net, x)]
    assert breaks == [1, 1, 1, 1, 1, 1, 1, 2, 2]
    assert len(hinges) == sum(breaks)
    torch.testing.assert_close(hinges[-2] - hinges[-1], torch.full_like(hinges[-1], 2.0))  # Hardtanh: -1 and 1


def test_pattern_counts_zero_as_active() -> None:
    """Equation 4."""
    (pattern,) = true_pattern([torch.tensor([[-1e-30, -0.0, 0.0, 2.0]])])
    assert pattern.tolist() == [[0.0, 1.0, 1.0, 1.0]]


def test_only_the_selected_layers_take_gates() -> None:
    net, x = NETS["cnn"]
    _, hinges = hinge_values(net, x, frozenset({2, 7}))
    assert [tuple(h.shape[1:]) for h in hinges] == [(4, 4, 4), (8,), (8,)]
    torch.testing.assert_close(gated(net, x, true_pattern(hinges), frozenset({2, 7}))[0], net(x))


def test_equation_3_by_hand() -> None:
    x, gates = NETS["mlp"][1], uniform_like(hinge_values(*NETS["mlp"])[1])
    out, hinges = gated(MLP, x, gates)
    for row in range(len(x)):
        expected = MLP.by_hand(x[row], [g[row] for g in gates])
        for h, by_hand in zip([*hinges, out], expected, strict=True):
            torch.testing.assert_close(h[row], by_hand)


def test_equation_6_approaches_the_network() -> None:
    """The sigmoid surrogate of a feasible eta comes closer as alpha grows."""
    for net, x in NETS.values():
        out, hinges = hinge_values(net, x)
        eta = feasible(hinges, 0.02, 0.5)
        errors = [(gated(net, x, sigmoid_gates(eta, alpha))[0] - out).abs().max() for alpha in (20, 200, 2000)]
        assert errors[0] > errors[1] > errors[2]
        assert errors[2] <= 1e-12 * out.abs().max() + 1e-11


def test_definition_5_3() -> None:
    eta = torch.tensor([0.0, 0.499, 0.5, 0.501, 1.0], dtype=torch.float64)
    for alpha in (1.0, 20.0, 2000.0):
        torch.testing.assert_close(sigmoid_gates([eta], alpha)[0], 1 / (1 + torch.exp(-alpha * (eta - 0.5))))
    assert torch.equal(sigmoid_gates([eta])[0], sigmoid_gates([eta], 2000.0)[0])


def sgn(value: float) -> int:
    return 1 if value > 0 else 0


def sgn_hat(value: float) -> int:
    return 2 * sgn(value) - 1


def brute_force_direction(net: Mlp, x: Tensor, nu: list[Tensor]) -> list[Tensor]:
    """Equation 5 for one row, neuron by neuron; the output is affine in each gate, so that its derivative by one is
    the output with the gate at 1 minus the output with the gate at 0."""
    h = net.by_hand(x, nu)
    found = [torch.zeros_like(v) for v in nu]
    for i, v in enumerate(nu):
        for j in range(len(v)):
            if h[i][j] == 0:
                continue
            ends = []
            for value in (1.0, 0.0):
                changed = [g.clone() for g in nu]
                changed[i][j] = value
                ends.append(net.by_hand(x, changed)[-1].item())
            slope = (ends[0] - ends[1]) / h[i][j].item()
            side = sgn_hat(v[j].item() - 0.5)
            found[i][j] = side * min(sgn_hat(slope) * side, 0)
    return found


@pytest.mark.parametrize("pattern", ["true", "random"])
def test_definition_5_2_against_equation_5(pattern: str) -> None:
    x = normal(6, 5, seed=3)
    _, hinges = hinge_values(MLP, x)
    nu = true_pattern(hinges) if pattern == "true" else [u.round() for u in uniform_like(hinges)]
    found = descent_direction(output, x, nu)
    for row in range(len(x)):
        expected = brute_force_direction(MLP, x[row], [v[row] for v in nu])
        for direction, by_hand in zip(found, expected, strict=True):
            assert torch.equal(direction[row], by_hand)
    moves = torch.cat([direction.flatten() for direction in found])
    assert {move.item() for move in moves.unique()} == {-1.0, 0.0, 1.0}


def test_definition_5_2_at_zero() -> None:
    """h = 0 gives no direction; a derivative of zero counts as negative, and switches an active gate off."""
    net = Mlp(2, 4, 1)
    net.W = [torch.zeros(4, 2, dtype=torch.float64), torch.tensor([[1.0, 0.0, -1.0, 1.0]], dtype=torch.float64)]
    net.b = [torch.tensor([0.0, 1.0, 1.0, -1.0], dtype=torch.float64), torch.zeros(1, dtype=torch.float64)]
    x = torch.ones(1, 2, dtype=torch.float64)
    nu = [torch.tensor([[1.0, 1.0, 1.0, 0.0]], dtype=torch.float64)]
    (found,) = descent_direction(lambda points: net(points)[:, 0], x, nu)
    assert found.tolist() == [[0.0, -1.0, -1.0, 1.0]]
    assert found[0].tolist() == brute_force_direction(net, x[0], [nu[0][0]])[0].tolist()


def test_direction_survives_tiny_numbers_and_unused_layers() -> None:
    def tiny(x: Tensor) -> Tensor:
        torch.relu(x)  # an output that nobody reads
        return torch.relu(1e-30 * x).sum(1)

    x = torch.tensor([[1.0, -1.0]])  # float32, where 1e-30 * 1e-30 is zero
    _, hinges = hinge_values(tiny, x)
    unread, read = descent_direction(tiny, x, true_pattern(hinges))
    assert read.tolist() == [[0.0, 1.0]]
    assert unread.tolist() == [[-1.0, 0.0]]


def test_proposition_5_4() -> None:
    """Wherever eta is feasible, equation 13 (the gradient on eta, divided by h) never points against Definition 5.2."""
    x = normal(30, 5, seed=4)
    _, hinges = hinge_values(MLP, x)
    directions = descent_direction(output, x, true_pattern(hinges))
    for least, most in ((0.01, 0.012), (0.002, 0.015), (0.02, 0.5)):
        eta = [e.requires_grad_(True) for e in feasible(hinges, least, most)]
        out, inner = gated(output, x, sigmoid_gates(eta, 2000.0))
        gradients = torch.autograd.grad(out.sum(), eta)
        for direction, gradient, h in zip(directions, gradients, inner, strict=True):
            product = direction * gradient / h
            assert (product >= 0).all()
            if most <= 0.015:  # further out the sigmoid's own slope vanishes
                assert (product[direction != 0] > 0).all()


def test_equation_10_by_hand() -> None:
    x, gates = NETS["mlp"][1], uniform_like(hinge_values(*NETS["mlp"])[1])
    found, norms = normals(MLP, x, gates), exact_norms(MLP, x, gates)
    for row in range(len(x)):
        expected = MLP.rows_by_hand([g[row] for g in gates])[:-1]
        for P, length, by_hand in zip(found, norms, expected, strict=True):
            torch.testing.assert_close(P[row], by_hand.T)
            torch.testing.assert_close(length[row], by_hand.norm(dim=1))


@pytest.mark.parametrize("layers", [None, frozenset({1, 4, 7})])
def test_equation_10_by_reverse_differentiation(layers: frozenset[int] | None) -> None:
    """Also behind convolutions, shared modules and layers that keep their true gates."""
    net, x = small_cnn(), normal(2, 2, 6, 6)
    gates = uniform_like(hinge_values(net, x, layers)[1])
    found = normals(net, x, gates, layers)
    for row in range(len(x)):
        own = [g[row : row + 1] for g in gates]

        def hinges_of_row(point: Tensor, own: list[Tensor] = own) -> tuple[Tensor, ...]:
            return tuple(h[0] for h in gated(net, point[None], own, layers)[1])

        jacobians = torch.autograd.functional.jacobian(hinges_of_row, x[row])
        for P, jacobian in zip(found, jacobians, strict=True):
            torch.testing.assert_close(P[row], jacobian.flatten(-3).movedim(-1, 0))


@pytest.mark.parametrize(("name", "rows"), [("mlp", 4000), ("cnn", 800)])
def test_estimated_norms_are_unbiased(name: str, rows: int) -> None:
    """(P v)^2 has mean ||P||^2 and standard deviation sqrt(2) ||P||^2."""
    net, x = NETS[name]
    x = x[:1]
    gates = uniform_like(hinge_values(net, x)[1])
    exact = [length.square()[0] for length in exact_norms(net, x, gates)]
    wide = [g.expand(rows, *g.shape[1:]) for g in gates]
    random, probes = RowRandom.seeded(0, torch.arange(rows)), 2
    found = estimated_squared_norms(net, x.expand(rows, *x.shape[1:]), wide, random, probes=probes)
    for estimate, value in zip(found, exact, strict=True):
        assert estimate.shape == (rows, *value.shape)
        score = (estimate.mean(0) - value) / (value * (2 / (rows * probes)) ** 0.5).clamp_min(1e-30)
        assert score.abs().max() < 5
        assert score.abs().max() > 0.1


def test_estimate_uses_the_hinges_it_is_given() -> None:
    x = normal(20, 5)
    gates = uniform_like(hinge_values(MLP, x)[1])
    random = RowRandom.seeded(1, torch.arange(20))
    own = estimated_squared_norms(MLP, x, gates, random, t=3)
    given = estimated_squared_norms(MLP, x, gates, random, t=3, hinges=gated(MLP, x, gates)[1])
    other = estimated_squared_norms(MLP, x, gates, random, t=4)
    for a, b, c in zip(own, given, other, strict=True):
        assert torch.equal(a, b)
        assert not torch.equal(a, c)


@pytest.mark.parametrize("count", [1, 3])
def test_a_wrong_number_of_gates_is_refused(mlp: nn.Module, count: int) -> None:
    with pytest.raises(UsageError, match="one gate for each"):
        gated(mlp, torch.rand(2, 5), [torch.ones(2, 16)] * count)
