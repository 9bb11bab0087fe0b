"""Properties of several networks, and of networks with several inputs and outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from adrgd import ModelError, UsageError
from adrgd.falsify import PropertyError, Replay, falsify, load_property, read_counterexample, read_property
from adrgd.falsify.instances import read_instances
from adrgd.falsify.networks import load_networks, network_files

from .problems import SUM_AND_DIFFERENCE, save_linear, vnnlib

pytest.importorskip("onnxruntime")
pytest.importorskip("vnnlib")

TWO = """(vnnlib-version <2.0>)
(declare-network f (declare-input X_f real [1,2]) (declare-output Y_f real [1,2]))
(declare-network g ({relation} f) (declare-input X_g real [1,2]) (declare-output Y_g real [1,2]))
(assert (and (>= X_f[0,0] -1.0) (<= X_f[0,0] 0.7)))
(assert (and (>= X_f[0,1] -1.0) (<= X_f[0,1] 0.7)))
"""
SAME = "(assert (== X_f[0,0] X_g[0,0]))(assert (and (== X_g[0,1] X_f[0,1])))"
OTHER = [[1.0, 1.25], [1.0, -1.0]]


@pytest.fixture
def files(tmp_path: Path) -> Mapping[str, Path]:
    """Two networks that differ by a quarter of the second input."""
    return {
        "f": save_linear(tmp_path / "f.onnx", SUM_AND_DIFFERENCE, shape=[1, 2]),
        "g": save_linear(tmp_path / "g.onnx", OTHER, shape=[1, 1, 2]),
    }


@pytest.fixture
def prop(tmp_path: Path) -> Path:
    return tmp_path / "prop.vnnlib"


@pytest.mark.parametrize(
    ("relation", "formulas", "answer"),
    [
        ("isomorphic-to", f"{SAME}(assert (or (> Y_g[0,0] (+ Y_f[0,0] 0.17)) (< Y_g[0,1] (- Y_f[0,1] 0.5))))", "sat"),
        ("isomorphic-to", f"{SAME}(assert (or (> Y_g[0,0] (+ Y_f[0,0] 0.18)) (< Y_g[0,1] (- Y_f[0,1] 0.5))))", "unsat"),
        ("equal-to", "(assert (<= X_f[0,0] X_g[0,0]))(assert (<= X_g[0,0] 0.7))(assert (== X_f[0,1] X_g[0,1]))"
         "(assert (> Y_f[0,0] (+ Y_g[0,0] 0.01)))", "unsat"),
        ("equal-to", "(assert (<= X_f[0,1] X_g[0,1]))(assert (<= X_g[0,1] 0.9))(assert (== X_f[0,0] X_g[0,0]))"
         "(assert (> Y_f[0,1] (+ Y_g[0,1] 0.5)))", "sat"),
    ],
)  # fmt: skip
def test_two_networks(relation: str, formulas: str, answer: str, files: Mapping[str, Path], prop: Path) -> None:
    from .competition import accepted

    named = files if relation == "isomorphic-to" else {"f": files["f"]}
    prop.write_text(TWO.format(relation=relation) + formulas)
    verdict = falsify(named, prop, timeout=30.0)
    assert verdict.answer == answer
    if answer == "sat":
        assert accepted(verdict.text(), prop.read_text(), {"f": named["f"], "g": named.get("g", named["f"])})
        given = load_property(prop)
        x, y = read_counterexample(verdict.text().removeprefix("sat"), given)
        again = load_networks(named, given)[1].confirms(given, x)
        assert again is not None
        assert (again.x.tolist(), again.y.tolist()) == (x.tolist(), y.tolist())


@pytest.mark.parametrize("seed", range(4))
def test_verdicts_on_pairs_of_random_networks(seed: int, tmp_path: Path, prop: Path) -> None:
    """How far the first output may grow between two networks: a little more than at 20,000 points, or a little less."""
    from recheck.nets import mlp

    from .competition import accepted

    files = {name: tmp_path / f"{name}.onnx" for name in "fg"}
    for number, file in enumerate(files.values()):
        file.write_bytes(mlp(2 * seed + number, widths=(2, 8, 6, 2)))
    start = TWO.format(relation="isomorphic-to") + (
        "(assert (<= X_f[0,0] X_g[0,0]))(assert (<= X_g[0,0] (+ X_f[0,0] 0.2)))(assert (== X_f[0,1] X_g[0,1]))"
    )
    given = read_property(start)
    net = load_networks(files, given)[0].double()
    random = torch.rand(20_000, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    x = given.cases[0].lower + random * (given.cases[0].upper - given.cases[0].lower)
    assert given.columns == (0, 1, 2, 1)
    x = x[(x[:, 0] <= x[:, 2]) & (x[:, 2] <= x[:, 0] + 0.2)]
    with torch.no_grad():
        y = net(x)
    largest = float((y[:, 2] - y[:, 0]).max())
    for more, possible in ((-0.01, ("sat",)), (0.3, ("sat", "unsat"))):
        prop.write_text(f"{start}(assert (>= Y_g[0,0] (+ Y_f[0,0] {largest + more:.9f})))")
        verdict = falsify(files, prop, timeout=60.0)
        assert verdict.answer in possible
        if verdict.answer == "sat":
            assert accepted(verdict.text(), prop.read_text(), files)


def test_equal_networks_need_one_file(files: Mapping[str, Path], prop: Path) -> None:
    prop.write_text(
        TWO.format(relation="equal-to")
        + SAME
        + "(assert (or (> Y_f[0,0] (+ Y_g[0,0] 0.01)) (> Y_g[0,0] (+ Y_f[0,0] 0.01))))"
    )
    assert falsify(files["f"], prop, timeout=30.0).answer == "unsat"
    with pytest.raises(PropertyError, match="g to be equal to f, found another file"):
        falsify(files, prop)


def save_pair(file: Path, kinds: Sequence[int] = (TensorProto.FLOAT, TensorProto.FLOAT)) -> Path:
    """Two inputs (1, 1) and (2,), two outputs: a + b[0] of the shape (1, 1) and relu(b) of the shape (2,)."""
    graph = helper.make_graph(
        [
            helper.make_node("Gather", ["b", "zero"], ["first"], axis=0),
            helper.make_node("Add", ["a", "first"], ["sum"]),
            helper.make_node("Relu", ["b"], ["positive"]),
        ],
        "pair",
        [helper.make_tensor_value_info(name, kind, shape)
         for name, kind, shape in zip("ab", kinds, ([1, 1], [2]), strict=True)],
        [helper.make_tensor_value_info(name, kinds[0], None) for name in ("sum", "positive")],
        [numpy_helper.from_array(np.array([0]), "zero")],
    )  # fmt: skip
    file.write_bytes(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()
    )
    return file


def test_several_inputs_and_outputs_in_version_1(tmp_path: Path, prop: Path) -> None:
    """They are numbered one after the other, in the order of the file."""
    net = save_pair(tmp_path / "net.onnx")
    replay = Replay(net)
    assert replay.outputs(torch.tensor([1.0, -0.5, 2.0])).tolist() == [0.5, 0.0, 2.0]
    for formula, answer in (
        ("(and (>= Y_0 1.9) (<= Y_1 0.95) (>= Y_2 0.5))", "sat"),
        ("(> Y_0 (+ Y_1 1.01))", "unsat"),
    ):
        prop.write_text(vnnlib(formula, inputs=3, outputs=3))
        verdict = falsify(net, prop, timeout=30.0)
        assert verdict.answer == answer
        if verdict.counterexample:
            assert replay.confirms(load_property(prop), verdict.counterexample.x) is not None
    prop.write_text(vnnlib("(> Y_0 3)", inputs=2, outputs=3))
    with pytest.raises(PropertyError, match="network's 3 inputs, found 2"):
        falsify(net, prop)


TENSORS = """(vnnlib-version <2.0>)
(declare-network n
  (declare-input A float32 [1,1]) (declare-input B float32 [2])
  (declare-output S float32 [1,1]) (declare-output P float32 [2]))
