"""experiments/imagenet: the network's weights land where they belong; passes are budgeted exactly."""

import runpy
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from adrgd.attacks import steps_within
from adrgd.data import load_data
from adrgd.errors import DataError, ModelError
from adrgd.models import load_model
from adrgd.solvers import PGD, GraduatedADR, preset

HERE = Path(__file__).resolve().parents[2] / "experiments" / "imagenet"


@pytest.fixture
def folder(assets: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    if not (assets / "imagenet").is_dir():
        pytest.skip("needs the folder imagenet of the trained networks")
    monkeypatch.syspath_prepend(HERE)
    monkeypatch.delitem(sys.modules, "resnet50", raising=False)
    return assets / "imagenet"


def test_it_knows_its_images(folder: Path) -> None:
    model = load_model(f"resnet50:resnet50?file={folder / 'resnet50_keras_caffe_fp16.npz'}")
    images = load_data(f"npz:{folder / 'imagenet_sample200_224.npz'}", limit=5)
    with torch.no_grad():
        assert (model(images.images).argmax(1) == images.labels).sum() >= 4


def test_other_files_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import numpy as np

    make = runpy.run_path(str(HERE / "resnet50.py"))["resnet50"]
    with pytest.raises(DataError, match="nowhere"):
        make("nowhere.npz")
    np.savez(tmp_path / "other.npz", x=np.zeros(3))
    with pytest.raises(ModelError, match="found others"):
        make(str(tmp_path / "other.npz"))


@pytest.mark.parametrize(
    ("solver", "steps"), [(PGD(), 12), (GraduatedADR(), 10), (preset("paper-imagenet-untargeted"), None)]
)
def test_iterations_within_a_number_of_passes(solver: Any, steps: int | None) -> None:
    found = steps_within(solver, 25)
    assert 3 <= found <= 12
    assert steps is None or found == steps
