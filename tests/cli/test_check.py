"""`adrgd check`: what is as it was written, what is not, and what could not be looked at."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

from adrgd.cli import run
from adrgd.files import digest
from adrgd.runs import open_run
from adrgd.runs.checksums import CHECKSUMS, Checksums

WORDS = ["--data", "bundled:mnist", "--limit", "12", "--steps", "4", "--batch-size", "6"]
ATTACK = ["attack", "--model", "bundled:mnist-clean", "--eps", "0.15", *WORDS]


@pytest.fixture
def folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    assert run([*ATTACK, "--out", str(tmp_path / "run")]) == 0
    capsys.readouterr()
    return tmp_path / "run"


def check(folder: Path, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict[str, Any]]:
    code = run(["check", str(folder), "--json", *words])
    return code, json.loads(capsys.readouterr().out)


def change(folder: Path, name: str, act: Callable[[Path], None]) -> None:
    """Change a file as somebody would who changes its checksum too."""
    act(folder / name)
    sums = Checksums.read(folder)
    sums.settle({one: digest(folder / one) for one in sums.names()}, finished=True)


def columns(**changed: Any) -> Callable[[Path], None]:
    def act(file: Path) -> None:
        table = pq.read_table(file).to_pydict()
        for name, how in changed.items():
            table[name] = [how(value) for value in table[name]]
        pq.write_table(pa.table(table), file)

    return act


def pushed(by: float) -> Callable[[Path], None]:
    def act(file: Path) -> None:
        tensors = load_file(file)
        tensors["adversarial"][3] += by
        save_file(tensors, file)

    return act


def scaled(by: float) -> Callable[[Path], None]:
    def act(file: Path) -> None:
        tensors = load_file(file)
        tensors["adversarial"] *= by
        save_file(tensors, file)

    return act


def test_a_sound_folder(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, found = check(folder, capsys)
    assert code == 0
    (one,) = found["runs"]
    assert (one["files"], one["finished"], one["findings"], one["unchecked"]) == (5, True, [], [])
    assert one["examples"]["images"] == 12
    assert one["examples"]["broken"] > 0
    assert run(["check", str(folder)]) == 0
    assert "12 images looked at again" in capsys.readouterr().out


@pytest.mark.parametrize(
    "name", ["adversarial.safetensors", "results.parquet", "summary.json", "config.yaml", CHECKSUMS]
)
def test_a_flipped_bit(name: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = bytearray((folder / name).read_bytes())
    data[len(data) // 3] ^= 1
    (folder / name).write_bytes(data)
    code, found = check(folder, capsys, "--files-only")
    assert code == 1
    assert any(sentence.startswith(name) for sentence in found["runs"][0]["findings"])


@pytest.mark.parametrize(
    ("name", "act", "sentence"),
    [
        ("adversarial.safetensors", pushed(0.5), "1 examples lie outside their ball or box (images 3)"),
        ("adversarial.safetensors", pushed(float("nan")), "1 examples have logits that are not finite in float64"),
        ("results.parquet", columns(success=lambda value: True), "recorded as broken are not so in float32"),
        ("results.parquet", columns(success=lambda value: False), "recorded as standing are broken in float64"),
        ("results.parquet", columns(label=lambda value: (value + 1) % 10), "12 examples are of images with other"),
        ("results.parquet", columns(index=lambda value: value + 5), "5 examples are of images that the data does not"),
    ],
)  # fmt: skip
def test_what_checksums_cannot_tell(
    name: str, act: Callable[[Path], None], sentence: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change(folder, name, act)
    assert check(folder, capsys, "--files-only")[0] == 0
    code, found = check(folder, capsys)
    assert code == 1
    assert any(sentence in one for one in found["runs"][0]["findings"]), found


def test_another_model(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, found = check(folder, capsys, "--model", "bundled:mnist-pgd")
    assert code == 1
    assert all("recorded as broken are not so" in sentence for sentence in found["runs"][0]["findings"])


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("model", "nowhere.onnx", "nowhere.onnx"),
        ("model", "os:getcwd", "runs code; add --trust"),
        ("data", "npz:nowhere.npz", "nowhere.npz"),
        ("threat", {"eps": -1}, "no attack's"),
        ("offset", "x", "no attack's"),
    ],
)
def test_what_cannot_be_looked_at_is_said(
    key: str, value: Any, sentence: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def act(file: Path) -> None:
        file.write_text(yaml.safe_dump(yaml.safe_load(file.read_text()) | {key: value}))

    change(folder, "config.yaml", act)
    code, found = check(folder, capsys)
    assert code == 2
    assert sentence in found["runs"][0]["unchecked"][0]
    assert check(folder, capsys, "--files-only")[0] == 0


def test_every_cell_of_an_evaluation(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [
        "evaluate",
        "--models",
        "bundled:mnist-clean",
        "bundled:mnist-pgd",
        "--eps",
        "0.15",
        "--noise-points",
        "3",
        *WORDS,
    ]
    assert run([*words, "--solvers", "pgd", "--targeted", "next", "--out", str(tmp_path / "run")]) == 0
    capsys.readouterr()
    code, found = check(tmp_path / "run", capsys)
    assert code == 0
    assert [one["examples"] and one["examples"]["images"] for one in found["runs"]] == [None, 12, 12, 12, 12]
    code, found = check(tmp_path / "run", capsys, "--model", "bundled:mnist-pgd")
    assert "--model stands for one model" in found["runs"][-1]["unchecked"][0]


OTHERS = {
    "minimum": [
        "attack",
        *["--minimum", "--passes", "80", "--norm", "l2", "--model", "bundled:mnist-clean"],
        *WORDS[:4],
    ],
    "certify": [*ATTACK, "--certify", "0.2"],
    "judge": [*ATTACK, "--judge", "bundled:mnist-pgd"],
}


@pytest.mark.parametrize(
    ("kind", "name", "act", "sentence"),
    [
        ("minimum", "adversarial.safetensors", scaled(0.5), "have another distance than was recorded"),
        ("minimum", "results.parquet", columns(success=lambda value: False), "recorded as standing are broken"),
        ("certify", "certificates.parquet", columns(verdict=lambda value: "certified"), "that the attack has broken"),
        ("certify", "certificates.parquet", columns(verdict=lambda value: "broken"), "broken without an example"),
        ("judge", "judges.parquet", columns(adversarial_prediction=lambda value: (value + 1) % 10), "another class"),
    ],
)  # fmt: skip
def test_other_kinds_of_folders(
    kind: str, name: str, act: Callable[[Path], None], sentence: str, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    assert run([*OTHERS[kind], "--out", str(tmp_path / "run")]) == 0
    capsys.readouterr()
    code, found = check(tmp_path / "run", capsys)
    assert (code, found["runs"][0]["findings"], found["runs"][0]["unchecked"]) == (0, [], [])
    change(tmp_path / "run", name, act)
    code, found = check(tmp_path / "run", capsys)
    assert code == 1
    assert any(sentence in one for one in found["runs"][0]["findings"]), found


def test_a_stopped_run_and_one_of_old(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = yaml.safe_load((folder / "config.yaml").read_text())
    stopped = open_run(tmp_path / "stopped", config, resume=False)
    assert run(["check", str(tmp_path / "stopped")]) == 1
    assert "is being worked on by process" in capsys.readouterr().err
    stopped.close()
    code, found = check(tmp_path / "stopped", capsys)
    assert code == 0
    assert "not finished" in found["runs"][0]["notes"][0]
    (folder / CHECKSUMS).unlink()
    code, found = check(folder, capsys)
    assert code == 0
    assert "has no checksums" in found["runs"][0]["notes"][0]
    assert found["runs"][0]["examples"]["images"] == 12


def test_what_is_no_folder_of_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check", str(tmp_path)]) == 1
    assert "is no run's folder" in capsys.readouterr().err


def test_rounding_is_no_fault(folder: Path) -> None:
    from adrgd.attacks.checking import check_examples
    from adrgd.attacks.threat import Threat
    from adrgd.data import load_data

    images = load_data("bundled:mnist", limit=12)
    found = check_examples(folder, Threat(eps=0.15), images, lambda x: torch.ones(len(x), 10), None)
    assert not found.findings
    assert any("rounding" in note for note in found.notes)
