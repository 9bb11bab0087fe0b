"""`adrgd maximize`: a point, its value, and a bound on request."""

import json
from pathlib import Path

import onnx
import pytest
import torch
from recheck.nets import mlp
from torch import nn

from adrgd.bounds.lowering import STAIRS
from adrgd.cli import run
from adrgd.exact import certify, mlp_from_module

from .saving import as_onnx


@pytest.fixture
def net() -> nn.Sequential:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(3, 12), nn.ReLU(), nn.Linear(12, 12), nn.ReLU(), nn.Linear(12, 2)).eval()


@pytest.fixture
def file(net: nn.Sequential, tmp_path: Path) -> str:
    onnx.save(as_onnx(net, (1, 3), 2), str(tmp_path / "net.onnx"))
    return str(tmp_path / "net.onnx")


@pytest.fixture
def words(file: str, tmp_path: Path) -> list[str]:
    return ["maximize", file, "--lower", "-1", "--upper", "1", "--out", str(tmp_path / "found.json")]


@pytest.mark.parametrize("sense", ["max", "min"])
def test_proven_optimum(
    sense: str, words: list[str], net: nn.Sequential, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    flags = ["--output", "1", "--exact", "--json"] + (["--minimize"] if sense == "min" else [])
    assert run([*words, *flags]) == 0
    result = json.loads(capsys.readouterr().out)
    scalar = mlp_from_module(net).output(1)
    known = certify(scalar if sense == "max" else scalar.negated(), -1.0, 1.0)
    sign = 1 if sense == "max" else -1
    assert result["proven"]
    assert result["value"] == pytest.approx(sign * known.value, rel=1e-4)
    assert (
        sign * result["value"] <= sign * result["bound"] <= sign * result["value"] + 1e-4 * abs(result["value"]) + 1e-9
    )
    assert net(torch.tensor(result["point"]))[1].item() == pytest.approx(result["value"], rel=1e-5)
    assert json.loads((tmp_path / "found.json").read_text()) == result


def test_search_alone_gives_a_point_without_a_bound(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(words) == 0
    out = capsys.readouterr().out
    assert out.startswith("max ")
    assert "bound  " not in out
    assert "no bound was asked for" in out


def test_corners_with_one_number_an_input(file: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    words = ["maximize", file, "--lower=-1,0,0.5", "--upper=1,0,2", "--json", "--out", str(tmp_path / "f.json")]
    assert run(words) == 0
    point = json.loads(capsys.readouterr().out)["point"]
    assert point[1] == 0.0
    assert 0.5 <= point[2] <= 2


def test_no_proof_in_time_still_prints_and_saves(
    words: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert run([*words, "--exact", "--timeout", "0", "--gap", "1e-9", "--json"]) == 1
    result = json.loads(capsys.readouterr().out)
    assert not result["proven"]
    assert result["bound"] >= result["value"]
    assert (tmp_path / "found.json").exists()


def test_networks_that_cannot_be_proven_keep_their_point(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "leaky.py").write_text(
        "from torch import nn\ndef net():\n    return nn.Sequential(nn.Linear(2, 4), nn.LeakyReLU(), nn.Linear(4, 1))\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    words = ["maximize", "leaky:net", "--shape", "2", "--lower", "0", "--upper", "1", "--exact"]
    assert run([*words, "--out", str(tmp_path / "found.json")]) == 2
    out, err = capsys.readouterr()
    assert out.startswith("max ")
    assert "leaky_relu" in err
    assert json.loads((tmp_path / "found.json").read_text())["proven"] is False


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--lower", "2"], "the box is empty"),
        (["--upper", "inf"], "--upper must be finite"),
        (["--upper", "nan"], "--upper must be finite"),
        (["--upper", "one"], "found 'one'"),
        (["--upper", "1,2"], "--upper has 2 numbers"),
        (["--output", "2"], "output index 2 is out of range"),
        (["--steps", "0"], "--steps"),
        (["--solver", "magic"], "unknown solver"),
    ],
)
def test_bad_usage(flags: list[str], sentence: str, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*words, *flags]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert sentence in err


def test_operators_that_are_not_known(net: nn.Sequential, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = as_onnx(net, (1, 3), 2)
    model.graph.node[1].op_type = "Unique"
    onnx.save(model, str(tmp_path / "odd.onnx"))
    assert run(["maximize", str(tmp_path / "odd.onnx"), "--lower", "0", "--upper", "1"]) == 2
    assert "Unique" in capsys.readouterr().err


def test_nothing_is_written_unless_asked(
    file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(tmp_path.rglob("*"))
    monkeypatch.chdir(tmp_path)
    assert run(["maximize", file, "--lower=-1/2", "--upper", "1", "--exact", "--device", "auto"]) == 0
    out = capsys.readouterr().out
    assert "relative gap" in out
    assert "saved" not in out
    assert sorted(tmp_path.rglob("*")) == before


def test_a_bound_beside_the_value(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "net.onnx"
    file.write_bytes(mlp(1, widths=(20, 6, 1)))
    words = ["maximize", str(file), "--lower", "-1", "--upper", "1", "--steps", "10", "--restarts", "2"]
    for more, sign in (([], 1), (["--minimize"], -1)):
        assert run([*words, "--bound", "1", "--json", *more]) == 0
        found = json.loads(capsys.readouterr().out)
        assert sign * found["bound"] >= sign * found["value"]
        assert found["gap"] == pytest.approx(abs(found["bound"] - found["value"]) / abs(found["value"]))
    assert run([*words, "--bound", "1"]) == 0
    assert "upper bound" in capsys.readouterr().out
    assert run([*words, "--bound", "1", "--exact"]) == 2
    assert "leave --bound away" in capsys.readouterr().err


def test_a_network_without_bounds_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(STAIRS, "floor")
    file = tmp_path / "net.onnx"
    file.write_bytes(mlp(1, "Floor", widths=(3, 6, 1)))
    assert run(["maximize", str(file), "--lower", "-1", "--upper", "1", "--steps", "3", "--bound", "1"]) == 0
    assert "there is no bound: no bounds are known for floor" in capsys.readouterr().out
