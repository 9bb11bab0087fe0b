"""Certified maxima against enumeration, known optima and hostile arguments."""

from __future__ import annotations

import json
import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import Clock
from torch import nn

from adrgd.errors import DomainError, ModelError, UsageError
from adrgd.exact import Certificate, Mlp, certify, mlp_from_module
from adrgd.exact.pool import Pool


def recipe_mlp(sizes: list[int], seed: int) -> Mlp:
    """Uniform weights and biases rounded to float32, layer by layer."""
    rng = np.random.default_rng(seed)
    layers = []
    for inputs, outputs in pairwise(sizes):
        weight = rng.uniform(-1, 1, (outputs, inputs)).astype(np.float32)
        bias = rng.uniform(-1, 1, (outputs,)).astype(np.float32)
        layers.append((torch.from_numpy(weight), torch.from_numpy(bias)))
    return Mlp.from_layers(layers)


def grid(count: int, inputs: int) -> torch.Tensor:
    axis = torch.linspace(-1, 1, count, dtype=torch.float64)
    return torch.cartesian_prod(*[axis] * inputs).reshape(-1, inputs)


def check(mlp: Mlp, found: Certificate, low: float = -1.0, high: float = 1.0) -> None:
    assert found.upper_bound >= found.value
    assert float(mlp(found.point[None])) == found.value
    assert ((found.point >= low) & (found.point <= high)).all()
    assert found.gap == pytest.approx((found.upper_bound - found.value) / abs(found.value))


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("sizes", [[1, 12, 1], [1, 10, 10, 1], [1, 6, 6, 6, 1]])
def test_one_input_against_a_fine_grid(sizes: list[int], seed: int) -> None:
    mlp = recipe_mlp(sizes, seed)
    found = certify(mlp, -1.0, 1.0, tolerance=1e-6)
    check(mlp, found)
    best = float(mlp(grid(20001, 1)).max())
    assert found.proven
    assert best <= found.upper_bound
    assert found.value >= best - 1e-6 * abs(found.value) - 1e-9


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("sizes", [[2, 16, 1], [2, 12, 12, 1], [2, 8, 8, 8, 1]])
def test_two_inputs_against_a_fine_grid(sizes: list[int], seed: int) -> None:
    mlp = recipe_mlp(sizes, seed)
    found = certify(mlp, -1.0, 1.0, tolerance=1e-6)
    check(mlp, found)
    best = float(mlp(grid(301, 2)).max())
    assert found.proven
    assert best <= found.upper_bound
    assert found.value >= best - 1e-6 * abs(found.value) - 1e-9


def test_affine_networks_are_solved_at_a_corner() -> None:
    mlp = recipe_mlp([7, 1], 0)
    found = certify(mlp, -1.0, 1.0, tolerance=1e-12)
    exact = float(mlp.weights[0].abs().sum() + mlp.biases[0])
    assert found.proven
    assert found.value == pytest.approx(exact, rel=1e-14)
    assert found.upper_bound == pytest.approx(exact, rel=1e-12)
    assert torch.equal(found.point, mlp.weights[0][0].sign())


def test_minimum_by_negation_and_combinations() -> None:
    mlp = recipe_mlp([2, 10, 3], 1)
    values = mlp(grid(301, 2))
    row = [0.5, -1.0, 2.0]
    lowest = certify(mlp.output(1).negated(), -1.0, 1.0)
    assert -lowest.value <= float(values[:, 1].min()) + 1e-4 * abs(lowest.value)
    assert -lowest.upper_bound <= float(values[:, 1].min())
    mixed = certify(mlp.combined(row, offset=-3.0), -1.0, 1.0)
    best = float((values @ torch.tensor(row, dtype=torch.float64)).max()) - 3.0
    assert best <= mixed.upper_bound
    assert mixed.value >= best - 1e-4 * abs(best)


def test_box_with_fixed_inputs() -> None:
    mlp = recipe_mlp([3, 10, 10, 1], 2)
    lower = torch.tensor([-1.0, 0.25, -0.5])
    upper = torch.tensor([1.0, 0.25, -0.5])
    found = certify(mlp, lower, upper, tolerance=1e-6)
    line = grid(4001, 1) * torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64) + torch.tensor([0, 0.25, -0.5])
    best = float(mlp(line).max())
    assert found.proven
    assert best <= found.upper_bound
    assert found.value >= best - 1e-6 * abs(best)
    assert found.point[1:].tolist() == [0.25, -0.5]
    point = certify(mlp, upper, upper)
    assert point.proven
    assert torch.equal(point.point, upper.double())


