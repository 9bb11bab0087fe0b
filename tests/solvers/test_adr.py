"""ADR-GD against a literal, one-row reading of Algorithm 1, and what each of its switches does."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from adrgd import ADRGD, Box, SearchedGates, UsageError, maximize
from adrgd.loop import Loop
from adrgd.solvers import PRESETS, SETTINGS, preset
from adrgd.solvers.adr import Pattern
from adrgd.solvers.solver import Problem
from adrgd.solvers.steps import Normalised

SETTINGS_TABLE_UNTARGETED_MNIST = (250, 2.0, 1.0, 0.25, 0.001, 0.1, 1e-4, 0.1, 5)


def algorithm_1(mlp: nn.Sequential, x: Tensor, gates: SearchedGates, alpha_x: float, steps: int) -> list[Tensor]:
    """One row, loops over layers, matrices multiplied out: x_0 .. x_steps, without perturbations of eta."""
    W = [layer.weight for layer in mlp if isinstance(layer, nn.Linear)]
    b = [layer.bias for layer in mlp if isinstance(layer, nn.Linear)]
    beta, eta, h = gates.beta0, [], x
    for Wi, bi in zip(W[:-1], b[:-1], strict=True):
        h = Wi @ h + bi
        eta.append(0.5 + gates.margin * torch.where(h >= 0, 1.0, -1.0).to(x))
        h = h.clamp_min(0)
    visited = [x]
    for _ in range(steps):
        x = x.detach().requires_grad_(True)
        eta = [e.detach().requires_grad_(True) for e in eta]
        original, surrogate, P, loss = x, x, torch.eye(len(x), dtype=x.dtype), x.new_zeros(())
        for Wi, bi, e in zip(W[:-1], b[:-1], eta, strict=True):
            h, P = Wi @ original + bi, Wi @ P
            distance = h / P.norm(dim=1)
            loss = loss + (distance * (0.5 - e).clamp_min(0)).clamp_min(0).sum()
            loss = loss + (-distance * (e - 0.5).clamp_min(0)).clamp_min(0).sum()
            s = torch.sigmoid(gates.alpha * (e - 0.5))
            surrogate = s * (Wi @ surrogate + bi)
            original, P = h.clamp_min(0), torch.diag(s.detach()) @ P
        total = -(W[-1] @ surrogate + b[-1]).sum() + beta * loss
        gx, *geta = torch.autograd.grad(total, [x, *eta])
        x = (x - alpha_x * gx / gx.norm()).detach().clamp(-1, 1)
        eta = [
            (e - gates.alpha_eta * g / g.norm().clamp_min(1e-300)).detach().clamp(0, 1)
            for e, g in zip(eta, geta, strict=True)
        ]
        beta = max(0.0, beta - gates.gamma if loss <= gates.delta_beta else beta + gates.alpha_beta * loss.item())
        visited.append(x)
    return visited


@pytest.mark.parametrize("beta0", [0.5, 5.0])
def test_follows_algorithm_1(mlp: nn.Sequential, beta0: float) -> None:
    network = mlp.double()
    gates = SearchedGates(
        beta0=beta0, alpha_eta=0.05, alpha_beta=0.01, gamma=0.01, delta_beta=0.01, perturb=False, norms="exact"
    )
    x0 = torch.rand(3, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) - 0.5

    def objective(x: Tensor) -> Tensor:
        out: Tensor = network(x).sum(1)
        return out

    solver = ADRGD(gates=gates, step=Normalised(length=0.3))
    expected = [algorithm_1(network, row, gates, 0.3, 12) for row in x0]
    for steps in (1, 5, 12):
        wanted = torch.stack([row[steps] for row in expected])
        assert torch.allclose(last_point(objective, x0, solver, steps), wanted, atol=1e-9), steps


def last_point(objective: object, x0: Tensor, solver: ADRGD, steps: int) -> Tensor:
    """The point that is evaluated last."""
    points: list[Tensor] = []

    def watch(x: Tensor) -> Tensor:
        points.append(x.detach().clone())
        out: Tensor = objective(x)  # type: ignore[operator]
        return out

    maximize(watch, x0, domain=Box(-1.0, 1.0), solver=solver, steps=steps, check=False)
    return points[-1]


def start(mlp: nn.Module, gates: SearchedGates, x: Tensor) -> tuple[Problem, Pattern]:
    run = Loop(
        lambda p: mlp(p).sum(1), x, Box(-1.0, 1.0), ADRGD(gates=gates), 50, restarts=1, first_restart=0, seed=0,
        identity=None, history=False,
    )  # fmt: skip
    return run.problem, gates.start(run.problem, x)


def moved(mlp: nn.Module, gates: SearchedGates, *, shake: float = 0.0, iterations: int = 1) -> tuple[Tensor, Pattern]:
    """The direction for x and the next state, from a pattern that disagrees with x when `shake` > 0."""
    x = torch.rand(2, 5, generator=torch.Generator().manual_seed(3)) - 0.5
    problem, state = start(mlp, gates, x)
    draw = torch.Generator().manual_seed(5)
    sides = [torch.where(torch.rand(e.shape, generator=draw) < shake, -1.0, 1.0) for e in state.eta]
    state = replace(state, eta=[0.5 + (e - 0.5) * side for e, side in zip(state.eta, sides, strict=True)])
    direction = torch.zeros_like(x)
    for t in range(iterations):
        _, direction, state, _ = gates.evaluate(problem, x, state, t)
    return direction, state


def test_starts_at_the_true_pattern_where_both_networks_agree(mlp: nn.Module) -> None:
    x = torch.rand(2, 5) - 0.5
    gates = SearchedGates()
    problem, state = start(mlp, gates, x)
    evaluation = gates.evaluate(problem, x, state, 0)
    points = x.clone().requires_grad_(True)
    (true,) = torch.autograd.grad(mlp(points).sum(), points)
    assert torch.allclose(evaluation.gradient, true, atol=1e-5)
    assert torch.equal(evaluation.score.value, mlp(x).sum(1))


def test_m1_keeps_the_objective_away_from_eta(mlp: nn.Module) -> None:
    quiet = SearchedGates(eta_follows_objective=False, perturb=False)
    x = torch.rand(2, 5, generator=torch.Generator().manual_seed(3)) - 0.5
    _, before = start(mlp, quiet, x)
    _, after = moved(mlp, quiet)
    assert all(torch.equal(a, b) for a, b in zip(before.eta, after.eta, strict=True))
    _, searched = moved(mlp, replace(quiet, eta_follows_objective=True))
    assert not all(torch.equal(a, b) for a, b in zip(before.eta, searched.eta, strict=True))


def test_m2_keeps_the_constraint_away_from_x(mlp: nn.Module) -> None:
    pulled, _ = moved(mlp, SearchedGates(beta0=100.0), shake=0.5)
    free, _ = moved(mlp, SearchedGates(beta0=100.0, x_follows_constraint=False), shake=0.5)
    unweighted, _ = moved(mlp, SearchedGates(beta0=0.0), shake=0.5)
    assert torch.allclose(free, unweighted, atol=1e-6)
    assert not torch.allclose(pulled, unweighted, atol=1e-2)


def test_m3_leaves_out_the_norms(mlp: nn.Module) -> None:
    _, state = moved(mlp, SearchedGates(normalise_distance=False), shake=0.5)
    assert state.squares == []
    assert not torch.allclose(
        moved(mlp, SearchedGates(beta0=10.0, normalise_distance=False), shake=0.5)[0],
        moved(mlp, SearchedGates(beta0=10.0), shake=0.5)[0],
    )


def test_m4_and_the_clock_of_the_perturbations(mlp: nn.Module) -> None:
    """With a threshold that always holds, eta is perturbed every T_p-th iteration and not in between."""
    always = SearchedGates(delta=1e9, T_p=4, alpha_eta=1e-3, r=100.0)
    clocks = [moved(mlp, always, iterations=k)[1].perturbed for k in range(1, 11)]
    assert [int(c[0, 0]) for c in clocks] == [1, 1, 1, 1, 5, 5, 5, 5, 9, 9]
    still = replace(always, perturb=False)
    noisy, plain = moved(mlp, always, iterations=5)[1], moved(mlp, still, iterations=5)[1]
    assert not torch.allclose(noisy.eta[0], plain.eta[0], atol=1e-3)
    assert (moved(mlp, still, iterations=10)[1].perturbed == 1).all()


def test_beta_falls_when_the_constraint_holds_and_grows_when_it_does_not(mlp: nn.Module) -> None:
    _, calm = moved(mlp, SearchedGates(beta0=1.0, gamma=0.1, perturb=False))
    assert torch.allclose(calm.beta, torch.tensor(0.9))
    _, torn = moved(mlp, SearchedGates(beta0=1.0, alpha_beta=0.5, delta_beta=1e-6, perturb=False), shake=0.5)
    assert (torn.beta > 1.0).all()


def test_released_settings_clip_and_reset(mlp: nn.Module) -> None:
    gates = replace(preset("released-random-a").gates, reset_every=3, r=1e4, delta=1e9, T_p=1, perturb=True)
    _, wild = moved(mlp, gates, iterations=3)
    assert all(((e >= 0.3) & (e <= 0.7)).all() for e in wild.eta)
    assert ((wild.beta >= 0.2) & (wild.beta <= 10)).all()
    calm = replace(gates, r=0.0, alpha_eta=0.0)
    _, state = moved(mlp, calm, shake=0.5, iterations=4)
    x = torch.rand(2, 5, generator=torch.Generator().manual_seed(3)) - 0.5
    _, true = start(mlp, calm, x)
    assert all(torch.equal(a, b) for a, b in zip(state.eta, true.eta, strict=True))


def test_estimated_norms_match_exact_ones_on_average(mlp: nn.Module) -> None:
    x = torch.zeros(3000, 5)
    problem, state = start(mlp, SearchedGates(), x)
    _, _, estimated, _ = SearchedGates().evaluate(problem, x, state, 0)
    problem, state = start(mlp, SearchedGates(norms="exact"), x[:1])
    _, _, exact, _ = SearchedGates(norms="exact").evaluate(problem, x[:1], state, 0)
    for a, b in zip(estimated.squares, exact.squares, strict=True):
        assert torch.allclose(a.mean(0), b[0], rtol=0.15, atol=1e-4)


def test_every_row_of_the_settings_table_is_reachable() -> None:
    assert len(SETTINGS) == 13
    row = SETTINGS["mnist-untargeted"]
    found = (row.T, row.beta0, row.alpha_x, row.alpha_eta, row.alpha_beta, row.r, row.delta, row.delta_beta, row.T_p)
    assert found == SETTINGS_TABLE_UNTARGETED_MNIST
    for name, setting in SETTINGS.items():
        solver = preset(f"paper-{name}")
        assert (solver.gates.reduction, solver.gates.reset_every) == ("sum", 0)
        assert solver.gates.T_p == setting.T_p
        assert isinstance(solver.step, Normalised)
        assert solver.step.length == setting.alpha_x
    released = ("random-a", "random-b", "random-c", "mnist-untargeted", "mnist-targeted")
    for name in released:
        loose = preset(f"released-{name}").gates
        assert (loose.reduction, loose.reset_every) == ("max", 16)
        assert (loose.eta_range, loose.beta_range) == ((0.3, 0.7), (0.2, 10.0))
        assert loose.scale_objective == name.startswith("random")
    paper = {f"paper-{name}" for name in SETTINGS}
    assert set(PRESETS) == paper | {f"released-{name}" for name in released} | {"paper", "released"}


def test_needs_activations() -> None:
    with pytest.raises(UsageError, match="activation layer"):
        maximize(lambda x: x.sum(1), torch.zeros(2, 3), domain=Box(-1.0, 1.0), solver=ADRGD())
