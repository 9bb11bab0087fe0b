"""The ONNX backend test suite's tests of single nodes, which ship with the package `onnx`: which of them pass here.

    python benchmarks/onnx_nodes.py                    # the table, and every test that does not pass
    python benchmarks/onnx_nodes.py --write benchmarks/results/onnx_nodes.md
    python benchmarks/onnx_nodes.py --only softmax

Each test is wrapped into a network of one input and one output: the inputs of the node are parts of one vector, and
its outputs are joined. It passes when the network, in double precision (else in single) and with three rows at once,
gives the numbers that the test expects within 1e-5 of the largest (2e-2 where the test computes in 16 bits or fewer),
and the gradient of a row is one of that row alone.
"""

from __future__ import annotations

import argparse
import os
import re
import tempfile
import time
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

from adrgd.models.onnx import read_onnx

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # what generates the tests divides by zero on purpose
    from onnx.backend.test.loader import load_model_tests

FLOATS = {TensorProto.FLOAT, TensorProto.DOUBLE}
HALVES = {TensorProto.FLOAT16, TensorProto.BFLOAT16}
WHOLE = {
    TensorProto.BOOL, TensorProto.INT8, TensorProto.INT16, TensorProto.INT32, TensorProto.INT64, TensorProto.UINT8,
    TensorProto.UINT16, TensorProto.UINT32, TensorProto.UINT64,
}  # fmt: skip
RANDOM = {"Bernoulli", "Multinomial", "RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike"}
LEFT_OUT = {
    "sequences, optional values and maps": "their values are no tensors",
    "strings": "they are no numbers",
    "random numbers": "no deterministic result",
    "training": "gradients, optimisers, dropout and normalisation while training",
    "loops": "Loop and Scan run a graph as often as numbers say",
    "pictures": "ImageDecoder reads image files",
}
TOLERANCE, COARSE = 1e-5, 1e-3
FOUR_DIGITS = {"test_averagepool_2d_ceil_last_window_starts_on_pad"}
"""Whose expected numbers are written with four digits."""
WAYS = ("all inputs vary", "all fractions vary", "the first input varies", "nothing varies")


class Differs(Exception):  # noqa: N818
    """The numbers are not those that a test expects."""


@dataclass(frozen=True)
class Test:
    """One test of the suite."""

    name: str
    op: str
    model: onnx.ModelProto
    inputs: tuple[np.ndarray, ...]
    outputs: tuple[np.ndarray, ...]
    left_out: str


@dataclass(frozen=True)
class Outcome:
    """What became of one test: the way in which it passed, or why it did not."""

    test: Test
    way: str
    reason: str
    sloped: bool


