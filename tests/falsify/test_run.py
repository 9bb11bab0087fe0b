"""One instance from its files to the verdict."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from conftest import Clock

from adrgd import ModelError, UsageError
from adrgd.bounds.lowering import STAIRS
from adrgd.falsify import PropertyError, Replay, falsify, load_property, read_counterexample
from adrgd.solution import NonFiniteError

from .problems import SUM_AND_DIFFERENCE, save_linear, vnnlib

pytest.importorskip("onnxruntime")


@pytest.fixture
def net(tmp_path: Path) -> Path:
    return save_linear(tmp_path / "net.onnx", SUM_AND_DIFFERENCE)


@pytest.fixture
def prop(tmp_path: Path) -> Path:
    return tmp_path / "prop.vnnlib"


@pytest.mark.parametrize(
    "formula",
    [
        "(>= Y_0 1.9)",
        "(or (>= Y_0 3) (and (<= Y_1 -1.9) (<= Y_0 0.1)) (>= Y_1 3))",
        "(and (<= Y_0 Y_1) (>= Y_0 -0.5) (<= X_0 (* -1 X_1)))",
        "(<= -1 1)",
    ],
)
def test_counterexamples_survive_their_text(formula: str, net: Path, prop: Path) -> None:
    prop.write_text(vnnlib(formula))
    verdict = falsify(net, prop)
    assert verdict.answer == "sat"
    assert verdict.text().startswith("sat\n((X_0 ")
    x, y = read_counterexample(verdict.text().removeprefix("sat"))
    again = Replay(net).confirms(load_property(prop), x)
    assert again is not None
    assert again.y.tolist() == y.tolist()
    assert verdict.seconds >= verdict.load_seconds + verdict.search_seconds - 1e-6


def test_time_runs_out(net: Path, prop: Path, clock: Clock) -> None:
    """What was spent before counts, and so does reading the files; then every iteration takes one tick."""
    prop.write_text(vnnlib("(>= Y_0 2.5)"))
    verdict = falsify(net, prop, timeout=200, prove=False)
    assert (verdict.answer, verdict.counterexample, verdict.text()) == ("timeout", None, "timeout")
    assert verdict.rounds > 0
    assert 200 <= verdict.seconds <= 205
    late = falsify(net, prop, timeout=200, spent=190, prove=False)
    assert 200 <= late.seconds <= 205
    assert late.search_seconds < 15


def test_tolerance_decides(net: Path, prop: Path) -> None:
    prop.write_text(vnnlib("(>= Y_0 2.00005)"))
    assert falsify(net, prop).answer == "unsat"
    assert falsify(net, prop, tolerance=1e-4).answer == "sat"


def test_nothing_to_search(net: Path, prop: Path) -> None:
    prop.write_text(vnnlib("(<= X_0 -2)"))
    verdict = falsify(net, prop)
    assert verdict.answer == verdict.text() == "unsat"
    assert "contradict each other" in verdict.message


def test_one_point_is_all_there_is(net: Path, prop: Path) -> None:
    prop.write_text(vnnlib("(>= Y_0 0.3)", box=("0.1", "0.1")))
    assert falsify(net, prop).answer == "unsat"
    verdict = falsify(net, prop, prove=False)
    assert verdict.answer == "unknown"
    assert "all that there was" in verdict.message
    prop.write_text(vnnlib("(>= Y_0 0.2)", box=("0.1", "0.1")))
    verdict = falsify(net, prop)
    assert verdict.counterexample is not None
    assert verdict.counterexample.x.tolist() == [0.1, 0.1]


@pytest.mark.parametrize(
    "then", [None, "Relu", "LeakyRelu", "Sigmoid", "Tanh", "HardSigmoid", "Softplus", "Elu", "Abs", "Sin", "Floor"]
)
def test_what_holds_is_proven_where_there_are_bounds(
    then: str | None, prop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without bounds the search ends once it finds nothing better, and says why there is no proof."""
    monkeypatch.setattr("adrgd.falsify.run.PATIENCE", 2)
    monkeypatch.delitem(STAIRS, "floor")
    net = save_linear(tmp_path / "net.onnx", SUM_AND_DIFFERENCE, then=then)
    prop.write_text(vnnlib("(>= (+ Y_0 Y_1) 7)"))
    verdict = falsify(net, prop, timeout=30.0)
    if then == "Floor":
        assert (verdict.answer, verdict.text()) == ("unknown", "unknown")
        assert "no bounds are known for floor" in verdict.message
    else:
        assert (verdict.answer, verdict.text(), verdict.message) == ("unsat", "unsat", "")
        assert verdict.nodes > 0
        assert verdict.proven == pytest.approx(1)


