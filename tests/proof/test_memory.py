"""A proof that finds no room ends alone: what the search found stays, and the reason is said."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from falsify.problems import SUM_AND_DIFFERENCE, save_linear, vnnlib
from recheck.nets import mlp
from torch import nn

from adrgd import Box, Output, maximize
from adrgd.attacks import Certifier, Threat
from adrgd.cli import run as cli
from adrgd.falsify import falsify
from adrgd.proof.input_split import InputSplit
from adrgd.proof.neuron_split import NeuronSplit
from adrgd.proof.write import Writer

pytest.importorskip("onnxruntime")


def of_python(*_: Any, **__: Any) -> None:
    raise MemoryError


def of_torch(*_: Any, **__: Any) -> None:
    torch.empty(2**50, dtype=torch.float64)


def of_numpy(*_: Any, **__: Any) -> None:
    np.empty(2**50)


KINDS = [of_python, of_torch, of_numpy]


@pytest.fixture(params=KINDS, ids=lambda kind: kind.__name__)
def no_room(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Every proof runs out of memory, as Python, torch or numpy say it."""
    act: Callable[..., None] = request.param
    for way in (InputSplit, NeuronSplit):
        monkeypatch.setattr(way, "run", act)
    return act


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    prop = tmp_path / "prop.vnnlib"
    prop.write_text(vnnlib("(>= Y_0 3)"))
    return save_linear(tmp_path / "net.onnx", SUM_AND_DIFFERENCE), prop


@pytest.mark.parametrize(("patience", "timeout", "answer"), [(1, 60.0, "unknown"), (10**6, 1.0, "timeout")])
def test_without_a_counterexample_the_search_goes_on(
    patience: int, timeout: float, answer: str, files: tuple[Path, Path], no_room: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adrgd.falsify.run.PATIENCE", patience)
    found = falsify(*files, timeout=timeout)
    assert found.answer == answer
    assert "it ran out of memory" in found.message
    assert found.passes > 0


def test_a_counterexample_of_the_search_stays(files: tuple[Path, Path], no_room: Any) -> None:
    files[1].write_text(vnnlib("(>= Y_0 1.9)"))
    found = falsify(*files, timeout=20.0)
    assert found.answer == "sat"
    assert found.counterexample is not None


def test_other_errors_are_not_hidden(files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    monkeypatch.setattr(InputSplit, "run", broken)
    with pytest.raises(RuntimeError, match="multiplied"):
        falsify(*files, timeout=5.0)


def test_a_certificate_is_undecided(no_room: Any) -> None:
    torch.manual_seed(0)
    found = Certifier(nn.Linear(20, 2).eval(), Threat(eps=1e-3)).certify(torch.rand(20), 0, seconds=2.0)
    assert (found.verdict, found.reason) == ("undecided", "it ran out of memory")


def test_a_value_stays_without_its_bound(no_room: Any) -> None:
    net = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 1))
    found = maximize(Output(net), torch.zeros(1, 3), domain=Box(-1, 1), steps=3, bound=1.0)
    assert found.bounded is not None
    assert found.bounded.reasons == ("it ran out of memory",)
    assert found.value.isfinite().all()


@pytest.mark.parametrize("act", KINDS, ids=lambda kind: kind.__name__)
def test_unsat_stays_without_its_file(
    act: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "net.onnx").write_bytes(mlp(0))
    (tmp_path / "prop.vnnlib").write_text(vnnlib("(>= Y_0 1000)"))
    monkeypatch.setattr(Writer, "proof", act)
    words = [str(tmp_path / name) for name in ("net.onnx", "prop.vnnlib")]
    assert cli(["falsify", *words, "--proof", str(tmp_path / "proof")]) == 1
    printed = capsys.readouterr()
    assert printed.out == "unsat\n"
    assert "memory" in printed.err
    assert not (tmp_path / "proof").exists()


@pytest.mark.parametrize("fail", KINDS)
def test_a_search_without_memory_takes_fewer_runs(
    fail: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from adrgd.falsify import search

    whole, tried = search.maximize, []

    def limited(objective: Any, start: Any, *more: Any, **named: Any) -> Any:
        tried.append(len(start))
        return fail() if len(start) > most else whole(objective, start, *more, **named)

    monkeypatch.setattr(search, "maximize", limited)
    net = save_linear(tmp_path / "net.onnx", SUM_AND_DIFFERENCE)
    (tmp_path / "prop.vnnlib").write_text(vnnlib("(>= Y_0 1)"))
    most = 2
    assert falsify(net, tmp_path / "prop.vnnlib", prove=False).answer == "sat"
    assert max(tried) > 2
    most = 0
    found = falsify(net, tmp_path / "prop.vnnlib", timeout=20.0, prove=False)
    assert (found.answer, found.message) == ("unknown", "the search ran out of memory")
    (tmp_path / "prop.vnnlib").write_text(vnnlib("(>= Y_0 3)"))
    assert falsify(net, tmp_path / "prop.vnnlib").answer == "unsat"