def test_constant_zero_network() -> None:
    mlp = Mlp.from_layers([(torch.zeros(4, 2), torch.zeros(4)), (torch.ones(1, 4), torch.zeros(1))])
    found = certify(mlp, -1.0, 1.0)
    assert found.proven
    assert found.value == 0
    assert 0 <= found.upper_bound <= 1e-9


@pytest.mark.parametrize("name", ["4-64-64-1 0", "5-64-64-1 1", "10-16-16-1 4", "4-200-200-1 1"])
def test_known_optima(assets: Path, name: str) -> None:
    path = assets / "exact" / "known_optima.json"
    if not path.is_file():
        pytest.skip("the file of known optima is missing")
    entries: list[dict[str, Any]] = json.loads(path.read_text())
    entry = next(e for e in entries if f"{'-'.join(map(str, e['layers']))} {e['seed']}" == name)
    mlp = recipe_mlp(entry["layers"], entry["seed"])
    found = certify(mlp, -1.0, 1.0, time_limit=60.0)
    check(mlp, found)
    assert found.proven
    assert found.value <= entry["upper_bound"] * (1 + 1e-12)
    assert found.value >= entry["maximum"] * (1 - 1e-4)
    assert found.upper_bound >= entry["maximum"] * (1 - 1e-12)


def test_start_points_are_used_and_moved_into_the_box() -> None:
    mlp = recipe_mlp([6, 20, 20, 1], 0)
    best = certify(mlp, -1.0, 1.0)
    again = certify(mlp, -1.0, 1.0, start=best.point, time_limit=0.0)
    assert again.value >= best.value
    outside = certify(mlp, -1.0, 1.0, start=[[9.0] * 6, [0.0] * 6], time_limit=0.0)
    check(mlp, outside)


def test_time_limit_returns_a_valid_bound(clock: Clock) -> None:
    """It is looked at before every batch of boxes, and often during the search for a start."""
    mlp = recipe_mlp([10, 64, 64, 1], 0)
    found = certify(mlp, -1.0, 1.0, time_limit=50.0, batch=64)
    assert 50 <= found.seconds <= 60
    check(mlp, found)
    assert not found.proven
    assert found.open_nodes > 0
    assert "time limit" in found.status
    longer = certify(mlp, -1.0, 1.0, time_limit=100.0, batch=64)
    assert found.value <= longer.upper_bound <= certify(mlp, -1.0, 1.0, time_limit=0.0).upper_bound


@pytest.mark.parametrize("options", [{"batch": 1}, {"batch": 7}, {"open_limit": 1}])
def test_search_order_does_not_change_the_answer(options: dict[str, int]) -> None:
    mlp = recipe_mlp([4, 12, 12, 1], 3)
    usual = certify(mlp, -1.0, 1.0)
    other = certify(mlp, -1.0, 1.0, **options)
    assert usual.proven
    assert other.proven
    assert other.value == pytest.approx(usual.value, rel=1e-4)


def test_tolerance_below_rounding_ends_with_an_honest_status() -> None:
    mlp = recipe_mlp([4, 12, 12, 1], 3)
    found = certify(mlp, -1.0, 1.0, tolerance=0.0, absolute_tolerance=0.0, time_limit=600.0)
    assert not found.proven
    assert found.gap < 1e-10
    assert "rounding" in found.status


@pytest.mark.parametrize("tolerance", [1e-2, 1e-5, 1e-8])
def test_gap_keeps_to_the_tolerance(tolerance: float) -> None:
    for seed in range(8):
        found = certify(recipe_mlp([2, 10, 10, 1], seed), -1.0, 1.0, tolerance=tolerance, absolute_tolerance=0.0)
        assert found.proven
        assert found.gap <= tolerance


def test_interrupt_returns_the_state() -> None:
    mlp = recipe_mlp([10, 64, 64, 1], 0)
    calls = []

    def interrupt(state: Certificate) -> None:
        calls.append(state)
        if len(calls) == 5:
            raise KeyboardInterrupt

    found = certify(mlp, -1.0, 1.0, progress=interrupt)
    check(mlp, found)
    assert found.status == "stopped by the user"
    assert found.upper_bound <= calls[0].upper_bound
    bounds = [state.upper_bound for state in calls]
    assert bounds == sorted(bounds, reverse=True)


@pytest.mark.parametrize(
    ("lower", "upper"),
    [
        (1.0, -1.0),
        (-math.inf, 1.0),
        (-1.0, math.nan),
        ([-1.0, -1.0], 1.0),
        (torch.zeros(3), torch.tensor([1.0, -1e-9, 1.0])),
        (torch.zeros(3, 1), 1.0),
        (-1e308, 1e308),
    ],
)
def test_bad_boxes(lower: Any, upper: Any) -> None:
    with pytest.raises(DomainError):
        certify(recipe_mlp([3, 4, 1], 0), lower, upper)