def cases(only: str) -> Iterator[Test]:
    """All tests of nodes, those that are written out as functions too."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = load_model_tests(kind="node")
    for case in found:
        if only not in case.name:
            continue
        op, reason = operator(case.name, case.model), left_out(case.name, case.model)
        inputs, outputs = ((), ()) if reason else case.data_sets[0]
        yield Test(case.name, op, case.model, tuple(map(plain, inputs)), tuple(map(plain, outputs)), reason)


def plain(value: Any) -> np.ndarray:
    """Numbers as numpy counts them: some types of few bits come as messages of protobuf."""
    return numpy_helper.to_array(value) if isinstance(value, onnx.TensorProto) else np.asarray(value)


def operator(name: str, model: onnx.ModelProto) -> str:
    """The operator that a test is about; of one that is written out, the one whose test it was."""
    if "_expanded" in name:
        return "written out"
    node = model.graph.node[-1] if len(model.graph.node) > 1 else model.graph.node[0]
    return f"{node.domain}.{node.op_type}" if node.domain else node.op_type


def left_out(name: str, model: onnx.ModelProto) -> str:
    values = [*model.graph.input, *model.graph.output]
    ops = {node.op_type for node in model.graph.node}
    if any(not value.type.HasField("tensor_type") for value in values):
        return "sequences, optional values and maps"
    if (
        any(value.type.tensor_type.elem_type == TensorProto.STRING for value in values)
        or "STRING" in name
        or ops & {"TfIdfVectorizer"}
    ):
        return "strings"
    if ops & RANDOM or "bernoulli" in name:
        return "random numbers"
    if "training" in name or any("training" in node.domain for node in model.graph.node):
        return "training"
    if any(op.startswith("Optional") for op in ops):
        return "sequences, optional values and maps"
    if ops & {"Loop", "Scan", "SequenceMap"}:
        return "loops"
    return "pictures" if "ImageDecoder" in ops else ""


def wrapped(test: Test, varying: set[int]) -> tuple[onnx.ModelProto, np.ndarray, np.ndarray]:
    """A network of one vector in and one out, the vector that holds the test's inputs, and what it has to return."""
    graph, nodes, constants, pieces, start = test.model.graph, [], [], [], 0
    names = [value.name for value in graph.input]
    for place, (value, array) in enumerate(zip(graph.input, test.inputs, strict=True)):
        if place not in varying or not array.size:
            constants.append(tensor(array, value))
            continue
        flat, shaped = f"part_{place}", f"shaped_{place}"
        constants += [ints(f"at_{place}", range(start, start + array.size)), ints(f"shape_{place}", array.shape)]
        nodes += [
            helper.make_node("Gather", ["whole", f"at_{place}"], [flat], axis=1),
            reshape(flat, f"shape_{place}", shaped, array.shape, opset(test.model)),
            helper.make_node("Cast", [shaped], [names[place]], to=value.type.tensor_type.elem_type),
        ]
        pieces.append(array.astype(np.float64).reshape(-1))
        start += array.size
    constants.append(ints("at_end", [start]))
    nodes += [*graph.node, helper.make_node("Gather", ["whole", "at_end"], ["nothing"], axis=1)]
    ends = ["nothing"]
    for place, (value, array) in enumerate(zip(graph.output, test.outputs, strict=True)):
        if not array.size:
            continue
        constants.append(ints(f"length_{place}", [1, array.size]))
        nodes += [
            helper.make_node("Cast", [value.name], [f"number_{place}"], to=TensorProto.DOUBLE),
            reshape(f"number_{place}", f"length_{place}", f"flat_{place}", [1, array.size], opset(test.model)),
            helper.make_node("Add", [f"flat_{place}", "nothing"], [f"end_{place}"]),
        ]
        ends.append(f"end_{place}")
    nodes.append(helper.make_node("Concat", ends, ["joined"], axis=1))
    whole = helper.make_tensor_value_info("whole", TensorProto.DOUBLE, [1, start + 1])
    joined = helper.make_tensor_value_info("joined", TensorProto.DOUBLE, None)
    new = helper.make_graph(nodes, "wrapped", [whole], [joined], [*graph.initializer, *constants])
    imports = {entry.domain: entry.version for entry in test.model.opset_import} | {"": opset(test.model)}
    model = helper.make_model(
        new, opset_imports=[helper.make_opsetid(*one) for one in imports.items()], ir_version=test.model.ir_version
    )
    model.functions.extend(test.model.functions)
    expected = np.concatenate([np.zeros(1), *[array.astype(np.float64).reshape(-1) for array in test.outputs]])
    return model, np.concatenate([*pieces, np.zeros(1)]), expected


def opset(model: onnx.ModelProto) -> int:
    return next((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), 13)


def reshape(value: str, shape: str, result: str, sizes: Any, version: int) -> onnx.NodeProto:
    if version < 5:
        return helper.make_node("Reshape", [value], [result], shape=list(sizes))
    return helper.make_node("Reshape", [value, shape], [result])


def tensor(array: np.ndarray, value: onnx.ValueInfoProto) -> onnx.TensorProto:
    return numpy_helper.from_array(np.ascontiguousarray(array), value.name)


def ints(name: str, values: Any) -> onnx.TensorProto:
    return numpy_helper.from_array(np.array([*values], dtype=np.int64), name)


def run(test: Test) -> Outcome:
    """The first of the ways that passes, or why the last one did not."""
    reason = ""
    for way, varying in ways(test):
        try:
            sloped = check(test, varying)
        except Exception as error:  # anything at all is a test that does not pass
            reason = re.sub(r"/\S+/net\.onnx", "net.onnx", f"{type(error).__name__}: {error}")
            continue
        return Outcome(test, way, "", sloped)
    return Outcome(test, "", reason, False)


def ways(test: Test) -> Iterator[tuple[str, set[int]]]:
    kinds = [value.type.tensor_type.elem_type for value in test.model.graph.input]
    fractions = {place for place, kind in enumerate(kinds) if kind in FLOATS | HALVES}
    numbers = fractions | {place for place, kind in enumerate(kinds) if kind in WHOLE}
    tried: list[set[int]] = []
    for way, varying in zip(WAYS, (numbers, fractions, {min(numbers, default=-1)}, set()), strict=True):
        if varying not in tried and (varying or way == WAYS[-1]):
            tried.append(varying)
            yield way, varying


