"""Figure 3 and the gallery, at the smallest size: every bar and every picture has its number behind it."""

import json
import runpy
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from adrgd import DataError, UsageError

EXPERIMENTS = Path(__file__).resolve().parents[2] / "experiments"


@pytest.fixture(scope="module")
def figure3() -> dict[str, Any]:
    return runpy.run_path(str(EXPERIMENTS / "figure3" / "run.py"))


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


def _cheap(entrants: Any) -> Any:
    """Without AutoAttack, which takes thousands of passes."""
    return lambda options, goal: [one for one in entrants(options, goal) if one.name != "pyautoattack"]
