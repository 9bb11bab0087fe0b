"""The secant gates: norms from the last step, at the price of plain gradients."""

import pytest
import torch
from torch import Tensor, nn

from adrgd import Box, maximize
from adrgd.domain import LinfBall
from adrgd.rows import RowRandom
from adrgd.solvers import PGD, GraduatedSecant, SecantGates
from adrgd.solvers.solver import Problem


def problem(network: nn.Module, x: Tensor, steps: int = 10) -> Problem:
    """The sum of the network's outputs around x, within radius 2."""
    rows = torch.arange(len(x))
    return Problem(
        objective=lambda points: network(points).sum(1), takes_rows=False,
        domain=LinfBall(x, eps=2.0, box=Box(-9.0, 9.0)).bind(x), rows=rows, restart=torch.zeros_like(rows),
        random=RowRandom.seeded(0, rows), steps=steps,
    )  # fmt: skip


def true_gradient(network: nn.Module, x: Tensor) -> Tensor:
    points = x.clone().requires_grad_(True)
    (gradient,) = torch.autograd.grad(network(points).sum(), points)
    return gradient


def test_norms_are_those_of_the_step(mlp: nn.Module) -> None:
    """||P_j||^2 = (w_j dx)^2 / mean square of dx, for dx in radii; then a running mean."""
    x = torch.rand(6, 5)
    task, gates = problem(mlp, x), SecantGates(memory=0.25)
    state = gates.evaluate(task, x, gates.start(task, x), 0).state
    fresh = []
    for t in (1, 2):
        dx = torch.randn(6, 5, generator=torch.Generator().manual_seed(t))
        x = x + dx
        state = gates.evaluate(task, x, state, t).state
        fresh.append((dx @ mlp[0].weight.T).square() / (dx / 2).square().mean(1, keepdim=True))
        if t == 1:
            torch.testing.assert_close(state.square[0], fresh[0], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(state.square[0], 0.25 * fresh[0] + 0.75 * fresh[1], rtol=1e-4, atol=1e-5)


def test_the_first_and_the_last_iterations_are_exact(mlp: nn.Module) -> None:
    x = torch.rand(3, 5)
    task, gates = problem(mlp, x), SecantGates(until=0.5)
    first = gates.evaluate(task, x, gates.start(task, x), 0)
    assert torch.equal(first.gradient, true_gradient(mlp, x))
    x = x + 0.3
    second = gates.evaluate(task, x, first.state, 1)
    assert not torch.allclose(second.gradient, true_gradient(mlp, x))
    assert torch.equal(gates.evaluate(task, x, second.state, 5).gradient, true_gradient(mlp, x))


def test_rows_that_did_not_move_keep_their_norms(mlp: nn.Module) -> None:
    x = torch.rand(2, 5)
    task, gates = problem(mlp, x), SecantGates()
    state = gates.evaluate(task, x, gates.start(task, x), 0).state
    x = x + 0.2
    state = gates.evaluate(task, x, state, 1).state
    x = x + torch.tensor([[0.0], [0.1]])
    after = gates.evaluate(task, x, state, 2).state
    for old, new in zip(state.square, after.square, strict=True):
        assert torch.equal(old[0], new[0])
        assert not torch.equal(old[1], new[1])


def test_it_costs_what_plain_gradients_cost(mlp: nn.Module) -> None:
    x = torch.rand(4, 5)
    spent = [
        maximize(lambda points: mlp(points).sum(1), x, domain=Box(-1.0, 1.0), solver=solver, steps=12)
        for solver in (GraduatedSecant(), PGD())
    ]
    for name in ("forwards", "backwards"):
        assert torch.equal(getattr(spent[0], name), getattr(spent[1], name))


@pytest.mark.parametrize("inplace", [False, True])
def test_operations_in_place(inplace: bool) -> None:
    torch.manual_seed(0)
    parts = [nn.Linear(4, 16), nn.ReLU(inplace), nn.Linear(16, 16), nn.ReLU(inplace), nn.Linear(16, 1)]
    net = nn.Sequential(*parts).requires_grad_(False)
    x = torch.rand(3, 4)
    found = maximize(lambda p: net(p)[:, 0], x, domain=Box(-1.0, 1.0), solver=GraduatedSecant(), steps=20)
    other = nn.Sequential(*(nn.ReLU() if isinstance(part, nn.ReLU) else part for part in parts))
    same = maximize(lambda p: other(p)[:, 0], x, domain=Box(-1.0, 1.0), solver=GraduatedSecant(), steps=20)
    assert torch.equal(found.x, same.x)


def test_flat_activations_lead_somewhere() -> None:
    """The sign function's own gradient is zero everywhere."""
    torch.manual_seed(0)
    first, last = nn.Linear(6, 64).requires_grad_(False), nn.Linear(64, 1).requires_grad_(False)
    x = torch.zeros(5, 6)

    def objective(points: Tensor) -> Tensor:
        return last(first(points).sign())[:, 0]

    found = maximize(objective, x, domain=Box(-1.0, 1.0), solver=GraduatedSecant(), steps=40)
    assert (found.value > objective(x) + 0.5).all()
