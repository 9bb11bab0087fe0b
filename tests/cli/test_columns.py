"""`adrgd maximize --columns`: tables, with whole numbers, categories and rules."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import onnx
import pytest
import torch
from torch import nn

from adrgd.cli import run
from adrgd.columns import read_columns
from adrgd.errors import AdrgdError

from .saving import as_onnx

FILE = """
columns:
  - {name: age, lower: 17.5, upper: 23, whole: true}
  - {name: income, lower: 0, upper: 100}
  - {name: job, values: [clerk, nurse, smith]}
rules:
  - income <= 3 * age
  - age >= 10 + 10 * job.smith
  - 2 * (income - 1) / 4 + job.nurse <= 30
"""


@pytest.fixture
def table(tmp_path: Path) -> Path:
    (tmp_path / "table.yaml").write_text(FILE)
    return tmp_path / "table.yaml"


def test_rules_are_read_as_they_are_written(table: Path) -> None:
    columns = read_columns(table)
    assert columns.inputs == ["age", "income", "job.clerk", "job.nurse", "job.smith"]
    assert columns.rules[0] == ({"income": 1.0, "age": -3.0}, "<=", 0.0)
    assert columns.rules[1] == ({"age": -1.0, "job.smith": 10.0}, "<=", -10.0)
    assert columns.rules[2] == ({"income": 0.5, "job.nurse": 1.0}, "<=", 30.5)


@pytest.mark.parametrize("sense", ["max", "min"])
def test_the_best_row_of_a_linear_network(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], sense: str
) -> None:
    """Against every whole age and job, and the best income for each."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(5, 1)).eval().requires_grad_(False)
    net[0].weight.copy_(torch.tensor([[0.3, 0.11, 2.0, -1.0, 2.5]]))
    onnx.save(as_onnx(net, (1, 5), 2), str(tmp_path / "net.onnx"))
    words = ["maximize", str(tmp_path / "net.onnx"), "--columns", str(table), "--solver", "pgd", "--json"]
    assert run([*words, "--restarts", "3", "--steps", "20", *(["--minimize"] if sense == "min" else [])]) == 0
    found = json.loads(capsys.readouterr().out)
    values = []
    for age, job in itertools.product(range(18, 24), range(3)):
        if age < 10 + 10 * (job == 2):
            continue
        most = min(100, 3 * age, 2 * (30.5 - (job == 1)))
        for income in (0.0, most):
            row = torch.tensor([[age, income, *(float(k == job) for k in range(3))]])
            values.append(float(net(row)))
    best = max(values) if sense == "max" else min(values)
    assert found["value"] == pytest.approx(best, rel=1e-3)
    assert found["columns"]["job"] == ("smith" if sense == "max" else "nurse")
    assert found["columns"]["age"] == (23 if sense == "max" else 18)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("rules: []", "a list named columns"),
        ("columns: [{name: a}]", "needs a lower and an upper bound"),
        ("columns: [{name: a, lower: 2, upper: 1}]", "lower <= upper"),
        ("columns: [{name: a, values: [b]}]", "a list of two at least"),
        ("columns: [{name: a, lower: 0, upper: 1, kind: real}]", "has 'kind'"),
        ("columns: [{name: a, lower: 0, upper: 1}, {name: a, lower: 0, upper: 1}]", "have one name"),
        ("columns: [{name: a, lower: 0, upper: 1}]\nrules: [a * a <= 1]", "columns times numbers"),
        ("columns: [{name: a, lower: 0, upper: 1}]\nrules: [b <= 1]", "one of a, found b"),
        ("columns: [{name: a, lower: 0, upper: 1}]\nrules: ['a < 1']", "a comparison by"),
        ("columns: [{name: a, lower: 0, upper: 1}]\nrules: ['__import__(1) <= 1']", "sums of columns times numbers"),
        ("columns: {", "found: "),
    ],
)
def test_bad_files_are_sentences(tmp_path: Path, text: str, sentence: str) -> None:
    (tmp_path / "table.yaml").write_text(text)
    with pytest.raises(AdrgdError, match=sentence):
        read_columns(tmp_path / "table.yaml")


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (["--columns", "TABLE", "--lower", "0"], "has bounds of its own"),
        (["--columns", "TABLE", "--exact"], "leave --columns out"),
        (["--columns", "TABLE"], "takes 3 numbers, the columns have 5"),
        ([], "expected --lower and --upper"),
    ],
)
def test_flags_that_do_not_go_together(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str], sentence: str
) -> None:
    onnx.save(as_onnx(nn.Sequential(nn.Linear(3, 1)), (1, 3), 2), str(tmp_path / "net.onnx"))
    words = [str(table) if word == "TABLE" else word for word in more]
    assert run(["maximize", str(tmp_path / "net.onnx"), *words]) == 2
    assert sentence in capsys.readouterr().err
