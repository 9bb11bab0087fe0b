"""Figure 3 and the gallery, at the smallest size: every bar and every picture has its number behind it."""

import importlib.util
import json
import runpy
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import tyro
from PIL import Image
from torch import Tensor, nn

from adrgd import DataError, UsageError
from adrgd.attacks import Threat
from adrgd.attacks.case import Case

EXPERIMENTS = Path(__file__).resolve().parents[2] / "experiments"


@pytest.fixture(scope="module")
def figure3() -> dict[str, Any]:
    return runpy.run_path(str(EXPERIMENTS / "figure3" / "run.py"))


@pytest.fixture(scope="module")
def protocols() -> dict[str, Any]:
    return runpy.run_path(str(EXPERIMENTS / "figure3" / "protocols.py"))


@pytest.fixture(scope="module")
def gallery() -> dict[str, Any]:
    return runpy.run_path(str(EXPERIMENTS / "gallery" / "run.py"))


def test_both_halves(figure3: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = figure3["Options"](
        networks=("natural", "PGD-trained"), limit=3, steps=2, budget=50,
        peers=("foolbox:LinfPGD?steps=2", "pyautoattack"), runs=tmp_path / "runs", out=tmp_path / "out",
    )  # fmt: skip
    figure3["main"].__globals__["entrants"] = _cheap(figure3["entrants"])
    figure3["main"](options)
    found = json.loads((tmp_path / "out" / "figure3.json").read_text())
    assert {cell["model"] for cell in found["untargeted"]["cells"]} == {"natural", "PGD-trained"}
    for goal, half in found.items():
        assert {"FGSM", "PGD", "GraduatedADR", "ADR-GD, paper"} <= {cell["attack"] for cell in half["cells"]}, goal
    text = (tmp_path / "out" / "figure3.md").read_text()
    assert "# Untargeted" in text
    assert "# Targeted" in text
    assert (tmp_path / "out" / "figure3.svg").read_text().startswith("<?xml")
    assert "figure3.md" in capsys.readouterr().out


def test_untargeted_peers_stay_out_of_the_targeted_half(figure3: dict[str, Any]) -> None:
    options = figure3["Options"]()
    names = {goal: {one.name for one in figure3["entrants"](options, goal)} for goal in figure3["GOALS"]}
    assert names["untargeted"] - names["targeted"] == {"torchattacks:APGD?steps=100", "pyautoattack"}


def test_networks_of_both_data_sets(figure3: dict[str, Any]) -> None:
    specs = {"mnist": "bundled:mnist-clean", "cifar10": "cifar-vgg-small?weights=w/cifar10-natural"}
    for dataset, natural in specs.items():
        found = figure3["networks"](figure3["Options"](dataset=dataset, weights=Path("w")))
        assert list(found) == ["natural", "FGSM-trained", "PGD-trained"]
        assert found["natural"].removesuffix(".safetensors") == natural
        assert found["FGSM-trained"].endswith(f"w/{dataset}-fgsm.safetensors")


def test_cifar10_needs_its_folder(figure3: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="add --folder"):
        figure3["main"](figure3["Options"](dataset="cifar10"))


def test_gallery(gallery: dict[str, Any], tmp_path: Path) -> None:
    options = gallery["Options"](
        model="bundled:mnist-clean", solvers=("fgsm", "pgd"), steps=3, among=6, rows=2, out=tmp_path
    )
    gallery["main"](options)
    facts = json.loads((tmp_path / "mnist.json").read_text())
    assert len(facts["shown"]) == 2
    with Image.open(tmp_path / "mnist.png") as drawn:
        assert drawn.width > 400


def test_a_gallery_of_nothing(gallery: dict[str, Any], tmp_path: Path) -> None:
    options = gallery["Options"](eps=0.001, solvers=("fgsm",), among=3, out=tmp_path)
    with pytest.raises(DataError, match="expected an image that some solver breaks"):
        gallery["main"](options)


def test_both_protocols(protocols: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A row an attack, a column a protocol; another call adds to what is there."""
    options = protocols["Options"](
        networks=("mnist-natural",), limit=3, steps=2, budget=50, goals=("untargeted",), runs=tmp_path / "runs",
        out=tmp_path,
    )  # fmt: skip
    protocols["main"](options)
    protocols["main"](
        replace(options, goals=("targeted",), boxes=("none",), solvers=("pgd-fixed", "graduated"), json=True)
    )
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert found == json.loads((tmp_path / "protocols.json").read_text())
    assert len(found) == 2 * len(protocols["SOLVERS"]) + 2
    assert {(one["goal"], one["box"]) for one in found} == {
        ("untargeted", "data"), ("untargeted", "none"), ("targeted", "none"),
    }  # fmt: skip
    text = (tmp_path / "protocols.md").read_text()
    assert "| inside [0, 1] | ball only |" in text
    assert text.count("PGD, fixed steps, last iterate") == 2


def test_the_last_iterate_may_be_worse_than_the_best(protocols: dict[str, Any]) -> None:
    """On one number it oscillates around the maximum with steps of fixed length, and ends beside it."""
    net, clean = _Hill(), torch.full((1, 1), 0.5)
    case = Case.of(
        net, clean, torch.tensor([0]), torch.arange(1), Threat(eps=0.3), loss="cross-entropy", seed=0
    )  # fmt: skip
    last = protocols["LastIterate"](step=0.1, steps=2)(case)
    assert last.silent.tolist() == [True]
    assert not last.success.any()


@pytest.mark.parametrize(("name", "option"), [("vgg11-natural", "--cifar10"), ("authors-pgd", "--authors")])
def test_folders_that_are_needed(protocols: dict[str, Any], tmp_path: Path, name: str, option: str) -> None:
    with pytest.raises(UsageError, match=option):
        protocols["main"](protocols["Options"](networks=(name,), out=tmp_path, runs=tmp_path))


def imported(file: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A script as a module, whose annotations can be resolved."""
    spec = importlib.util.spec_from_file_location(f"script_{Path(file).stem}", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    return module


def test_vgg19_is_trained_and_attacked_by_one_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The commands that it runs are those of the documented scripts, whose options take them."""
    vgg19 = runpy.run_path(str(EXPERIMENTS / "figure3" / "vgg19.py"))
    for smoke in (True, False):
        options = vgg19["Options"](folder=Path("FOLDER"), device="cuda", smoke=smoke, runs=tmp_path)
        *trained, attacked = vgg19["commands"](options)
        kinds = []
        for words in trained:
            given = tyro.cli(imported(words[1], monkeypatch).Options, args=words[2:])
            kinds.append(given.kind)
            assert (given.device, str(given.folder)) == ("cuda", "FOLDER")
        assert kinds == ["cifar10-vgg19-natural", "cifar10-vgg19-pgd"]
        given = tyro.cli(imported(attacked[1], monkeypatch).Options, args=attacked[2:])
        assert given.networks == ("vgg19-natural", "vgg19-pgd")
        assert given.weights == trained_weights(trained[0], tmp_path, smoke)


def trained_weights(words: list[str], runs: Path, smoke: bool) -> Path:
    """Where training leaves them."""
    return runs / "vgg19-smoke" / "weights" if smoke else EXPERIMENTS / "robust_nets" / "results"


def test_a_gallery_of_both_protocols(gallery: dict[str, Any], tmp_path: Path) -> None:
    options = gallery["Options"](
        name="ball", model="bundled:mnist-clean", box="none", solvers=("pgd",), steps=3, among=4, rows=1, out=tmp_path
    )
    gallery["main"](options)
    assert json.loads((tmp_path / "ball.json").read_text())["box"] == "none"


class _Hill(nn.Module):
    """Class 1 is ahead where x is within .05 of .62 only."""

    def forward(self, x: Tensor) -> Tensor:
        near = 0.05 - (x.flatten(1) - 0.62).abs()
        return torch.cat([torch.zeros_like(near), near], 1)


def _cheap(entrants: Any) -> Any:
    """Without AutoAttack, which takes thousands of passes."""
    return lambda options, goal: [one for one in entrants(options, goal) if one.name != "pyautoattack"]
