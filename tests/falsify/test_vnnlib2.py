"""VNN-LIB 2.0 becomes the same property as the same text in version 1."""

from __future__ import annotations

import sys

import pytest

from adrgd import MissingExtraError
from adrgd.falsify import Property, PropertyError, read_property

HEADER = """; a comment
(vnnlib-version <2.0>)
(declare-network net
  (declare-input X {kind} [1,2,2])
  (declare-output Y {kind} [2])
)
"""
BOX = "".join(f"(assert (and (>= X[0,{i},{j}] -1.0) (<= X[0,{i},{j}] 0.1)))\n" for i in range(2) for j in range(2))
FORMS = """(assert (or (<= (+ (* -1.5 X[0,1,0]) (- Y[1])) (- 15.0 Y[0])) (> Y[0] 0.30000000000000004)))
(assert (== Y[0] 0.5))
(assert (!= Y[1] 0.25))
"""
SAME = (
    "".join(f"(declare-const X_{i} Real)" for i in range(4))
    + "(declare-const Y_0 Real)(declare-const Y_1 Real)"
    + "".join(f"(assert (>= X_{i} -1))(assert (<= X_{i} 0.1))" for i in range(4))
    + "(assert (or (<= (+ (* -1.5 X_2) (- Y_1)) (- 15.0 Y_0)) (> Y_0 0.30000000000000004)))"
    + "(assert (= Y_0 0.5))(assert (or (< Y_1 0.25) (> Y_1 0.25)))"
)


EXACT = ("inside", "written")  # decimals, which the package `vnnlib` may write in another way


def plain(prop: Property) -> list[object]:
    cases = [
        [part if part is None else part.tolist() for name, part in vars(case).items() if name not in EXACT]
        for case in prop.cases
    ]
    return [*cases, prop.inputs, prop.outputs]


@pytest.fixture(autouse=True)
def package() -> None:
    pytest.importorskip("vnnlib")


@pytest.mark.parametrize("kind", ["real", "float32"])
def test_same_property_as_in_version_1(kind: str) -> None:
    assert plain(read_property(HEADER.format(kind=kind) + BOX + FORMS)) == plain(read_property(SAME))


def test_scalars_have_no_index() -> None:
    text = "(vnnlib-version <2.0>) (declare-network n (declare-input X real []) (declare-output Y real []))"
    (case,) = read_property(text + "(assert (<= X 1.0)) (assert (>= X 0.0)) (assert (<= (* 2.0 Y) X))").cases
    assert case.on_inputs is not None
    assert case.on_inputs.tolist() == [[-1.0]]
    assert case.on_outputs.tolist() == [[2.0]]


NETWORK = "(declare-network {name} (declare-input X{name} real [1]) {hidden} (declare-output Y{name} real [1]))"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (HEADER.format(kind="real") + BOX + "(assert (<= Z[0] 1.0))", "Undeclared variable at line 11 (Z: "),
        (HEADER.format(kind="real") + BOX + "(assert (<= Y[0] 1.0)", "Parse error"),
        (HEADER.format(kind="real") + BOX + "(assert (<= (* Y[0] Y[1]) 1.0))", "product of variables"),
        (HEADER.format(kind="real") + "(assert (<= Y[0] 1.0))", "X[0,0,0] without lower bound"),
        ("(vnnlib-version <2.0>)" + NETWORK.format(name="a", hidden="") + NETWORK.format(name="b", hidden="")
         + "(assert (and (>= Xa[0] 0.0) (<= Xa[0] Xb[0])))", "found Xa[0] without upper bound"),
        (HEADER.format(kind="real").replace("[1,2,2])", "[1,2,2]) (declare-input Z real [1])") + BOX + FORMS,
         "found Z[0] without lower bound"),
        ("(vnnlib-version <2.0>)"
         + NETWORK.format(name="a", hidden="(declare-hidden H real [1] \"h\")") + "(assert (<= Xa[0] 1.0))",
         "found the hidden tensor H"),
    ],
)  # fmt: skip
def test_what_is_refused(text: str, sentence: str) -> None:
    with pytest.raises(PropertyError) as error:
        read_property(text)
    assert sentence in str(error.value)
    assert "\n" not in str(error.value)


def test_package_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "vnnlib", None)
    with pytest.raises(MissingExtraError, match=r"\[falsify\]"):
        read_property(HEADER.format(kind="real") + BOX + FORMS)