@pytest.mark.parametrize("start", [[[0.0, 0.0]], [[0.0, math.nan, 0.0]], torch.zeros(1, 1, 3)])
def test_bad_starts(start: Any) -> None:
    with pytest.raises(DomainError):
        certify(recipe_mlp([3, 4, 1], 0), -1.0, 1.0, start=start)


@pytest.mark.parametrize(
    "options",
    [{"tolerance": -1.0}, {"tolerance": 1.0}, {"absolute_tolerance": math.nan}, {"time_limit": math.nan}, {"batch": 0}],
)
def test_bad_options(options: dict[str, float]) -> None:
    with pytest.raises(UsageError):
        certify(recipe_mlp([3, 4, 1], 0), -1.0, 1.0, **options)  # type: ignore[arg-type]


def test_only_scalar_networks() -> None:
    with pytest.raises(ModelError, match="one output"):
        certify(recipe_mlp([3, 4, 2], 0), -1.0, 1.0)


def test_modules_are_read_layer_by_layer() -> None:
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Flatten(),
        nn.Sequential(nn.Linear(6, 8), nn.Linear(8, 5, bias=False), nn.ReLU(), nn.ReLU()),
        nn.Identity(),
        nn.Linear(5, 3),
        nn.ReLU(),
    ).double()
    points = torch.randn(50, 2, 3, dtype=torch.float64)
    expected = module(points).detach()
    mlp = mlp_from_module(module)
    assert (mlp.inputs, mlp.hidden, mlp.outputs) == (6, 2, 3)
    torch.testing.assert_close(mlp(points.flatten(1)), expected)
    one = mlp_from_module(module, output=-1, offset=2.0)
    torch.testing.assert_close(one(points.flatten(1))[:, 0], expected[:, 2] + 2)
    mixed = mlp_from_module(module, output=[1.0, -1.0, 0.0])
    torch.testing.assert_close(mixed(points.flatten(1))[:, 0], expected[:, 0] - expected[:, 1])


@pytest.mark.parametrize(
    "module",
    [
        nn.Sequential(nn.Linear(2, 2), nn.Tanh(), nn.Linear(2, 1)),
        nn.Sequential(nn.Conv2d(1, 1, 1)),
        nn.Sequential(nn.ReLU(), nn.Linear(2, 1)),
        nn.Sequential(nn.Linear(2, 3), nn.Linear(2, 1)),
        nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(2, 1)),
        nn.Sequential(nn.Flatten()),
    ],
)
def test_unreadable_modules(module: nn.Module) -> None:
    with pytest.raises(ModelError):
        mlp_from_module(module)


def test_bad_outputs() -> None:
    mlp = recipe_mlp([3, 4, 2], 0)
    with pytest.raises(UsageError, match="2 outputs"):
        mlp.output(2)
    with pytest.raises(UsageError, match="coefficient"):
        mlp.combined([1.0])


@pytest.mark.parametrize(
    "layers",
    [
        [],
        [(torch.ones(2), torch.ones(2))],
        [(torch.ones(2, 2), torch.ones(3))],
        [(torch.full((1, 2), math.nan), torch.ones(1))],
        [(torch.ones(2, 2), torch.ones(2)), (torch.ones(1, 3), torch.ones(1))],
    ],
)
def test_bad_layers(layers: list[tuple[torch.Tensor, torch.Tensor]]) -> None:
    with pytest.raises(ModelError):
        Mlp.from_layers(layers)


def test_pool_keeps_what_it_does_not_hand_out() -> None:
    generator = torch.Generator().manual_seed(0)
    pool = Pool(2, limit=3000)
    rest: list[float] = []
    for _ in range(30):
        bounds = torch.rand(400, dtype=torch.float64, generator=generator)
        pool.add(bounds[:, None].expand(-1, 2), bounds[:, None].expand(-1, 2) + 1, bounds)
        rest = sorted(rest + bounds.tolist())
        largest = len(rest) <= 3000
        lower, upper, taken = pool.take(250)
        assert torch.equal(lower[:, 0], taken)
        assert torch.equal(upper[:, 1], taken + 1)
        expected, rest = (rest[-250:], rest[:-250]) if largest else (rest[:250], rest[250:])
        assert sorted(taken.tolist()) == expected
        assert pool.highest() == rest[-1]
    assert pool.drop(0.5) == sum(bound <= 0.5 for bound in rest)
    assert len(pool) == sum(bound > 0.5 for bound in rest)