(assert (and (>= A[0,0] -1.0) (<= A[0,0] 1.0) (>= B[0] -1.0) (<= B[0] 0.5) (>= B[1] 0.25) (<= B[1] 0.25)))
"""


def test_several_tensors_in_version_2(tmp_path: Path, prop: Path) -> None:
    from .competition import accepted

    net = save_pair(tmp_path / "net.onnx")
    prop.write_text(TENSORS + "(assert (and (>= S[0,0] 1.4) (<= P[1] 0.25)))")
    verdict = falsify(net, prop, timeout=30.0)
    assert verdict.text().startswith("sat\nA float32 [1, 1]\n")
    assert accepted(verdict.text(), prop.read_text(), {"n": net})
    longer = TENSORS.replace("B float32 [2]", "B float32 [3]") + "(assert (and (>= B[2] 0.0) (<= B[2] 0.0)))"
    with pytest.raises(PropertyError, match="B to have the 2 numbers of an input"):
        load_networks(net, read_property(longer))
    mixed = save_pair(tmp_path / "mixed.onnx", (TensorProto.FLOAT, TensorProto.DOUBLE))
    with pytest.raises(ModelError, match="one floating-point type .* found double, float"):
        load_networks(mixed, read_property(TENSORS))


def test_tensors_by_their_names_in_the_file(tmp_path: Path) -> None:
    given = read_property(TENSORS)
    (network,) = given.networks
    net = save_pair(tmp_path / "net.onnx")
    turned = replace(
        network,
        inputs=tuple(replace(one, onnx=name) for one, name in zip(reversed(network.inputs), "ba", strict=True)),
        outputs=tuple(replace(one, onnx=name) for one, name in zip(network.outputs, ("sum", "positive"), strict=True)),
    )
    replay = load_networks(net, replace(given, networks=(turned,)))[1]
    assert replay.outputs(torch.tensor([-0.5, 2.0, 1.0])).tolist() == [0.5, 0.0, 2.0]
    other = replace(network, inputs=(replace(network.inputs[0], onnx="other"), network.inputs[1]))
    with pytest.raises(PropertyError, match="inputs a, b of .*, found other, b in the property"):
        load_networks(net, replace(given, networks=(other,)))
    with pytest.raises(PropertyError, match="about the 2 inputs of .*, found 1 in it"):
        load_networks(net, replace(given, networks=(replace(network, inputs=network.inputs[:1]),)))


def test_equal_inputs_of_one_network_are_one(tmp_path: Path, prop: Path) -> None:
    net = save_linear(tmp_path / "net.onnx", SUM_AND_DIFFERENCE)
    prop.write_text(vnnlib("(= X_0 X_1)", "(>= Y_0 1.5)"))
    verdict = falsify(net, prop, timeout=30.0)
    assert verdict.counterexample is not None
    assert verdict.counterexample.x[0] == verdict.counterexample.x[1]
    given = load_property(prop)
    assert (given.inputs, given.given) == (1, 2)
    assert Replay(net).confirms(given, torch.tensor([0.9, 0.8])) is None
    prop.write_text(vnnlib("(= X_0 X_1)", "(>= Y_1 0.001)"))
    assert falsify(net, prop, timeout=30.0).answer == "unsat"
    prop.write_text(vnnlib("(= X_0 X_1)", "(< X_0 X_1)"))
    assert falsify(net, prop).answer == "unsat"
    with pytest.raises(UsageError, match="leave --proof away"):
        falsify(net, prop, proof_file=tmp_path / "proof")


def test_bounds_that_follow_from_other_inputs() -> None:
    text = "(declare-const X_0 Real)(declare-const X_1 Real)(declare-const X_2 Real)(declare-const Y_0 Real)" + (
        "(assert (>= X_0 0.1))(assert (<= X_0 0.3))(assert (<= X_1 X_0))(assert (>= (+ X_1 X_0) 0))"
        "(assert (<= (* 3 X_2) (+ X_1 1)))(assert (>= X_2 (- X_0 1)))(assert (>= Y_0 0))"
    )
    (case,) = read_property(text).cases
    assert case.upper[1] == 0.3
    assert -0.3 - 1e-9 <= case.lower[1] <= -0.3
    assert 1.3 / 3 <= case.upper[2] <= 1.3 / 3 + 1e-9
    assert -0.9 - 1e-9 <= case.lower[2] <= -0.9
    assert case.on_inputs is not None
    assert len(case.on_inputs) == 5
    either = "(assert (or (and (<= X_1 (+ X_0 0.5)) (>= Y_0 0)) (and (<= X_1 (+ X_0 0.25)) (>= Y_0 0))))"
    wide, narrow = read_property(text.replace("(assert (<= X_1 X_0))", either)).cases
    assert (round(float(wide.upper[1]), 6), round(float(narrow.upper[1]), 6)) == (0.8, 0.55)
    with pytest.raises(PropertyError, match="X_2 without upper bound"):
        read_property(text.replace("(<= (* 3 X_2) (+ X_1 1))", "(<= 0 1)"))


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("a/net.onnx", Path("a/net.onnx")),
        ("[('f', 'a.onnx'), ('g', 'b.onnx')]", {"f": Path("a.onnx"), "g": Path("b.onnx")}),
        (' [["f", "a.onnx"]]', {"f": Path("a.onnx")}),
    ],
)
def test_files_of_networks(words: str, found: object) -> None:
    assert network_files(words) == found


@pytest.mark.parametrize("words", ["[", "[]", "[('f',)]", "[('f', 'a'), ('f', 'b')]", "[1]", "[" * 10_000])
def test_lists_of_networks_that_are_none(words: str) -> None:
    with pytest.raises(UsageError, match="expected a file or a list such as"):
        network_files(words)


def test_files_that_do_not_fit_the_names(files: Mapping[str, Path], prop: Path) -> None:
    prop.write_text(TWO.format(relation="isomorphic-to") + SAME)
    for named, words in (
        (files["f"], "a file for each of the networks f and g, found one file"),
        ({"f": files["f"]}, "a file of the network g, found none"),
        ({"f": files["f"], "h": files["g"]}, "files of f and g, found one of 'h'"),
    ):
        with pytest.raises(PropertyError, match=words):
            falsify(named, prop)
    with pytest.raises(UsageError, match="leave --proof away"):
        falsify(files, prop, proof_file=prop.parent / "proof")
    prop.write_text(vnnlib())
    with pytest.raises(PropertyError, match="one network without a name, found one of 'f'"):
        falsify(files, prop)


def test_lists_of_instances_name_several_networks(files: Mapping[str, Path], tmp_path: Path) -> None:
    (tmp_path / "bench/onnx").mkdir(parents=True)
    files["f"].rename(tmp_path / "bench/onnx/f.onnx.gz")
    csv = tmp_path / "instances.csv"
    csv.write_text("\"[('f', 'bench/onnx/f.onnx'), ('g', './g.onnx')]\",./prop.vnnlib,100\n")
    (one,) = read_instances(csv).instances
    assert one.network == {"f": tmp_path / "bench/onnx/f.onnx.gz", "g": tmp_path / "g.onnx"}
    assert (one.folder, one.timeout) == ("bench", 100.0)
    csv.write_text("\"[('f')]\",prop.vnnlib,100\n")
    with pytest.raises(UsageError, match="line 1 of .* expected a file or a list"):
        read_instances(csv)


@pytest.mark.parametrize("text", ["", "X real [1]\n1", "X_f real [1,2]\n1\n2\n", "X_f real [1,2]\none\n2\n"])
def test_other_text_is_refused_in_version_2(text: str) -> None:
    given = read_property(TWO.format(relation="equal-to") + SAME)
    with pytest.raises(PropertyError, match="type and shape of X_f, Y_f, X_g, Y_g"):
        read_counterexample(text, given)
