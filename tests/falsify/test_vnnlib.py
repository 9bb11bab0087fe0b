"""Properties mean what their text says: every point of the box is judged as the formulas judge it."""

from __future__ import annotations

import gzip
import math
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import Clock
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from adrgd.falsify import Property, PropertyError, load_property, read_property
from adrgd.falsify.alternatives import TimeUpError
from adrgd.falsify.formula import MOST_CASES
from adrgd.files import limits

from .problems import vnnlib


def violated(prop: Property, x: Tensor, y: Tensor) -> bool:
    return any(bool(case.contains(x[None]) & case.holds(x[None], y[None])) for case in prop.cases)


def vector(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def test_box_and_rows() -> None:
    prop = read_property(vnnlib("(<= Y_0 Y_1)", "(>= Y_0 0.25)", inputs=3))
    (case,) = prop.cases
    assert (prop.inputs, prop.outputs) == (3, 2)
    assert case.lower.tolist() == [-1.0] * 3
    assert case.upper.tolist() == [1.0] * 3
    assert case.on_inputs is None
    assert case.on_outputs.tolist() == [[1.0, -1.0], [-1.0, 0.0]]
    assert case.bound.tolist() == [0.0, -0.25]
    assert not case.strict.any()
    x, y = torch.zeros(2, 3), torch.tensor([[1.0, 1.5], [0.0, -2.0]])
    assert case.slack(x, y).tolist() == [[0.5, 0.75], [-2.0, -0.25]]


def test_no_constraint_leaves_the_whole_box() -> None:
    (case,) = read_property(vnnlib()).cases
    assert case.on_outputs.shape == (0, 2)
    assert case.slack(torch.zeros(4, 2), torch.zeros(4, 2)).shape == (4, 0)
    assert case.holds(torch.zeros(1, 2), torch.zeros(1, 2)).all()


@pytest.mark.parametrize(
    ("formula", "inside", "outside"),
    [
        ("(<= Y_0 0.5)", 0.5, 0.75),
        ("(>= Y_0 0.5)", 0.5, 0.25),
        ("(< Y_0 0.5)", 0.25, 0.5),
        ("(> Y_0 0.5)", 0.75, 0.5),
        ("(= Y_0 0.5)", 0.5, 0.75),
        ("(<= 0.5 Y_0)", 0.5, 0.25),
        ("(<= 0 Y_0 1)", 0.5, 2),
        ("(not (<= Y_0 0.5))", 0.75, 0.5),
        ("(=> (>= Y_0 0) (>= Y_0 1))", -1, 0.5),
        ("(<= (- Y_0) -0.5)", 0.5, 0.25),
        ("(<= (- Y_0 1 1) 0)", 2, 2.5),
        ("(<= (+ Y_0 Y_0 Y_0) 3)", 1, 1.5),
        ("(<= (* 2 Y_0 3) 6)", 1, 1.5),
        ("(<= (* (+ 1 1) Y_0) (/ 8 4))", 1, 1.5),
        ("(<= (/ Y_0 2) 1)", 2, 2.5),
        ("(<= (- Y_0 3) (- 1.0))", 2, 2.5),
        ("(>= (+ (* -1.0 Y_0) 2) Y_0)", 1, 1.5),
        ("(and (<= Y_0 1) (or (<= Y_0 0) (and (>= Y_0 1))))", 1, 0.5),
        ("(<= 0 1)", 7, None),
        ("(or (<= Y_0 0) (<= 1 0))", 0, 1),
        ("(<= Y_0 1e0)", 1, 1.5),
        ("(<= Y_0 +1.)", 1, 1.5),
        ("(<= Y_0 .1E+1)", 1, 1.5),
    ],
)
def test_forms(formula: str, inside: float, outside: float | None) -> None:
    prop = read_property(vnnlib(formula, outputs=1))
    assert violated(prop, vector(0, 0), vector(inside))
    assert outside is None or not violated(prop, vector(0, 0), vector(outside))


def test_layout_does_not_matter() -> None:
    text = vnnlib("(or (and (<= Y_0 Y_1)) (<= Y_1 -2))")
    odd = "; (assert nothing\n(set-logic QF_LRA)\n(set-info :source |a (b|)" + text.replace(" ", "\n\t ").replace(
        ")", " ) ; )\n"
    ).replace("declare-const", "declare-const\r\n")
    for version in (odd, text.replace("\n", " "), text.replace("declare-const X_0 ", "declare-fun X_0 () ")):
        cases = read_property(version).cases
        assert [case.on_outputs.tolist() for case in cases] == [[[1.0, -1.0]], [[0.0, 1.0]]]


def test_bounds_are_the_numbers_of_the_file() -> None:
    text = vnnlib("(<= 0.1 X_0 0.30000000000000004)", "(= X_1 0.7)", inputs=2)
    (case,) = read_property(text).cases
    assert case.lower.tolist() == [0.1, 0.7]
    assert case.upper.tolist() == [0.30000000000000004, 0.7]
    (case,) = read_property(vnnlib("(< X_0 0.5)", "(< (- X_1) 0.5)")).cases
    assert case.upper[0] == math.nextafter(0.5, 0)
    assert case.lower[1] == math.nextafter(-0.5, 0)


def test_boxes_of_an_or_and_cases_that_share_one() -> None:
    boxes = "(or (and (<= X_0 -0.5) (>= X_0 -0.75)) (and (>= X_0 0.5) (<= (* 2 X_0) 1.5)) (>= X_0 2))"
    prop = read_property(vnnlib(boxes, "(or (<= Y_0 0) (<= Y_1 0) (<= Y_0 Y_1))"))
    assert [(case.lower[0].item(), case.upper[0].item()) for case in prop.cases] == [(-0.75, -0.5)] * 3 + [
        (0.5, 0.75)
    ] * 3
    assert prop.boxes() == [(0, 1, 2), (3, 4, 5)]
    assert all(case.lower is prop.cases[0].lower and case.upper is prop.cases[0].upper for case in prop.cases[:3])


def test_constraints_that_mix_inputs_become_rows() -> None:
    (case,) = read_property(vnnlib("(<= (+ X_0 X_1) 1)", "(<= Y_0 (* 2 X_1))")).cases
    assert case.on_inputs is not None
    assert case.on_inputs.tolist() == [[1.0, 1.0], [0.0, -2.0]]
    assert case.on_outputs.tolist() == [[0.0, 0.0], [1.0, 0.0]]
    assert case.slack(vector(0.5, 0.25)[None], vector(0.0, 9.0)[None]).tolist() == [[0.25, 0.5]]


@pytest.mark.parametrize("formula", ["(<= X_0 -2)", "(and (<= Y_0 0) (<= 1 0))", "(< X_0 -1)"])
def test_contradictions_leave_no_case(formula: str) -> None:
    assert read_property(vnnlib(formula)).cases == ()


INTEGERS = st.integers(-3, 3)
TERMS = st.recursive(
    st.sampled_from(["X_0", "X_1", "Y_0", "Y_1"]) | INTEGERS,
    lambda inner: st.tuples(st.sampled_from("+-"), inner, inner) | st.tuples(st.just("*"), INTEGERS, inner),
    max_leaves=4,
)
FORMULAS = st.recursive(
    st.tuples(st.sampled_from(["<=", ">=", "<", ">", "="]), TERMS, TERMS),
    lambda inner: st.tuples(st.sampled_from(["and", "or", "=>"]), inner, inner) | st.tuples(st.just("not"), inner),
    max_leaves=6,
)
MEANING: dict[str, Any] = {
    "+": lambda a, b: a + b, "-": lambda a, b: a - b, "*": lambda a, b: a * b, "<=": lambda a, b: a <= b,
    ">=": lambda a, b: a >= b, "<": lambda a, b: a < b, ">": lambda a, b: a > b, "=": lambda a, b: a == b,
    "and": lambda a, b: a and b, "or": lambda a, b: a or b, "=>": lambda a, b: not a or b, "not": lambda a: not a,
}  # fmt: skip


def written(tree: Any) -> str:
    return f"({' '.join(map(written, tree))})" if isinstance(tree, tuple) else str(tree)


def meant(tree: Any, at: dict[str, Fraction]) -> Any:
    if isinstance(tree, tuple):
        return MEANING[tree[0]](*(meant(part, at) for part in tree[1:]))
    return at[tree] if isinstance(tree, str) else Fraction(tree)


@settings(max_examples=150)
@given(
    st.lists(FORMULAS, min_size=1, max_size=3), st.lists(st.tuples(*[st.integers(-4, 4)] * 4), min_size=5, max_size=9)
)
def test_cases_agree_with_the_formulas(formulas: list[Any], points: list[tuple[int, ...]]) -> None:
    """Small integers and halves: everything is exact, points on the boundary included."""
    prop = read_property(vnnlib(*map(written, formulas), box=("-1.5", "1.5")))
    for point in points:
        at = {name: Fraction(value, 2) for name, value in zip(("X_0", "X_1", "Y_0", "Y_1"), point, strict=True)}
        expected = abs(at["X_0"]) <= 1.5 and abs(at["X_1"]) <= 1.5 and all(meant(tree, at) for tree in formulas)
        x, y = vector(float(at["X_0"]), float(at["X_1"])), vector(float(at["Y_0"]), float(at["Y_1"]))
        assert violated(prop, x, y) == expected


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (vnnlib("(<= Y_0 Y_7)"), "line 9: expected a number or a declared variable, found 'Y_7'"),
        (vnnlib("(<= Y_0 1.2.3)"), "found '1.2.3'"),
        (vnnlib("(<= Y_0 nan)"), "found 'nan'"),
        (vnnlib("(<= Y_0 1_0)"), "found '1_0'"),
        (vnnlib("(<= (* X_0 Y_0) 1)"), "line 9: expected linear terms, found a product of variables"),
        (vnnlib("(<= (/ 1 X_0) 1)"), "as divisor"),
        (vnnlib("(<= (/ X_0 0) 1)"), "as divisor"),
        (vnnlib("(<= X_0 1e999)"), "numbers that float64 can hold"),
        (vnnlib("(<= X_0)"), "expected at least 2 terms here, found 1"),
        (vnnlib("(<= X_0 (<= Y_0 1))"), "found a formula"),
        (vnnlib("(and)"), "expected at least one formula here"),
        (vnnlib("(and Y_0)"), "expected a formula such as (<= Y_0 Y_1), found 'Y_0'"),
        (vnnlib("(xor (<= Y_0 0) (<= Y_1 0))"), "found 'xor'"),
        (vnnlib("(<= Y_0 0) (<= Y_1 0)"), "expected 1 formula here, found 2"),
        (vnnlib("(<= Y_0 0)", box=None), "expected bounds for every input, found X_0 without lower bound"),
        (vnnlib("(or (<= X_0 1) (<= Y_0 1))", "(<= -1 X_0)", "(= X_1 0)", box=None), "X_0 without upper bound"),
        ("(declare-const X_0 Real)\n\n(assert (<= X_0 1)", "line 3: expected ')' for the '(' here, found the end"),
        ("(declare-const X_0 Real))", "line 1: expected '(' before this ')'"),
        ("(declare-const Z_0 Real)", "expected a real variable X_i or Y_i"),
        ("(declare-const X_0 Int)", "expected a real variable X_i or Y_i"),
        ("(declare-const X_0 Real)\n(declare-const X_0 Real)", "line 2: expected each variable to be declared once"),
        ("(declare-const X_1 Real)", "found no X_0"),
        ("sat", "line 1: expected a command such as (assert ...), found 'sat'"),
        ("(<= 1 2)", "expected a command such as (assert ...), found a formula"),
        ("()", "expected a command"),
        ('(declare-const "X_0 Real)', "expected a real variable"),
    ],
)
def test_malformed_files(text: str, sentence: str) -> None:
    with pytest.raises(PropertyError) as error:
        read_property(text, source="a file")
    assert sentence in str(error.value)
    assert str(error.value).startswith("a file: ")
    assert "\n" not in str(error.value)


