"""Every drawing returns axes, takes given ones, and shows the numbers that it was given."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor, nn

from adrgd import Box, GraduatedADR, LinfBall, Misclassify, Output, maximize
from adrgd.attacks import Attack, Threat, attack_batch
from adrgd.attacks.smallest.minimum import Minimum, smallest_changes
from adrgd.errors import MissingExtraError, UsageError
from adrgd.plot import (
    Plane,
    count_polytopes,
    gallery,
    gate_histogram,
    loss_against_passes,
    robust_accuracy,
    slice_2d,
)
from adrgd.plot.gates import soft_gates
from adrgd.watch import follow

X = torch.rand(4, 5, generator=torch.Generator().manual_seed(1))
FLAT = nn.Sequential(nn.Linear(2, 6), nn.ReLU(), nn.Linear(6, 1))
DRAWINGS: dict[str, Callable[[nn.Module, Axes | None], Axes]] = {
    "robust accuracy": lambda net, axes: robust_accuracy(torch.tensor([0.0, 0.5]), axes),
    "loss against passes": lambda net, axes: loss_against_passes(ascent(net), axes),
    "gate histogram": lambda net, axes: gate_histogram(net, X, 0.1, axes),
    "slice": lambda net, axes: slice_2d(Output(FLAT), None, axes, points=11),
}


def ascent(net: nn.Module) -> Any:
    return maximize(Output(net), X, domain=Box(0, 1), steps=7, history=True)


@pytest.mark.parametrize("drawing", DRAWINGS)
def test_given_axes_are_drawn_into_and_returned(drawing: str, mlp: nn.Module, axes: Axes) -> None:
    assert DRAWINGS[drawing](mlp, axes) is axes
    assert axes.has_data()


@pytest.mark.parametrize("drawing", DRAWINGS)
def test_axes_are_made_where_none_are_given(drawing: str, mlp: nn.Module) -> None:
    made = DRAWINGS[drawing](mlp, None)
    assert made.has_data()
    made.figure.canvas.draw()


def test_robust_accuracy_is_the_share_beyond_each_radius(mlp: nn.Module, axes: Axes) -> None:
    distances = torch.tensor([0.0, 0.2, 0.2, 0.7, torch.inf])
    line = robust_accuracy({"a": distances}, axes, upto=1.0).lines[0]
    radii, shares = np.asarray(line.get_xdata()), np.asarray(line.get_ydata())
    for radius in (0.0, 0.1, 0.3, 0.9):
        assert shares[np.searchsorted(radii, radius, side="right") - 1] == pytest.approx(
            float((distances > radius).double().mean())
        )


def test_robust_accuracy_takes_what_is_found(mlp: nn.Module, axes: Axes) -> None:
    found = smallest_changes(mlp, X, mlp(X).argmax(1), Minimum(norm="l2", passes=120, steps=10))
    shares = {eps: found.robust_accuracy(eps) for eps in (0.1, 0.3)}
    robust_accuracy({"curve": found, "points": shares}, axes)
    assert list(axes.lines[1].get_ydata()) == list(shares.values())
    robust_accuracy(shares, axes)  # a single curve of shares


def test_loss_against_passes_ends_at_the_passes_and_the_loss(mlp: nn.Module, axes: Axes) -> None:
    solution = ascent(mlp)
    line = loss_against_passes({"ours": solution}, axes).lines[0]
    assert np.asarray(line.get_xdata())[-1] == float((solution.forwards + solution.backwards).max())
    assert np.asarray(line.get_ydata())[-1] == pytest.approx(float(solution.value.mean()))


def test_loss_against_passes_of_an_attack(mlp: nn.Module, axes: Axes) -> None:
    result = attack_batch(mlp, X, mlp(X).argmax(1), Attack(threat=Threat(eps=0.1), steps=5), check=False)
    assert len(loss_against_passes(result, axes).lines[0].get_xdata()) == 6


def test_a_run_without_a_history_is_a_sentence(mlp: nn.Module, axes: Axes) -> None:
    with pytest.raises(UsageError, match="history=True"):
        loss_against_passes({"a": maximize(Output(mlp), X, domain=Box(0, 1), steps=1)}, axes)


@pytest.mark.parametrize("channels", [1, 3])
def test_gallery_shows_the_images(channels: int) -> None:
    clean = torch.rand(2, channels, 4, 5)
    found = (clean + 0.1).clamp(0, 1)
    axes = Figure().subplots(3, 2)
    assert (gallery(clean, found, axes, above=["a", "b"], below=["c", "d"]) == axes).all()
    shown = torch.as_tensor(np.asarray(axes[2, 1].images[0].get_array()))
    assert torch.equal(shown, found[1].permute(1, 2, 0) if channels == 3 else found[1, 0])
    assert gallery(clean, found).shape == (3, 2)


@pytest.mark.parametrize("wrong", ["shapes", "axes"])
def test_gallery_says_what_does_not_fit(wrong: str) -> None:
    clean = torch.rand(2, 1, 4, 5)
    with pytest.raises(UsageError):
        gallery(clean, clean[:1]) if wrong == "shapes" else gallery(clean, clean, Figure().subplots(2, 2))


def test_soft_gates_are_the_chances_to_be_active(mlp: nn.Module) -> None:
    """Of the first layer, whose inputs are the noise itself: against as many draws as it takes."""
    x, sigma = X[:1], 0.3
    gates = soft_gates(mlp, x, sigma, layers=[0])[0]
    noise = torch.randn(20000, 5, generator=torch.Generator().manual_seed(0))
    drawn = (mlp[0](x + sigma * noise) > 0).float().mean(0)
    torch.testing.assert_close(gates[0], drawn, atol=0.02, rtol=0)


def test_soft_gates_become_the_true_pattern(mlp: nn.Module) -> None:
    for soft, true in zip(soft_gates(mlp, X, 1e-9), soft_gates(mlp, X, 0), strict=True):
        torch.testing.assert_close(soft, true)
    estimated = soft_gates(mlp, X, 0.3, probes=400)
    for a, b in zip(estimated, soft_gates(mlp, X, 0.3), strict=True):
        torch.testing.assert_close(a, b, atol=0.05, rtol=0)


def test_histogram_sums_to_one(mlp: nn.Module, axes: Axes) -> None:
    gate_histogram(mlp, X, [0.1, 1.0], axes)
    for stairs in axes.patches:
        assert stairs.get_data().values.sum() == pytest.approx(1)
    with pytest.raises(UsageError, match="no piecewise-linear"):
        gate_histogram(nn.Linear(5, 2), X, 0.1, axes)
    with pytest.raises(UsageError, match="negative"):
        gate_histogram(mlp, X, -1.0, axes)


def test_plane_finds_its_own_points() -> None:
    centre, first, second = torch.rand(3, 2, 3)
    plane = Plane.through(centre, first, second)
    where = plane.coordinates(torch.stack([centre, first, plane.points(torch.tensor([0.3]), torch.tensor([-2.0]))[0]]))
    expected = torch.tensor([[0, 0], [1, 0], [0.3, -2]], dtype=torch.float64)
    torch.testing.assert_close(where, expected, atol=1e-5, rtol=0)
    back = plane.points(*plane.coordinates(second[None]).T.float())
    torch.testing.assert_close(back[0], second)
    with pytest.raises(UsageError, match="one line"):
        Plane.through(centre, first, 2 * first - centre)


def test_polytopes_of_two_neurons(axes: Axes) -> None:
    def cross(x: Tensor) -> Tensor:
        return x.relu().sum(1)

    assert count_polytopes(cross, points=10) == 4
    slice_2d(cross, axes=axes, points=10)
    assert len([c for c in axes.collections if c.get_zorder() == 1]) == 2  # one zero set a neuron


def test_a_slice_takes_paths_of_solvers(mlp: nn.Module, axes: Axes) -> None:
    ball = LinfBall(X, 0.5)
    runs = {"graduated": follow(Misclassify(mlp, mlp(X).argmax(1)), X, ball, GraduatedADR(), 5).points[:, 0]}
    plane = Plane.through(X[0], X[1], X[2])
    slice_2d(Output(mlp), plane, axes, points=9, trajectories=runs)
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["graduated"]
    with pytest.raises(UsageError, match="one number a row"):
        slice_2d(mlp, plane, axes, points=3)


def test_without_matplotlib_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.delitem(sys.modules, "adrgd.plot")
    with pytest.raises(MissingExtraError, match=r'pip install ".*\[plot\]"'):
        importlib.import_module("adrgd.plot")
