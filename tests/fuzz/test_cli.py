"""The commands from end to end: whatever they are given, an exit code and at most one line of error."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from adrgd.cli import run

from . import files
from .mutate import WORDS, in_bytes

COMMANDS = (
    "attack --model {onnx} --data {npz} --eps 0.1 --steps 2 --out {out} --solver pgd",
    "attack --model bundled:mnist-pgd --data bundled:mnist --limit 2 --eps 0.1 --steps 2 --out {out}",
    "attack --model {pt} --data {npz} --eps 0.1 --out {out}",
    "evaluate --models bundled:mnist-pgd --data bundled:mnist --limit 2 --eps 0.1 --steps 2 --noise-points 2 --out {out}",  # noqa: E501
    "maximize {onnx} --lower -1 --upper 1 --steps 2 --restarts 2 --out {out}.json",
    "maximize {pt2} --lower -1 --upper 1 --steps 2 --out {out}.json",
    "falsify {onnx} {vnnlib} --timeout 2",
    "falsify --instances {list} --timeout 2 --out {out}",
    "reconstruct --generator bundled:mnist-vae --data bundled:mnist --limit 1 --steps 2 --out {out}",
    "reconstruct --generator bundled:mnist-vae --data {picture} --steps 2 --out {out}",
    "train --data {npz} --eps 0.1 --epochs 1 --steps 1 --limit 4 --test-limit 4 --out {out}",
    "rl play {out}",
    "list",
)


def write(draw: Random, folder: Path) -> dict[str, str]:
    """The files that commands name, damaged now and then."""
    contents = {
        "onnx": ("net.onnx", draw.choice(files.networks())), "pt": ("net.pt", files.scripted()),
        "npz": ("a.npz", draw.choice(files.arrays())), "vnnlib": ("p.vnnlib", files.PROPERTIES[0].encode()),
        "picture": ("a.png", files.pictures()[0][1]), "pt2": ("net.pt2", b"PK\x03\x04"),
        "list": ("list.csv", b"net.onnx,p.vnnlib,5\n"),
    }  # fmt: skip
    for name, content in contents.values():
        (folder / name).write_bytes(in_bytes(draw, content) if draw.random() < 0.4 else content)
    return {key: str(folder / name) for key, (name, _) in contents.items()} | {"out": str(folder / "out")}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("command", [one for one in COMMANDS if "--instances" not in one])
def test_commands_end_with_a_code_and_a_line(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for number in range(4):
        draw = Random(f"cli:{command}:{number}")
        folder = tmp_path / str(number)
        folder.mkdir()
        words = command.format(**write(draw, folder)).split()
        if number:
            at = draw.randrange(1, len(words) + 1)
            words[at : at + 1] = [draw.choice(WORDS).replace("\x00", "?")]
        try:
            code = run(words)
        except SystemExit as stop:  # help
            code = int(stop.code or 0)
        shown = capsys.readouterr().err
        assert code in (0, 1, 2), (words, shown)
        assert "Traceback" not in shown, words
        assert "run again with --debug" not in shown, (words, shown)
        errors = [line for line in shown.splitlines() if line.startswith("error")]
        assert len(errors) == (code != 0 and "--exact" not in words), (words, shown)