def test_too_many_cases() -> None:
    either = "(or (<= Y_0 0) (<= Y_1 0))"
    assert len(read_property(vnnlib(*[either] * 10)).cases) == 2**10
    for text in (vnnlib(*[either] * 300), vnnlib(f"(and {either * 60})")):
        with pytest.raises(PropertyError, match=f"at most {MOST_CASES} cases"):
            read_property(text)


def test_deep_nesting() -> None:
    depth = 5000
    prop = read_property(vnnlib("(and " * depth + "(<= Y_0 " + "(+ 1 " * depth + "0" + ")" * (2 * depth + 1)))
    assert prop.cases[0].bound.tolist() == [depth]


def test_files(tmp_path: Path) -> None:
    text = vnnlib("(<= Y_0 0)")
    (tmp_path / "plain.vnnlib").write_text(text)
    (tmp_path / "packed.vnnlib.gz").write_bytes(gzip.compress(text.encode()))
    for name in ("plain.vnnlib", "packed.vnnlib.gz"):
        assert len(load_property(tmp_path / name).cases) == 1
    (tmp_path / "cut.vnnlib.gz").write_bytes(gzip.compress(text.encode())[:-9])
    (tmp_path / "bytes.vnnlib").write_bytes(b"\xff\xfe\x00")
    for name in ("missing.vnnlib", "cut.vnnlib.gz", "bytes.vnnlib"):
        with pytest.raises(PropertyError, match=f"readable VNN-LIB file at .*{name}"):
            load_property(tmp_path / name)


