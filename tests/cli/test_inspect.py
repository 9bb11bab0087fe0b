"""adrgd inspect: every activation of a model, in a table or as JSON, and what stands in the way of an attack."""

from __future__ import annotations

import json
import sys
import types
from collections.abc import Iterator

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from adrgd import cli


class Mixed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.last, self.gelu = nn.Linear(6, 8), nn.Linear(4, 3), nn.GELU()

    def forward(self, x: Tensor) -> Tensor:
        h = self.gelu(self.first(x))
        h = torch.maximum(h, -0.1 * h).view(-1, 4, 2).amax(2).round()
        return F.softmax(self.last(h * h.sigmoid()), 1)


class Mixing(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x - x.mean(0)


@pytest.fixture(autouse=True)
def module() -> Iterator[None]:
    made = types.ModuleType("inspected")
    made.mixed, made.mixing = lambda: Mixed().eval(), lambda: Mixing().eval()  # type: ignore[attr-defined]
    made.wrong = lambda: nn.Linear(5, 2).eval()  # type: ignore[attr-defined]
    sys.modules["inspected"] = made
    yield
    del sys.modules["inspected"]


def test_every_call_is_a_row(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["inspect", "inspected:mixed", "--shape", "6", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    kinds = [(layer["kind"], layer["module"], layer["shape"], layer["gate"]) for layer in facts["layers"]]
    assert kinds == [
        ("gelu", "gelu", [8], "mean slope"),
        ("relu", "", [8], "hinge"),
        ("amax", "", [4, 2], "chances to be the largest"),
        ("round", "", [4], "a soft slope to the end"),
        ("silu, written out", "", [4], "mean slope"),
    ]
    assert [other["kind"] for other in facts["without_gate"]] == ["softmax"]
    assert (facts["neurons"], facts["outputs"], facts["dtype"], facts["problem"]) == (32, [3], "float32", "")


def test_the_table_of_a_bundled_model(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["inspect", "bundled:mnist-pgd", "--data", "bundled:mnist"]) == 0
    printed = capsys.readouterr().out
    for words in ("8 x 19 x 19", "2888", "hinge", "8396 neurons", "rows are independent"):
        assert words in " ".join(printed.split())


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["inspected:mixing", "--shape", "6"], 0, "expected a row's logits not to depend on the rest of its batch"),
        (["inspected:mixed"], 2, "give --data, or --shape"),
        (["inspected:wrong", "--shape", "6"], 2, "expected a model that takes a batch of shape"),
    ],
)
def test_what_stands_in_the_way(
    arguments: list[str], code: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["inspect", *arguments]) == code
    shown = capsys.readouterr()
    assert words in " ".join((shown.out + shown.err).split())
