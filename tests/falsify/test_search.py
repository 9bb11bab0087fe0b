"""The search on networks whose counterexamples are known, or known not to exist."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from conftest import Clock
from torch import Tensor

from adrgd import PGD
from adrgd.falsify.counterexample import Counterexample
from adrgd.falsify.rounds import ANYWHERE, Round, Walk, schedule
from adrgd.falsify.search import Accept, Found, search
from adrgd.falsify.violation import Violation, regions
from adrgd.falsify.vnnlib import read_property
from adrgd.models.onnx import OnnxNet, load_onnx
from adrgd.solvers import gating

from .problems import SUM_AND_DIFFERENCE, save_linear, vnnlib


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> OnnxNet:
    return load_onnx(save_linear(tmp_path_factory.mktemp("net") / "net.onnx", SUM_AND_DIFFERENCE))


@pytest.fixture(scope="module")
def sizes(tmp_path_factory: pytest.TempPathFactory) -> OnnxNet:
    """The positive and the negative part of each of four inputs, whose sum is their absolute value."""
    weight = [[float(sign * (i == j)) for j in range(4)] for i in range(4) for sign in (1, -1)]
    return load_onnx(save_linear(tmp_path_factory.mktemp("sizes") / "sizes.onnx", weight, then="Relu"))


@pytest.fixture(scope="module")
def signs(tmp_path_factory: pytest.TempPathFactory) -> OnnxNet:
    """Sixteen signs of fixed random planes: its true gradient is zero everywhere."""
    torch.manual_seed(0)
    weight = torch.randn(16, 8).tolist()
    return load_onnx(save_linear(tmp_path_factory.mktemp("signs") / "signs.onnx", weight, then="Sign"))


def yes(x: Tensor) -> Counterexample:
    return Counterexample(x, torch.zeros(2), 0)


def look(net: OnnxNet, text: str, until: float = math.inf, accept: Accept = yes, **more: object) -> Found:
    return search(net, read_property(text), deadline=until, seed=0, accept=accept, **more)  # type: ignore[arg-type]


def test_every_box_of_a_property_is_searched(net: OnnxNet) -> None:
    """Two boxes; only the second one holds a counterexample."""
    text = vnnlib(
        "(or (and (>= X_0 0) (<= X_0 0.1)) (and (>= X_0 0.9) (<= X_0 1)))", "(>= X_1 0.9)", "(>= Y_0 1.9)",
        box=("-1", "1"),
    )  # fmt: skip
    found = look(net, text)
    assert found.counterexample is not None
    x = found.counterexample.x
    assert x[0] >= 0.9
    assert x.sum() >= 1.9 - 1e-6


def test_a_candidate_that_is_refused_makes_the_search_go_further(net: OnnxNet) -> None:
    """The judge asks for more than the property does, as rounding can; a small margin is not enough at first."""

    def strict(x: Tensor) -> Counterexample | None:
        return yes(x) if x.sum() >= 1.001 else None

    found = look(net, vnnlib("(>= Y_0 1)"), accept=strict)
    assert found.counterexample is not None
    assert found.counterexample.x.sum() >= 1.001


def test_the_least_gap_is_reported_when_time_runs_out(net: OnnxNet, clock: Clock) -> None:
    found = look(net, vnnlib("(>= Y_0 2.5)"), until=clock.now + 200)
    assert found.counterexample is None
    assert not found.exhausted
    assert found.passes > 0
    assert found.gap == pytest.approx(-0.5)


def test_the_deadline_holds_inside_a_round(net: OnnxNet, clock: Clock) -> None:
    """Every iteration looks at the clock, and no pass begins after the deadline."""
    endless = [Round(1000, 10**6, PGD())]
    found = look(net, vnnlib("(>= Y_0 2.5)"), until=clock.now + 30, turns=endless)
    assert not found.exhausted
    assert found.passes <= 1000 * 2 * 30


def test_rounds_that_end_are_said_to_be_exhausted(net: OnnxNet) -> None:
    found = look(net, vnnlib("(>= Y_0 2.5)"), turns=[Round(4, 3, PGD())])
    assert (found.exhausted, found.rounds) == (True, 1)


def test_rounds_never_end() -> None:
    turns = schedule()
    assert len([next(turns) for _ in range(40)]) == 40


def test_signs_are_searched_by_their_soft_gradient(signs: OnnxNet) -> None:
    """Twelve outputs at once: a random point has all of them with a chance of about one in a thousand or less."""
    torch.manual_seed(1)
    with torch.no_grad():
        wanted = signs.float()(torch.rand(1, 8) * 2 - 1)[0]
    conditions = [f"(>= Y_{i} 0.5)" if wanted[i] > 0 else f"(<= Y_{i} -0.5)" for i in range(16)]
    text = vnnlib(*conditions, inputs=8, outputs=16)
    found = look(signs, text)
    assert found.counterexample is not None
    assert torch.equal(signs(found.counterexample.x.float()[None])[0], wanted)
    assert look(signs, text, turns=[Round(32, 100, PGD())]).counterexample is None


@pytest.mark.parametrize("also", [(), ("(>= Y_0 0.3)",)])
def test_a_walk_reaches_what_single_steps_do_not(sizes: OnnxNet, also: tuple[str, ...]) -> None:
    """All inputs have to be zero but for a thousandth, or one of them at a place of its own: the end of a walk."""
    total = "(+ " + " ".join(f"Y_{i}" for i in range(8)) + ")"
    text = vnnlib(f"(<= {total} {0.3005 if also else 0.001})", *also, inputs=4, outputs=8, box=("-0.5", "0.9"))
    short = Round(8, 2, PGD())
    assert look(sizes, text, turns=[short]).counterexample is None
    found = look(sizes, text, turns=[short, Walk()])
    assert found.counterexample is not None
    assert found.walked


def test_a_walk_needs_hinges_alone_and_goes_on_without(signs: OnnxNet) -> None:
    text = vnnlib("(>= Y_0 2)", inputs=8, outputs=16)
    assert not look(signs, text, turns=[Round(8, 2, PGD()), Walk()]).walked


def test_gaps_are_the_room_in_units_of_the_coefficients(net: OnnxNet) -> None:
    prop = read_property(vnnlib("(or (>= (* 2 Y_0) 3) (and (<= Y_0 (+ Y_1 1)) (>= X_0 -0.25)))"))
    groups = regions(prop, torch.float32)
    violation = Violation(net.float(), prop, groups, torch.float32)
    x = torch.tensor([[0.5, 0.25], [-0.5, 0.0]])
    at = torch.tensor([next(k for k, group in enumerate(groups) if 0 in group.cases)] * 2)
    first = violation.gaps(x, at)[:, 0]
    assert first.tolist() == pytest.approx([0.75 - 1.5, -0.5 - 1.5])


def test_a_box_between_two_numbers_of_the_precision_is_its_nearest_one() -> None:
    prop = read_property(vnnlib("(<= Y_0 0)", box=("0.1", "0.1")))
    (group,) = regions(prop, torch.float32)
    assert torch.equal(group.lower, group.upper)
    assert group.lower.tolist() == pytest.approx([0.1, 0.1], rel=1e-6)


def test_same_seed_same_rounds(net: OnnxNet, tmp_path: Path) -> None:
    text = vnnlib("(>= Y_0 1.6)", "(<= Y_1 -0.1)", "(>= Y_1 -0.2)")
    first, second = (look(net, text) for _ in range(2))
    assert first.counterexample is not None
    assert second.counterexample is not None
    assert torch.equal(first.counterexample.x, second.counterexample.x)
    assert first.passes == second.passes


@pytest.mark.parametrize("cases", [1, 2, 4, 5])
@pytest.mark.parametrize("constraints", [1, 4])
def test_what_the_property_chooses_is_no_activation_of_the_network(
    sizes: OnnxNet, cases: int, constraints: int
) -> None:
    """Its least room and largest gap are not counted, nor warned of, whatever their shapes are taken for."""
    joined = " ".join(f"(>= Y_{k} 9)" for k in range(constraints))
    text = vnnlib(f"(or {' '.join(f'(and {joined} (>= Y_7 {k}))' for k in range(cases))})", inputs=4, outputs=8)
    prop = read_property(text)
    groups = regions(prop, torch.float32)
    violation = Violation(sizes, prop, groups, torch.float32)
    region, focus = torch.zeros(8, dtype=torch.int64), torch.full((8,), -1)

    def value(x: Tensor) -> Tensor:
        return violation.score(x, region[: len(x)], focus[: len(x)]).value

    found = gating(ANYWHERE, value, torch.rand(8, 4))
    assert found is not None
    assert (found.seen, found.gated, found.plain, found.warning) == (1, {"relu": 1}, (), "")