@pytest.mark.parametrize("depth", [4, 10, 14])
def test_formulas_are_counted_before_they_are_multiplied_out(depth: int) -> None:
    """Twice as many parts at every level, joined in turns."""
    text = f"(<= Y_0 {depth})"
    for level in range(depth):
        text = f"({'or' if level % 2 else 'and'} {text} {text})"
    if depth > 4:
        with pytest.raises(PropertyError, match="expected at most"):
            read_property(vnnlib(f"(or {text} {text})", outputs=1))
    else:
        assert len(read_property(vnnlib(text, outputs=1)).cases) == 8


@pytest.mark.parametrize("version", [1, 2])
def test_reading_ends_on_time(version: int, clock: Clock) -> None:
    text = vnnlib(*["(or (<= Y_0 0) (<= Y_1 0))"] * 16)
    if version == 2:
        pytest.importorskip("vnnlib")
        either = "(assert (or (<= Y[0] 0.0) (<= Y[1] 0.0)))"
        text = (
            "(vnnlib-version <2.0>)(declare-network n (declare-input X real [1]) (declare-output Y real [2]))"
            f"(assert (and (<= X[0] 1.0) (>= X[0] 0.0))){either * 16}"
        )
    deadline = clock.now + 50
    with pytest.raises(TimeUpError, match="the time is up"):
        read_property(text, deadline=deadline)
    assert clock.now == deadline + 1


def test_tables_have_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    text = vnnlib("(<= (+ X_0 Y_0) 1)", inputs=60, outputs=40)
    assert read_property(text).cases[0].on_inputs is not None
    monkeypatch.setenv(limits.VARIABLE, "computed=1K")
    with pytest.raises(PropertyError, match=r"fit into memory as tables, found that it needs 1.\d\d KiB"):
        read_property(text)


def test_names_in_any_order(tmp_path: Path) -> None:
    lines = vnnlib("(<= Y_0 Y_1)", box=("(- 1)", "1.0E+0")).splitlines()
    declared = [line for line in lines if "declare" in line]
    rest = [line + " ; so" for line in lines if "declare" not in line]
    file = tmp_path / "p.vnnlib"
    file.write_bytes(b"\xef\xbb\xbf" + "\r\n".join(declared[::-1] + rest[::-1]).encode() + b"\r\n; end")
    (case,) = load_property(file).cases
    assert (case.lower.tolist(), case.upper.tolist()) == ([-1, -1], [1, 1])
