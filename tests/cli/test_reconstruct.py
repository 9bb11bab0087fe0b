"""`adrgd reconstruct` as a person or a script meets it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

pytest.importorskip("skimage", reason="needs the extra [latent]")

from adrgd.cli import run
from adrgd.latent import run as latent_run

BASE = ["reconstruct", "--generator", "bundled:mnist-vae", "--steps", "10", "--limit", "3"]
MNIST = [*BASE, "--data", "bundled:mnist"]


def test_writes_images_figures_and_a_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "run"
    assert run([*MNIST, "--operator", "mask:0.5", "--out", str(out)]) == 0
    assert "PSNR" in capsys.readouterr().out
    rows = pq.read_table(out / "results.parquet").to_pylist()
    assert len(rows) == 9
    assert {row["solver"] for row in rows} == {"gd", "adam", "graduated"}
    assert all(row["psnr"] > 5 and 0 < row["ssim"] < 1 for row in rows)
    with Image.open(out / "images" / "00002.graduated.png") as picture:
        assert picture.size == (28, 28)
    page = (out / "report.html").read_text()
    assert page.count("<img") == 3 * 5
    assert "mask:0.5" in page
    assert "http" not in page.replace("http://www.w3.org", "").replace("http://purl.org", "").replace(
        "http://creativecommons.org", ""
    ).replace("https://matplotlib.org", "")


def test_json_is_all_that_is_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--solvers", "adam", "--domain", "ball:3", "--prior", "0.1", "--json", "--out", str(tmp_path / "run")]
    assert run([*MNIST, *words]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert json.loads(out)["means"]["adam"]["psnr"] > 5


def test_goes_on_where_it_was_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out, whole = tmp_path / "run", tmp_path / "whole"
    words = [*MNIST, "--batch-size", "2", "--solvers", "adam", "graduated"]
    real, calls = latent_run._one_batch, 0

    def stopping(*args: Any, **settings: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 4:
            raise KeyboardInterrupt
        return real(*args, **settings)

    monkeypatch.setattr(latent_run, "_one_batch", stopping)
    assert run([*words, "--out", str(out)]) == 130
    assert "--resume" in capsys.readouterr().err
    monkeypatch.setattr(latent_run, "_one_batch", real)
    assert run([*words, "--out", str(out)]) == 2 or run([*words, "--out", str(out)]) == 1  # it is not empty
    assert run([*words, "--out", str(out), "--resume"]) == 0
    assert run([*words, "--out", str(whole)]) == 0
    one, other = (pq.read_table(folder / "results.parquet").drop(["seconds"]) for folder in (out, whole))
    assert one.equals(other)
    assert run([*words, "--seed", "1", "--out", str(out), "--resume"]) == 1
    assert "other settings" in capsys.readouterr().err


def test_files_and_folders(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "targets"
    folder.mkdir()
    for name in ("b", "a"):
        Image.new("L", (28, 28), 120).save(folder / f"{name}.png")
    assert run([*BASE, "--data", str(folder), "--solvers", "adam", "--out", str(tmp_path / "run")]) == 0
    assert sorted(file.name for file in (tmp_path / "run" / "images").iterdir()) == ["a.adam.png", "b.adam.png"]
    Image.new("L", (28, 30), 120).save(folder / "c.png")
    capsys.readouterr()
    assert run([*BASE, "--data", str(folder), "--out", str(tmp_path / "other")]) == 2
    assert "28 x 30 and 1" in capsys.readouterr().err
    (folder / "c.png").write_bytes(b"no image")
    assert run([*BASE, "--data", str(folder / "c.png"), "--out", str(tmp_path / "other")]) == 2
    assert not (tmp_path / "other").exists()


def test_a_folder_of_classes_is_a_data_set(tmp_path: Path) -> None:
    (tmp_path / "set" / "one").mkdir(parents=True)
    Image.new("L", (28, 28), 120).save(tmp_path / "set" / "one" / "a.png")
    data = f"folder:{tmp_path / 'set'}?mode=L"
    assert run([*BASE, "--data", data, "--solvers", "adam", "--out", str(tmp_path / "run")]) == 0
    assert [file.name for file in (tmp_path / "run" / "images").iterdir()] == ["00000.adam.png"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--operator", "down:5"], "choose a factor that divides both"),
        (["--operator", "zap"], "unknown operator 'zap'"),
        (["--generator", "bundled:mnist-pgd"], "expected a generator"),
        (["--domain", "ball"], "ball:RADIUS"),
        (["--data", "/nowhere"], "found no '/nowhere'"),
        (["--data", "cifar10:/nowhere"], "cifar10"),
        (["--solvers", "nope"], "unknown solver"),
        (["--code", "7"], "--code"),
        (["--resume"], "--resume needs the run's folder"),
    ],
)
def test_bad_requests(words: list[str], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = [] if "--resume" in words else ["--out", str(tmp_path / "run")]
    assert run([*MNIST, *words, *out]) == 2
    err = capsys.readouterr().err
    assert sentence in err
    assert err.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_the_bundled_generator_makes_digits() -> None:
    from adrgd import load_model

    generator = load_model("bundled:mnist-vae")
    classifier = load_model("bundled:mnist-clean")
    with torch.no_grad():
        images = generator(torch.randn(64, 20, generator=torch.Generator().manual_seed(0)))
        sure = classifier(images).softmax(1).amax(1)
    assert images.shape == (64, 1, 28, 28)
    assert images.min() >= 0
    assert images.max() <= 1
    assert sure.median() > 0.9
