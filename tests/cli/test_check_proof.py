"""adrgd falsify --proof and adrgd check-proof as a user meets them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from falsify.problems import SUM_AND_DIFFERENCE, save_linear, vnnlib
from recheck.nets import Net, mlp
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from adrgd.cli import run
from adrgd.recheck.proof_file import NOTE

pytest.importorskip("onnxruntime")

WIDTHS = {"inputs": (2, 8, 6, 2), "neurons": (14, 12, 10, 2)}


@pytest.fixture(params=WIDTHS)
def files(request: pytest.FixtureRequest, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """A network, a property that holds, and its proof."""
    inputs = WIDTHS[request.param][0]
    (tmp_path / "net.onnx").write_bytes(mlp(3, widths=WIDTHS[request.param]))
    text = vnnlib("(>= Y_0 Y_1)", "(>= Y_0 100)", inputs=inputs, box=("-0.3", "0.2"))
    (tmp_path / "prop.vnnlib").write_text(text)
    words = [str(tmp_path / name) for name in ("net.onnx", "prop.vnnlib", "proof.safetensors")]
    assert run(["falsify", *words[:2], "--proof", words[2]]) == 0
    assert capsys.readouterr().out == "unsat\n"
    return words


def again(files: list[str], *more: str) -> int:
    return run(["check-proof", files[2], files[0], files[1], *more])


@pytest.mark.parametrize("exact", [[], ["--exact"]])
def test_a_proof_holds(files: list[str], exact: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert again(files, *exact) == 0
    printed = capsys.readouterr().out
    assert printed.startswith(f"proven: no input of {files[1]} violates it on {files[0]}\n")
    assert ("exact numbers" in printed) == bool(exact)
    assert again(files, "--json", *exact) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["proven"]
    assert found["leaves"] >= 1


def change(file: str, name: str, *, seal: bool) -> None:
    """Change some numbers of a file, and the note's sum too where `seal` is true."""
    with safe_open(file, "np") as opened:
        note = opened.metadata()
    arrays = load_file(file)
    arrays[name] = arrays[name] - 1 if arrays[name].dtype != np.uint16 else np.zeros_like(arrays[name])
    if seal:
        from adrgd.recheck.proof_file import _sum

        about = json.loads(note[NOTE])
        note = {NOTE: json.dumps(about | {"content": _sum(arrays)})}
    save_file(arrays, file, note)


def one_line(capsys: pytest.CaptureFixture[str]) -> str:
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    return printed.err


def test_a_changed_file_is_refused(files: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    change(files[2], "rows", seal=False)
    assert again(files) == 2
    assert "is not as it was written" in one_line(capsys)


def test_a_changed_file_with_a_new_checksum_is_refused(files: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    change(files[2], "rows", seal=True)
    assert again(files) == 1
    assert "multipliers" in one_line(capsys)


def test_other_files_are_refused(files: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    network = Path(files[0]).read_bytes()
    Path(files[0]).write_bytes(mlp(4, widths=(14, 12, 10, 2)))
    assert again(files) == 2
    assert "about another network" in one_line(capsys)
    Path(files[0]).write_bytes(network)
    text = Path(files[1]).read_text()
    Path(files[1]).write_text(text.replace("0.2", "0.25"))
    assert again(files) == 2
    assert "about another property" in one_line(capsys)
    Path(files[1]).write_text(text)
    for content in (b"", b"no proof", Path(files[2]).read_bytes()[:-4]):
        Path(files[2]).write_bytes(content)
        assert again(files) == 2
        assert "expected a proof" in one_line(capsys)


@pytest.mark.parametrize(("formula", "leaves"), [("(>= Y_0 3)", 1), ("(<= X_0 -2)", 0)])
def test_networks_without_neurons_and_properties_without_cases(
    formula: str, leaves: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [str(tmp_path / name) for name in ("net.onnx", "prop.vnnlib", "proof")]
    save_linear(Path(files[0]), SUM_AND_DIFFERENCE)
    Path(files[1]).write_text(vnnlib(formula))
    assert run(["falsify", *files[:2], "--proof", files[2]]) == 0
    capsys.readouterr()
    assert again(files, "--json") == 0
    found = json.loads(capsys.readouterr().out, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
    assert (found["proven"], found["leaves"], found["least_bound"] is None) == (True, leaves, not leaves)
    assert again(files) == 0
    assert f"leaves      {leaves}" in capsys.readouterr().out


def test_nothing_else_is_replaced(files: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    Path(files[2]).write_text("mine")
    assert run(["falsify", *files[:2], "--proof", files[2]]) == 2
    assert Path(files[2]).read_text() == "mine"


def test_no_proof_is_written_of_a_counterexample(files: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    inputs = 14 if "declare-const X_13" in Path(files[1]).read_text() else 2
    Path(files[1]).write_text(vnnlib("(>= Y_0 -1000)", inputs=inputs))
    Path(files[2]).unlink()
    assert run(["falsify", *files[:2], "--proof", files[2], "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["proof"] is None
    assert not Path(files[2]).exists()


def test_operators_that_cannot_be_checked_are_named_before_the_search(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    net = Net((1, 2), 0)
    net.add("Softplus")
    (tmp_path / "net.onnx").write_bytes(net.content())
    (tmp_path / "prop.vnnlib").write_text(vnnlib("(>= Y_0 100)"))
    names = [str(tmp_path / name) for name in ("net.onnx", "prop.vnnlib")]
    assert run(["falsify", *names, "--proof", str(tmp_path / "proof")]) == 2
    assert "Softplus" in capsys.readouterr().err
