"""Bounds over boxes: never below the truth, exact where the network is affine."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import Tensor

from adrgd.exact import Mlp, bounds
from adrgd.exact.bounds import Bounder
from adrgd.exact.branching import cut, halve, score
from adrgd.exact.objective import bound_above, tighten
from adrgd.exact.relaxation import relax
from adrgd.exact.rounding import rounding_slack

SHAPES = [(3, 1), (4, 9, 1), (3, 8, 7, 1), (2, 6, 5, 7, 1), (3, 6, 5, 6, 4, 1)]


def random_mlp(sizes: tuple[int, ...], seed: int = 0) -> Mlp:
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> Tensor:
        return 2 * torch.rand(*shape, dtype=torch.float64, generator=generator) - 1

    return Mlp.from_layers([(draw(o, i), draw(o)) for i, o in pairwise(sizes)])


def random_boxes(count: int, inputs: int, width: float, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    centre = 2 * torch.rand(count, inputs, dtype=torch.float64, generator=generator) - 1
    radius = width * torch.rand(count, inputs, dtype=torch.float64, generator=generator) / 2
    return (centre - radius).clamp(-1, 1), (centre + radius).clamp(-1, 1)


def samples(lower: Tensor, upper: Tensor, count: int = 400) -> Tensor:
    """Points of each box, corners among them: (count, boxes, inputs)."""
    generator = torch.Generator().manual_seed(1)
    spread = torch.rand(count, *lower.shape, dtype=torch.float64, generator=generator)
    spread[: count // 2] = spread[: count // 2].round()
    return (lower + spread * (upper - lower)).clamp(lower, upper)


def pre_activations(mlp: Mlp, points: Tensor) -> list[Tensor]:
    found = []
    for weight, bias in zip(mlp.weights, mlp.biases, strict=True):
        found.append(points @ weight.T + bias)
        points = found[-1].relu()
    return found


def bounder(mlp: Mlp) -> Bounder:
    one = torch.ones(mlp.inputs, dtype=torch.float64)
    return Bounder(mlp, -one, one)


@pytest.mark.parametrize("sizes", SHAPES)
@pytest.mark.parametrize("width", [2.0, 0.3, 0.0])
def test_intervals_hold_every_sample(sizes: tuple[int, ...], width: float) -> None:
    mlp = random_mlp(sizes)
    lower, upper = random_boxes(20, mlp.inputs, width)
    truth = pre_activations(mlp, samples(lower, upper))
    intervals = bounder(mlp).intervals(lower, upper)
    assert len(intervals) == mlp.hidden
    for interval, values in zip(intervals, truth, strict=False):
        assert (values >= interval.lower).all()
        assert (values <= interval.upper).all()


@pytest.mark.parametrize("sizes", SHAPES)
@pytest.mark.parametrize("width", [2.0, 0.3, 0.0])
@pytest.mark.parametrize("steps", [0, 4])
def test_linear_bound_is_above_the_network(sizes: tuple[int, ...], width: float, steps: int) -> None:
    mlp = random_mlp(sizes)
    lower, upper = random_boxes(20, mlp.inputs, width)
    tool = bounder(mlp)
    relaxations, slack = tool.relaxations(lower, upper), float(tool.slack[-1])
    first = bound_above(mlp, lower, upper, relaxations, slack)
    linear = tighten(mlp, lower, upper, relaxations, slack, start=first, steps=steps)
    points = samples(lower, upper)
    values = mlp(points.reshape(-1, mlp.inputs)).reshape(points.shape[:2])
    line = (points * linear.slope).sum(2) + linear.offset
    assert (values <= line).all()
    assert (line <= linear.bound + slack).all()
    assert ((linear.vertex == lower) | (linear.vertex == upper)).all()
    assert (linear.bound <= first.bound).all()


@pytest.mark.parametrize("sizes", SHAPES)
def test_exact_where_no_neuron_changes_sign(sizes: tuple[int, ...]) -> None:
    mlp = random_mlp(sizes)
    lower, upper = random_boxes(60, mlp.inputs, 1e-3)
    tool = bounder(mlp)
    relaxations, slack = tool.relaxations(lower, upper), float(tool.slack[-1])
    stable = torch.ones(60, dtype=torch.bool)
    for relaxation in relaxations:
        stable &= ~relaxation.unstable.any(1)
    assert stable.sum() >= 30
    linear = bound_above(mlp, lower, upper, relaxations, slack)
    gap = linear.bound - mlp(linear.vertex)[:, 0]
    assert (gap[stable] <= 2 * slack).all()
    assert (gap >= 0).all()
    assert (score(mlp, lower, upper, relaxations).expand(60, -1)[stable] == 0).all()


def test_table_of_products_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    mlp = random_mlp((4, 9, 8, 1))
    lower, upper = random_boxes(15, 4, 1.0)
    fast = bounder(mlp).intervals(lower, upper)
    monkeypatch.setattr(bounds, "_PRODUCT_ENTRIES", 0)
    written_out = bounder(mlp).intervals(lower, upper)
    for one, other in zip(fast, written_out, strict=True):
        torch.testing.assert_close(one.lower, other.lower, rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(one.upper, other.upper, rtol=1e-12, atol=1e-12)


def test_backward_bounds_beat_interval_arithmetic() -> None:
    mlp = random_mlp((3, 20, 20, 1))
    lower, upper = random_boxes(10, 3, 0.2)
    first, second = bounder(mlp).intervals(lower, upper)
    low, high = first.lower.relu(), first.upper.relu()
    plain = (high - low) @ mlp.weights[1].abs().T
    assert (second.upper - second.lower).mean() < 0.6 * plain.mean()


def test_slope_steps_tighten() -> None:
    mlp = random_mlp((5, 16, 16, 1))
    lower, upper = random_boxes(50, 5, 1.0)
    relaxations = bounder(mlp).relaxations(lower, upper)
    first = bound_above(mlp, lower, upper, relaxations, 0.0)
    better = tighten(mlp, lower, upper, relaxations, 0.0, start=first, steps=5)
    assert (better.bound < first.bound).double().mean() > 0.8


def test_relaxation_encloses_relu() -> None:
    lower = torch.tensor([[-2.0, -1.0, -3.0, 1.0, 0.0, -1.0, 0.0]], dtype=torch.float64)
    upper = torch.tensor([[1.0, 2.0, -1.0, 4.0, 2.0, 0.0, 0.0]], dtype=torch.float64)
    relaxation = relax(lower, upper)
    assert relaxation.unstable.tolist() == [[True, True, False, False, False, False, False]]
    assert relaxation.lower_slope[0, :2].tolist() == [0.0, 1.0]
    for share in torch.linspace(0, 1, 11, dtype=torch.float64):
        z = lower + share * (upper - lower)
        assert (z.relu() <= relaxation.upper_slope * z + relaxation.upper_offset + 1e-15).all()
        assert (relaxation.lower_slope * z <= z.relu() + 1e-15).all()


def test_rounding_slack_is_small_and_covers_float64_noise() -> None:
    mlp = random_mlp((6, 40, 40, 1))
    one = torch.ones(6, dtype=torch.float64)
    slack = float(rounding_slack(mlp, -one, one)[-1])
    assert 0 < slack < 1e-9
    points = 2 * torch.rand(2000, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(3)) - 1
    backwards = points.flip(1), Mlp((mlp.weights[0].flip(1), *mlp.weights[1:]), mlp.biases)
    noise = (mlp(points) - backwards[1](backwards[0])).abs().max()
    assert noise < slack


def test_cut_keeps_every_point_above_the_threshold() -> None:
    mlp = random_mlp((3, 10, 10, 1))
    lower, upper = random_boxes(40, 3, 1.0)
    relaxations = bounder(mlp).relaxations(lower, upper)
    linear = bound_above(mlp, lower, upper, relaxations, 1e-12)
    points = samples(lower, upper)
    values = mlp(points.reshape(-1, 3)).reshape(points.shape[:2])
    threshold = float(values.quantile(0.8))
    new_lower, new_upper = cut(lower, upper, linear, threshold)
    inside = ((points >= new_lower) & (points <= new_upper)).all(2)
    assert inside[values > threshold].all()
    assert (~inside).any()
    assert ((new_lower >= lower) & (new_upper <= upper)).all()


def test_halves_cover_their_box() -> None:
    lower, upper = random_boxes(30, 4, 1.0)
    lower[0] = upper[0]
    scores = torch.rand(30, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    scores[1] = 0
    first, second, split = halve(lower, upper, scores)
    assert split.tolist() == [False] + [True] * 29
    one, other = (first[:29], second[:29]), (first[29:], second[29:])
    assert torch.equal(one[0], lower[1:])
    assert torch.equal(other[1], upper[1:])
    changed = one[1] != upper[1:]
    assert (changed.sum(1) == 1).all()
    assert torch.equal(changed, other[0] != lower[1:])
    assert torch.equal(one[1][changed], other[0][changed])
    assert int(changed[0].int().argmax()) == int((upper - lower)[1].argmax())
