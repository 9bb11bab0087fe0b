"""adrgd evaluate: what it prints, what it leaves, how it fails."""

import json
import re
import warnings
from pathlib import Path

import pytest
import torch
from PIL import Image

from adrgd.cli import run

BASE = ["evaluate", "--models", "bundled:mnist-pgd", "--data", "bundled:mnist", "--limit", "6", "--steps", "3"]
QUICK = [*BASE, "--eps", "0.1", "0.3", "--noise-points", "3", "--threads", "1"]


def test_json_is_all_that_is_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*QUICK, "--json", "--out", str(tmp_path / "run")]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["images"] == 6
    assert {cell["attack"] for cell in summary["cells"]} == {"graduated", "pgd", "noise"}
    assert {union["eps"] for union in summary["unions"]} == {0.1, 0.3}
    assert (tmp_path / "run" / "report.html").exists()


def test_for_people_and_again_with_a_peer_that_is_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = ["--solvers", "pgd?steps=2", "--out", str(tmp_path / "run")]
    assert run([*QUICK, *out]) == 0
    text = capsys.readouterr().out
    assert "worst of all" in text
    assert "indicators of attack failure" in text
    assert run([*QUICK, *out, "--resume", "--peers", "adv-lib:nothing"]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "error: none of the peers can be run, so that there is nothing to compare with: adv-lib:no" in printed.err


def test_damaged_images_are_counted_and_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "images"
    for label in range(3):
        (folder / str(label)).mkdir(parents=True)
        Image.effect_noise((28, 28), 80).save(folder / str(label) / "a.png")
    (folder / "1" / "a.png").write_bytes(b"damaged")
    words = ["evaluate", "--models", "bundled:mnist-pgd", "--data", f"folder:{folder}?mode=L", "--steps", "2"]
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        assert run([*words, "--eps", "0.1", "--noise-points", "0", "--json", "--out", str(tmp_path / "run")]) == 0
    out, err = capsys.readouterr()
    assert re.match(r"warning: 1 of 3 images are skipped: .*1/a\.png", err)
    summary = json.loads(out)
    assert summary["images"] == 2
    assert "a.png" in summary["skipped_images"][0]
    assert "a.png" in (tmp_path / "run" / "report.md").read_text()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--eps", "0"], "eps must be positive"),
        (["--eps", "0.1", "0.1"], "each once"),
        (["--models", "magic"], "magic"),
        (["--solvers", "magic"], "unknown solver 'magic'; expected one of standard, graduated, "),
        (["--solvers", "pgd", "--step", "magic"], "unknown step rule 'magic'"),
        (["--solvers", "pgd?step=magic"], "unknown step rule 'magic'"),
        (["--targeted", "11"], "class 11"),
        (["--solvers", "pgd", "pgd"], "each once"),
        (["--solvers", "--noise-points", "0"], "at least one attack"),
        (["--peers", "magic:PGD"], "expected a peer as"),
        (["--loss", "magic"], "unknown loss"),
        (["--targeted", "best"], "best"),
        (["--noise-points", "-1"], "--noise-points must be at least 1"),
        (["--steps", "0"], "--steps must be at least 1"),
        (["--batch-size", "0"], "--batch-size must be at least 1"),
        (["--device", "abacus"], "abacus"),
        (["--data", "magic"], "magic"),
        (["--resume"], "--out"),
        (["--task", "segmentation"], "use `adrgd attack --task segmentation`"),
        (["--eps"], "expected --eps"),
        (["--mask", "nowhere.npy"], "nowhere.npy"),
        (["--patch", "99"], "from 1 to 28, found 99"),
        (["--patch", "2", "--peers", "foolbox:LinfPGD"], "know no patch"),
        (["--norm", "l0", "--eps", "900"], "from 1 to 784, found 900"),
    ],
)
def test_bad_usage_is_one_line(
    words: list[str], sentence: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run([*QUICK, *words]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert sentence in err
    assert not (tmp_path / "runs").exists()


def test_models_and_images_that_do_not_belong_together(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.effect_noise((20, 20), 80).save(_folder(tmp_path) / "a.png")
    assert run(["evaluate", "--models", "bundled:mnist-pgd", "--data", f"folder:{tmp_path}", "--eps", "0.1"]) == 2
    assert "belong together" in capsys.readouterr().err
    assert torch.get_num_threads() == 1


def _folder(tmp_path: Path) -> Path:
    (tmp_path / "zero").mkdir()
    return tmp_path / "zero"


def test_step_rules_and_one_target_class(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Images of the target class are left out; a spec's own step rule goes before the one for all."""
    words = [*BASE, "--eps", "8/255", "--noise-points", "0", "--targeted", "1", "--step", "momentum", "--keep-going"]
    solvers = ["--solvers", "pgd", "pgd?step=steepest", "--out", str(tmp_path / "run")]
    assert run([*words, *solvers, "--limit", "4", "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert (summary["images"], summary["skipped"], summary["config"]["target"]) == (3, 1, 1)
    settings = [(tmp_path / "run" / "cells").glob(f"*{name}*/config.yaml") for name in ("pgd-step", "pgd")]
    found = [next(iter(files)).read_text() for files in settings]
    assert "step=Steepest(" in found[0]
    assert any("step=Momentum(" in file.read_text() for file in (tmp_path / "run" / "cells").glob("*/config.yaml"))


def test_a_patch_and_a_judge(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [*BASE, "--patch", "5", "--solvers", "pgd", "--noise-points", "0", "--judge", "bundled:mnist-clean"]
    assert run([*words, "--task", "binary", "--out", str(tmp_path / "no")]) != 0
    capsys.readouterr()
    assert run([*words, "--out", str(tmp_path / "run")]) == 0
    text = capsys.readouterr().out
    assert "a square of 5" in text
    assert "bundled:mnist-clean" in text
    assert run(["check", str(tmp_path / "run")]) == 0
