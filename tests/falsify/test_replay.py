"""A counterexample is one in onnxruntime, on the file as it is, inside the box as it is written."""

from __future__ import annotations

import gzip
import math
import re
import sys
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
import torch
from onnx import TensorProto
from torch import Tensor

from adrgd import MissingExtraError, ModelError
from adrgd.falsify import Counterexample, PropertyError, Replay, read_counterexample, read_property

from .problems import SUM_AND_DIFFERENCE, save_linear, vnnlib

pytest.importorskip("onnxruntime")


@pytest.fixture
def replay(tmp_path: Path) -> Replay:
    return Replay(save_linear(tmp_path / "net.onnx", SUM_AND_DIFFERENCE))


def vector(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


@pytest.mark.parametrize("shape", [[1, 2], ["batch", 2], [2], [1, 1, 2, 1]])
def test_outputs_whatever_the_shape(shape: list[int | str], tmp_path: Path) -> None:
    replay = Replay(save_linear(tmp_path / "net.onnx", SUM_AND_DIFFERENCE, shape=shape))
    assert replay.outputs(vector(0.5, 0.25)).tolist() == [0.75, 0.25]


def test_compressed_files(tmp_path: Path) -> None:
    file = save_linear(tmp_path / "net.onnx", SUM_AND_DIFFERENCE)
    (tmp_path / "net.onnx.gz").write_bytes(gzip.compress(file.read_bytes()))
    assert Replay(tmp_path / "net.onnx.gz").outputs(vector(0.5, 0.25)).tolist() == [0.75, 0.25]


def test_arithmetic_is_that_of_the_file(tmp_path: Path) -> None:
    tiny = 2.0**-30
    for kind, expected in ((TensorProto.FLOAT, 0.0), (TensorProto.DOUBLE, tiny)):
        replay = Replay(save_linear(tmp_path / "net.onnx", SUM_AND_DIFFERENCE, kind=kind))
        assert replay.outputs(vector(1 + tiny, 1.0))[1].item() == expected


def test_case_that_holds_is_named(replay: Replay) -> None:
    prop = read_property(vnnlib("(or (>= Y_0 1.75) (<= Y_1 -0.5) (>= Y_1 0.5))"))
    found = replay.confirms(prop, vector(0.75, 0.25))
    assert found is not None
    assert (found.case, found.x.tolist(), found.y.tolist()) == (2, [0.75, 0.25], [1.0, 0.5])
    assert replay.confirms(prop, vector(0.25, 0.25)) is None


def test_box_is_compared_exactly(replay: Replay) -> None:
    prop = read_property(vnnlib())
    assert replay.confirms(prop, vector(1.0, -1.0)) is not None
    above = math.nextafter(1.0, 2.0)
    assert replay.confirms(prop, vector(above, 0.0)) is None
    assert replay.confirms(prop, vector(above, 0.0), tolerance=1e-4) is not None
    assert replay.confirms(prop, vector(1.001, 0.0), tolerance=1e-4) is None
    assert replay.confirms(prop, vector(math.nan, 0.0)) is None


@pytest.mark.parametrize(("lower", "upper"), [("0.05", "0.1"), ("0.7", "0.9"), ("-0.1", "0.3")])
def test_what_is_fed_lies_inside_the_box(lower: str, upper: str, replay: Replay) -> None:
    """0.1 and 0.7 are rounded outwards by float32."""
    prop = read_property(vnnlib(box=(lower, upper)))
    for end in (float(lower), float(upper)):
        found = replay.confirms(prop, vector(end, end))
        assert found is not None
        assert bool((found.x == found.x.float().double()).all())
        assert bool(prop.cases[0].contains(found.x[None]))
        assert found.x[0].item() == pytest.approx(end, rel=1e-7)


def test_interval_without_a_number_of_the_file_keeps_its_own(replay: Replay) -> None:
    prop = read_property(vnnlib(box=("0.1", "0.1")))
    found = replay.confirms(prop, vector(0.1, 0.1))
    assert found is not None
    assert found.x.tolist() == [0.1, 0.1]
    assert found.y[0].item() == 2 * np.float32(0.1)
    assert replay.confirms(prop, vector(float(np.float32(0.1)), 0.1)) is None


def test_constraints_have_no_slack_of_their_own(replay: Replay) -> None:
    x, tolerance = vector(0.5, 0.25), 2.0**-13
    at_most, beyond = 0.75 + tolerance, 0.75 + 2 * tolerance
    for text, holds, eased in (
        ("(>= Y_0 0.75)", True, True), ("(> Y_0 0.75)", False, True), (f"(>= Y_0 {at_most})", False, True),
        (f"(> Y_0 {at_most})", False, False), (f"(>= Y_0 {beyond})", False, False),
    ):  # fmt: skip
        prop = read_property(vnnlib(text))
        assert (replay.confirms(prop, x) is not None) == holds
        assert (replay.confirms(prop, x, tolerance=tolerance) is not None) == eased


def test_mixed_constraints_see_the_input_that_was_fed(replay: Replay) -> None:
    prop = read_property(vnnlib("(= Y_0 (+ X_0 X_1))"))
    assert replay.confirms(prop, vector(1 / 3, 0.0)) is not None  # 1/3 itself would differ from its float32 output


def test_outputs_that_are_not_finite(tmp_path: Path) -> None:
    replay = Replay(save_linear(tmp_path / "net.onnx", SUM_AND_DIFFERENCE, then="Log"))
    assert replay.outputs(vector(0.25, 0.5)).isnan().tolist() == [False, True]
    assert replay.confirms(read_property(vnnlib()), vector(0.25, 0.5)) is None
    assert replay.confirms(read_property(vnnlib()), vector(0.5, 0.25)) is not None


def test_files_that_cannot_be_replayed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "text.onnx").write_text("nothing")
    with pytest.raises(ModelError, match="expected a file that onnxruntime can run"):
        Replay(tmp_path / "text.onnx")
    with pytest.raises(ModelError, match="readable ONNX file"):
        Replay(tmp_path / "missing.onnx")
    replay = Replay(save_linear(tmp_path / "net.onnx", SUM_AND_DIFFERENCE))
    with pytest.raises(ModelError, match="to take 3 numbers"):
        replay.outputs(torch.zeros(3))
    whole = save_linear(tmp_path / "whole.onnx", SUM_AND_DIFFERENCE, kind=TensorProto.INT64)
    with pytest.raises(ModelError, match=r"floating-point numbers of one type, found tensor\(int64\)"):
        Replay(whole)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingExtraError, match=r"\[falsify\]"):
        Replay(tmp_path / "net.onnx")