def check(test: Test, varying: set[int]) -> bool:
    """Raises where the test does not pass; returns whether its gradient is other than zero."""
    model, x, expected = wrapped(test, varying)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "net.onnx"
        file.write_bytes(model.SerializeToString())
        net, _ = read_onnx(file)
    rows = torch.from_numpy(np.stack([x, x * 1.0, x]))
    rows[1, :-1] = rows[1, :-1].flip(0) if not (varying - fractions(test)) else rows[1, :-1]
    kinds = {value.type.tensor_type.elem_type for value in (*test.model.graph.input, *test.model.graph.output)}
    tolerance = 2e-2 if kinds - FLOATS - WHOLE else COARSE if test.name in FOUR_DIGITS else TOLERANCE
    try:
        judge(net, rows, expected, tolerance)
    except Differs:  # what is rounded at the end depends on the precision before
        net, rows = net.float(), rows.float()
        judge(net, rows, expected, tolerance)
    rows.requires_grad_(True)
    found = net(rows)
    (slope,) = torch.autograd.grad(found[0].nan_to_num(0, 0, 0).sum(), rows)
    if bool(slope[1:].nan_to_num(0, 0, 0).any()):
        raise ValueError("a row's gradient depends on the other rows")
    return bool(slope[:, :-1].any())


def judge(net: torch.nn.Module, rows: torch.Tensor, expected: np.ndarray, tolerance: float) -> None:
    with torch.no_grad():
        found = net(rows)
    for row in (0, 2):
        compare(found[row].double().numpy(), expected, tolerance)


def fractions(test: Test) -> set[int]:
    return {
        place for place, value in enumerate(test.model.graph.input)
        if value.type.tensor_type.elem_type in FLOATS | HALVES
    }  # fmt: skip


def compare(found: np.ndarray, expected: np.ndarray, tolerance: float) -> None:
    if found.shape != expected.shape:
        raise Differs(f"{found.shape} numbers, expected {expected.shape}")
    strange = ~np.isfinite(expected)
    same = (found[strange] == expected[strange]) | (np.isnan(found[strange]) & np.isnan(expected[strange]))
    scale = np.abs(expected[~strange]).max(initial=1e-30)
    gap = np.abs(found[~strange] - expected[~strange]).max(initial=0.0) / scale
    if not same.all() or not gap <= tolerance:
        raise Differs(f"numbers that differ by {gap:.2g} of the largest")


def table(outcomes: list[Outcome]) -> str:
    """As markdown: the sums, one line an operator, then what does not pass and why."""
    run_ones = [one for one in outcomes if not one.test.left_out]
    passed = [one for one in run_ones if one.way]
    left = Counter(one.test.left_out for one in outcomes if one.test.left_out)
    by_way = Counter(one.way for one in passed)
    lines = [
        f"{len(passed)} of {len(run_ones)} tests pass with onnx {onnx.__version__}: "
        + ", ".join(f"in {by_way[way]} {way}" for way in WAYS if by_way[way])
        + f". {sum(left.values())} are left out.",
        "",
        "| left out | tests | because |",
        "|---|---|---|",
        *(f"| {kind} | {left[kind]} | {why} |" for kind, why in LEFT_OUT.items()),
        "",
        "| operator | passed | not | with a gradient |",
        "|---|---|---|---|",
    ]
    by_op: dict[str, list[Outcome]] = defaultdict(list)
    for one in run_ones:
        by_op[one.test.op].append(one)
    for op, group in sorted(by_op.items()):
        good = sum(bool(one.way) for one in group)
        sloped = sum(one.sloped for one in group)
        lines.append(f"| {op} | {good} | {len(group) - good or ''} | {sloped or ''} |")
    failed = [one for one in run_ones if not one.way]
    if failed:
        lines += ["", "| does not pass | because |", "|---|---|"]
        lines += [f"| {one.test.name} | {' '.join(one.reason.split())[:160].replace('|', '/')} |" for one in failed]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="a part of the tests' names")
    parser.add_argument("--write", type=Path, help="where the table goes as well")
    given = parser.parse_args()
    torch.set_num_threads(1)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    started = time.monotonic()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        outcomes = [
            Outcome(test, "", "", False) if test.left_out else run(test) for test in cases(given.only)
        ]  # fmt: skip
    text = table(outcomes)
    print(text)
    print(f"{time.monotonic() - started:.0f} s")
    if given.write:
        given.write.write_text("# The ONNX standard's tests of nodes\n\n`python benchmarks/onnx_nodes.py`\n\n" + text)


if __name__ == "__main__":
    main()
