"""The ONNX standard's own tests of nodes: one of each operator here; benchmarks/onnx_nodes.py runs them all."""

from __future__ import annotations

import warnings
from types import ModuleType
from typing import Any

import pytest
from benchmark_files import load_benchmark
from onnx_cases import CASES
from onnx_gated import KNOWN_AS

from adrgd.models.onnx.operators import OPERATORS

LACKING = {
    "BitCast", "DeformConv", "LinearAttention", "NonMaxSuppression", "RoiAlign", "Unique", "ai.onnx.ml.TreeEnsemble",
    "ai.onnx.ml.LabelEncoder",
}  # fmt: skip


@pytest.fixture(scope="module")
def nodes() -> ModuleType:
    return load_benchmark("onnx_nodes")


@pytest.fixture(scope="module")
def one_each(nodes: ModuleType) -> dict[str, Any]:
    """A test of each operator, the one with the shortest name."""
    found: dict[str, Any] = {}
    pytest.importorskip("onnx", "1.17", reason="onnx before 1.17 gives the folders of its tests and not their networks")
    for case in sorted(nodes.cases(""), key=lambda case: (len(case.name), case.name)):
        if not case.left_out:
            found.setdefault(case.op, case)
    return found


def test_the_standards_tests(nodes: ModuleType, one_each: dict[str, Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        outcomes = {op: nodes.run(case) for op, case in one_each.items()}
    failed = {op: outcome.reason for op, outcome in outcomes.items() if not outcome.way}
    assert set(failed) <= LACKING, failed
    assert len(outcomes) > 150


def test_every_operator_has_a_test(one_each: dict[str, Any]) -> None:
    protos = [proto for case in (*CASES.values(), *KNOWN_AS.values()) for proto in case[0]]
    here = {f"{proto.domain}.{proto.op_type}".lstrip(".") for proto in protos}
    assert set(OPERATORS) - here - set(one_each) == set()
