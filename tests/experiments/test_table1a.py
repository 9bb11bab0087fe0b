"""Table 1(a): the paper's numbers of variables."""

import runpy
from pathlib import Path
from typing import Any

import pytest
import torch

from adrgd.gates import count_neurons
from adrgd.models.architectures import ARCHITECTURES

HERE = Path(__file__).resolve().parents[2] / "experiments" / "table1a"


@pytest.fixture(scope="module")
def module() -> dict[str, Any]:
    return runpy.run_path(str(HERE / "run.py"))


@pytest.mark.parametrize("name", ["MNIST", "CIFAR10", "ImageNet"])
def test_variables_are_the_paper_s(module: dict[str, Any], name: str) -> None:
    row = module["ROWS"][name]
    known = ARCHITECTURES[row.model]
    with torch.device("meta"):  # shapes alone
        net, x = known.make().eval(), torch.zeros(2, *known.input_shape)
        assert x[0].numel() + count_neurons(net, x, row.layers) == row.paper[2]


def test_a_row_is_measured(module: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = module["ROWS"]
    small = {"images": 2, "steps": 5}
    shrunk = type(rows["MNIST"])(**{**vars(rows["MNIST"]), **small})
    module["main"].__globals__["ROWS"]["MNIST"] = shrunk
    module["main"](module["Options"](rows=("MNIST",), repeat=1, out=tmp_path, json=True))
    assert "9,180" in (tmp_path / "table1a.md").read_text()
    assert "GraduatedADR" in capsys.readouterr().out