@pytest.mark.parametrize("error", [MemoryError("full"), RuntimeError("DefaultCPUAllocator: can't allocate memory")])
def test_a_proof_without_memory_leaves_the_search_alone(
    error: Exception, net: Path, prop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr("adrgd.falsify.run.PATIENCE", 2)
    monkeypatch.delitem(STAIRS, "floor")
    monkeypatch.setattr("adrgd.proof.attempt.start", fail)
    prop.write_text(vnnlib("(>= Y_0 3)"))
    verdict = falsify(net, prop, timeout=30.0)
    assert verdict.answer == "unknown"
    assert "ran out of memory" in verdict.message
    prop.write_text(vnnlib("(>= Y_0 1)"))
    assert falsify(net, prop).answer == "sat"


def test_same_seed_same_counterexample(net: Path, prop: Path) -> None:
    prop.write_text(vnnlib("(>= Y_0 1.5)", "(<= Y_1 0.1)"))
    first, second = (falsify(net, prop, seed=3).text() for _ in range(2))
    assert first == second


def test_files_that_do_not_belong_together(net: Path, prop: Path) -> None:
    prop.write_text(vnnlib("(<= Y_0 0)", inputs=3))
    with pytest.raises(PropertyError, match="network's 2 inputs, found 3"):
        falsify(net, prop)
    prop.write_text(vnnlib("(<= Y_0 0)", outputs=3))
    with pytest.raises(PropertyError, match="network's 2 outputs, found 3"):
        falsify(net, prop)


def test_bad_requests(net: Path, prop: Path, tmp_path: Path) -> None:
    prop.write_text(vnnlib("(<= Y_0 0)"))
    for settings in ({"timeout": 0.0}, {"timeout": float("nan")}, {"tolerance": -1.0}, {"tolerance": float("inf")}):
        with pytest.raises(UsageError, match="the t"):
            falsify(net, prop, **settings)
    odd = save_linear(tmp_path / "odd.onnx", SUM_AND_DIFFERENCE, then="NonMaxSuppression")
    with pytest.raises(ModelError):
        falsify(odd, prop)


def test_starts_without_a_finite_value_are_dropped(prop: Path, tmp_path: Path) -> None:
    """The logarithm of a sum is finite for half of the starts; that of minus a square never is."""
    net = save_linear(tmp_path / "log.onnx", SUM_AND_DIFFERENCE, then="Log")
    prop.write_text(vnnlib("(>= Y_0 0.6)"))
    verdict = falsify(net, prop, timeout=20.0)
    assert verdict.answer == "sat"
    prop.write_text(vnnlib("(>= Y_0 0.6)", box=("-1", "-0.5")))
    with pytest.raises(NonFiniteError):
        falsify(net, prop, timeout=20.0)


def test_cases_and_networks_are_left_alone(net: Path, prop: Path) -> None:
    prop.write_text(vnnlib("(>= Y_0 1.5)"))
    before = torch.get_default_dtype(), torch.is_grad_enabled(), torch.random.get_rng_state()
    falsify(net, prop)
    after = torch.get_default_dtype(), torch.is_grad_enabled(), torch.random.get_rng_state()
    assert before[:2] == after[:2]
    assert torch.equal(before[2], after[2])
