"""Found images leave a run as pictures, arrays and tables that can be read again; rounding is judged, not assumed."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from adrgd.attacks import Attack, BatchDone, Minimum, Threat, attack_batch, run_attack, smallest_changes
from adrgd.attacks.export import rounded
from adrgd.attacks.matrix import Own, run_matrix
from adrgd.attacks.smallest.run import run_minimum
from adrgd.cli import run
from adrgd.data import Images, load_data
from adrgd.described import describe
from adrgd.errors import UsageError
from adrgd.runs.verify import inspect
from adrgd.solvers import PGD

NAME = re.compile(r"(\d{6})_(clean|adversarial)_label-(\d+)_predicted-(\d+)\.png")


class Bright(nn.Module):
    """Class 1 where the mean is above a threshold."""

    def __init__(self, threshold: float = 0.5) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(50.0))
        self.threshold = threshold
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        score = self.weight * (x.mean((1, 2, 3)) - self.threshold)
        return torch.stack([-score, score], 1)


def data(level: float = 0.4, count: int = 5, channels: int = 3) -> Images:
    images = torch.full((count, channels, 5, 6), round(level * 255) / 255)
    return load_data((images, torch.zeros(count, dtype=torch.int64)))


def attack(eps: float, **more: Any) -> Attack:
    return Attack(threat=Threat(eps=eps), solver=PGD(), steps=5, **more)


@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_arrays_and_tables(channels: int, tmp_path: Path) -> None:
    given = data(channels=channels)
    summary = run_attack(Bright(), given, attack(0.2), tmp_path / "run", save=("png", "npz", "parquet"), batch_size=2)
    assert summary["saved"] == ["png", "npz", "parquet"]
    found = load_file(tmp_path / "run/adversarial.safetensors")["adversarial"]
    files = sorted((tmp_path / "run/png").iterdir())
    assert len(files) == 10
    for file in files:
        matched = NAME.fullmatch(file.name)
        assert matched is not None
        at, clean = int(matched[1]), matched[2] == "clean"
        assert (int(matched[3]), int(matched[4])) == (0, 0 if clean else 1)
        pixels = np.atleast_3d(np.asarray(Image.open(file))).transpose(2, 0, 1) / 255
        expected = given.images[at] if clean else found[at]
        np.testing.assert_allclose(pixels, expected.numpy(), atol=1 / 255 + 1e-6)
    arrays = load_data(f"npz:{tmp_path / 'run/found.npz'}")
    assert torch.equal(arrays.images, found)
    mode = "L" if channels == 1 else "RGB"
    table = load_data(f"parquet:{tmp_path / 'run/images.parquet'}?mode={mode}")
    assert torch.equal(table.images, rounded(found, given.images))
    clean = load_data(f"parquet:{tmp_path / 'run/images.parquet'}?mode={mode}&image=clean")
    assert torch.equal(clean.images, given.images)
    assert inspect(tmp_path / "run").findings == []


def test_rounding_is_judged(tmp_path: Path) -> None:
    """A margin below a level is lost with it, and is said; pictures stay in their balls."""
    level = 102 / 255
    model = Bright(level + 0.3 / 255)  # broken by a third of a level
    summary = run_attack(model, data(level), attack(0.9 / 255), tmp_path / "lost", save=("png",))
    assert summary["rounded"] == {"broken": 5, "still_broken": 0, "outside": 0, "largest_distance": 0.0}
    summary = run_attack(model, data(level), attack(1.9 / 255), tmp_path / "kept", save=("parquet",))
    assert (summary["rounded"]["still_broken"], summary["rounded"]["outside"]) == (5, 0)
    assert summary["rounded"]["largest_distance"] == pytest.approx(1 / 255)
    off = replace(data(level), images=data(level).images + 0.4 / 255)  # no picture to begin with
    summary = run_attack(model, off, attack(1.2 / 255), tmp_path / "off", save=("png",))
    assert summary["rounded"]["outside"] == 0 < summary["rounded"]["largest_distance"]


@pytest.mark.parametrize("norm", ["linf", "l2", "l1", "l0"])
def test_pictures_stay_in_their_balls(norm: Any) -> None:
    torch.manual_seed(0)
    clean = torch.randint(0, 256, (8, 3, 4, 4)) / 255
    found = (clean + 0.1 * torch.randn_like(clean)).clamp(0, 1)
    found[0] = clean[0] + (8 / 255) * (1 - 2 * (clean[0] > 0.5).float())  # a whole number of levels stays what it is
    made, threat = rounded(found, clean), Threat(norm=norm, eps=5)
    torch.testing.assert_close(made[0], found[0])
    assert torch.equal(made, (made * 255).round() / 255)
    assert bool((threat.distance(made, clean) <= threat.distance(found, clean) * (1 + 1e-5)).all())


def test_targets_and_smallest_changes(tmp_path: Path) -> None:
    asked = replace(attack(0.2), threat=Threat(eps=0.2, target=1))
    assert run_attack(Bright(), data(), asked, tmp_path / "a", save=("png",))["rounded"]["still_broken"] == 5
    minimum = Minimum(norm="linf", passes=400, solver=PGD())
    config = {
        "seed": 0, "norm": "linf", "model": "m", "data": "d", "passes": 70, "solver": describe(PGD(), "pgd"),
        "steps": 25, "threat": {"eps": 1.0, "norm": "linf", "target": None},
    }  # fmt: skip
    summary = run_minimum(Bright(), data(), minimum, tmp_path / "b", config=config, save=("png", "npz"))
    assert summary["rounded"]["broken"] == summary["rounded"]["still_broken"] == 5
    assert summary["rounded"]["outside"] == 0  # there is no radius to be outside of


@pytest.mark.parametrize("threat", [Threat(eps=0.1, lower=None, upper=None), Threat(eps=0.1)])
def test_what_is_no_picture_is_refused_at_once(threat: Threat, tmp_path: Path) -> None:
    given = data(channels=3 if threat.range is None else 2)
    with pytest.raises(UsageError, match="save them as npz"):
        run_attack(Bright(), given, Attack(threat=threat, solver=PGD(), steps=1), tmp_path / "run", save=("png",))
    assert not (tmp_path / "run").exists()


def test_from_the_command_line_and_after_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["--model", "bundled:mnist-pgd", "--data", "bundled:mnist", "--limit", "3", "--eps", "0.35", "--steps", "3"]
    words = ["attack", *given, "--out"]
    assert run([*words, f"{tmp_path / 'run'}", "--save", "png"]) == 0
    assert "broken images are broken with 256 levels as well" in " ".join(capsys.readouterr().out.split())
    assert len(list((tmp_path / "run/png").iterdir())) == 6
    assert run([*words, f"{tmp_path / 'run'}", "--resume", "--save", "npz", "parquet"]) == 0
    assert json.loads((tmp_path / "run/summary.json").read_text())["saved"] == ["npz", "parquet"]
    assert run([*words, f"{tmp_path / 'other'}", "--save", "jpeg"]) == 2


def test_a_callback_hears_of_each_batch(tmp_path: Path) -> None:
    told: list[BatchDone] = []
    out, asked = tmp_path / "run", attack(0.2)

    def stop(end: BatchDone) -> None:
        told.append(end)
        if len(told) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_attack(Bright(), data(count=5), asked, out, batch_size=2, on_batch=stop)
    assert [(end.start, end.done, end.images, end.broken) for end in told] == [(0, 2, 5, 2), (2, 4, 5, 4)]
    assert told[0].metrics()["success_rate"] == told[0].metrics()["batch_success_rate"] == 1
    told.clear()
    run_attack(Bright(), data(count=5), asked, out, batch_size=2, resume=True, on_batch=told.append)
    assert [(end.start, end.done) for end in told] == [(4, 5)]


def test_data_sets_in_the_place_of_images(tmp_path: Path) -> None:
    """The same results as from one batch of tensors, in order."""
    torch.manual_seed(0)
    images = (torch.rand(300, 1, 2, 2) * 255).round() / 255
    labels = (images.mean((1, 2, 3)) > 0.5).long()
    sources = [TensorDataset(images, labels), DataLoader(TensorDataset(images, labels), batch_size=7)]
    model, asked = Bright(), attack(0.05)
    expected = attack_batch(model, images, labels, asked)
    for source in [*sources, load_data((images, labels))]:
        found = attack_batch(model, source, None, asked)
        assert torch.equal(found.adversarial, expected.adversarial)
        assert torch.equal(found.index, torch.arange(300))
    minimum = Minimum(norm="linf", passes=400, solver=PGD())
    few = TensorDataset(images[:4], labels[:4])
    assert torch.equal(
        smallest_changes(model, few, None, minimum).distance,
        smallest_changes(model, images[:4], labels[:4], minimum).distance,
    )
    summary = run_attack(model, sources[1], asked, tmp_path / "run")
    assert summary["success_rate"] == pytest.approx(float(expected.success.float().mean()))
    assert summary["config"]["model"] == "Bright"
    matrix = run_matrix({"m": model}, few, [Own(name="pgd", attack=asked)], tmp_path / "matrix", eps=[0.05])
    assert matrix["images"] == 4
    with pytest.raises(UsageError, match="brings its own labels"):
        attack_batch(model, few, labels[:4], asked)