def test_text_gives_the_same_numbers_back(replay: Replay) -> None:
    x, y = vector(0.1, -1e-7, 5e-324, 1 / 3), vector(float(np.float32(0.1)), -1e300)
    text = Counterexample(x, y, 0).text()
    assert text.splitlines()[:2] == ["((X_0 0.10000000000000001)", " (X_1 -9.9999999999999995e-08)"]
    assert text.endswith("(Y_1 -1.0000000000000001e+300))")
    for form in (text, text.replace("\n", ""), text.replace("(", " ( "), f"\n{text}\n"):
        back = read_counterexample(form)
        assert (back[0].tolist(), back[1].tolist()) == (x.tolist(), y.tolist())
    prop = read_property(vnnlib("(>= Y_0 0.1)", box=("0.05", "0.1")))
    found = replay.confirms(prop, vector(0.1, 0.07))
    assert found is not None
    again = replay.confirms(prop, read_counterexample(found.text())[0])
    assert again is not None
    assert again.text() == found.text()


@pytest.mark.parametrize("kind", [TensorProto.FLOAT, TensorProto.DOUBLE])
@pytest.mark.parametrize(
    ("low", "high"),
    [
        ("0.123456789012345678", "0.923456789012345678"), ("0.1", "0.7"), ("-0.3", "-0.1"), ("0.1", "0.1"),
        ("0.123456789012345678", "0.123456789012345678"), ("0.12345678901234567800001", "0.1234567890123456781"),
        ("1e-320", "2e-320"), ("0.3333333333333333333", "0.33333333333333333333334"),
    ],
)  # fmt: skip
def test_decimals_lie_inside_the_decimals_of_the_box(low: str, high: str, kind: int, tmp_path: Path) -> None:
    """Whatever float64 makes of either: the sides may have more digits than it holds."""
    replay = Replay(save_linear(tmp_path / "net.onnx", SUM_AND_DIFFERENCE, kind=kind))
    prop = read_property(vnnlib(box=(low, high)))
    for end in (float(low), float(high)):
        found = replay.confirms(prop, vector(end, end))
        assert found is not None
        entries = re.findall(r"X_\d+ ([^)]*)", found.text())
        assert all(Decimal(low) <= Decimal(entry) <= Decimal(high) for entry in entries)
        back = read_counterexample(found.text())[0]
        assert replay.confirms(prop, back) is not None


@pytest.mark.parametrize("text", ["", "sat", "()", "((X_0 1)", "((X_1 1))", "((X_0 one))", "((Z_0 1))", "((X_0 1) Y)"])
def test_other_text_is_refused(text: str) -> None:
    with pytest.raises(PropertyError, match="without a gap"):
        read_counterexample(text)
