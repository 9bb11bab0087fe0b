"""Proofs of random small networks are written and hold; nothing makes a proof of what is false."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from falsify.problems import vnnlib

from adrgd.bounds.reading import read_network
from adrgd.falsify import Property, read_property
from adrgd.falsify.claims import claims_of
from adrgd.falsify.written import claims_to_check
from adrgd.models.onnx import read_onnx
from adrgd.proof.input_split import InputSplit
from adrgd.proof.neuron_split import NeuronSplit
from adrgd.proof.record import Record
from adrgd.proof.write import UnwrittenError, Writer
from adrgd.recheck.arithmetic import Arithmetic, Exact, Floats
from adrgd.recheck.check import check
from adrgd.recheck.errors import RefusedError
from adrgd.recheck.onnx_file import read_graph
from adrgd.recheck.proof import LEAF, WHOLE, Proof
from adrgd.recheck.steps import Graph
from recheck.nets import Array, mlp

WAYS = {"inputs": InputSplit, "neurons": NeuronSplit}


def highest(file: Path, random: np.random.Generator) -> tuple[float, float]:
    """The largest first and the least second output that many points show."""
    net = read_onnx(file)[0].double()
    points = random.uniform(-1, 1, size=(20_000, 2))
    points[:5000] = np.sign(points[:5000])
    with torch.no_grad():
        y = net(torch.tensor(points))
    return float(y[:, 0].max()), float(y[:, 1].min())


def problem(
    tmp_path: Path, seed: int, way: str, more: float, activation: str = "Relu"
) -> tuple[Graph, Property, Proof]:
    """A property that holds by a little, with its proof."""
    content = mlp(seed, activation)
    file = tmp_path / "net.onnx"
    file.write_bytes(content)
    prop = spec(file, seed, more)
    network = read_network(read_onnx(file)[0].double(), torch.zeros(1, 2))
    claims = claims_of(prop)
    record = Record(len(claims), network.inputs, network.sizes)
    outcome = WAYS[way](network, claims, lambda x: False, record).run(time.monotonic() + 20)
    assert outcome.proven
    graph = read_graph(content)
    return graph, prop, Writer(network, graph, claims_to_check(prop), deadline=time.monotonic() + 20).proof(record)


def spec(file: Path, seed: int, more: float) -> Property:
    """Two cases, of which a counterexample reaches either; they hold where `more` is above zero."""
    most, least = highest(file, np.random.default_rng(seed))
    return read_property(vnnlib(f"(or (and (>= Y_0 {most + more})) (and (<= Y_1 {least - more})))"))


@pytest.mark.parametrize("activation", ["Relu", "LeakyRelu"])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("seed", [0, 2, 3])
def test_proofs_hold_in_both_arithmetics(seed: int, way: str, activation: str, tmp_path: Path) -> None:
    graph, prop, proof = problem(tmp_path, seed, way, 0.05, activation)
    for arithmetic in (Floats(), Exact()):
        checked = check(graph, claims_to_check(prop), proof, arithmetic)
        assert checked.leaves == proof.leaves
        assert checked.least > 0


def shaken(proof: Proof, kind: str, random: np.random.Generator) -> Proof:
    """The proof with something changed."""

    def some(values: Array) -> Array:
        where = random.random(values.shape) < 0.3
        where.reshape(-1)[: where.size > 0] = True
        return where

    leaf = int(random.choice(np.flatnonzero(proof.splits == LEAF)))
    if kind == "slopes":
        drawn = random.integers(0, WHOLE + 1, size=(max(1, len(proof.slopes)), proof.slopes.shape[1]))
        return replace(
            proof, slopes=drawn.astype(np.uint16),
            slopes_of=np.where(some(proof.slopes_of), 0, proof.slopes_of.clip(max=0)).astype(np.int32),
        )  # fmt: skip
    if kind == "multipliers":
        changed = proof.weights * np.where(some(proof.weights), 3.0, 1.0)
        return replace(proof, weights=changed.astype(np.float32), rows=proof.rows * random.uniform(0.1, 5))
    if kind == "rows":
        return replace(proof, rows=random.exponential(size=proof.rows.shape))
    if kind == "negative rows":
        return replace(proof, rows=-proof.rows)
    if kind == "a missing leaf":
        return replace(proof, splits=np.delete(proof.splits, leaf), rows=proof.rows[1:], slopes_of=proof.slopes_of[1:])
    if kind == "one more leaf":
        return replace(
            proof, splits=np.append(proof.splits, np.int32(LEAF)), rows=np.append(proof.rows, proof.rows[:1], 0),
            slopes_of=np.append(proof.slopes_of, np.int32(-1)),
        )  # fmt: skip
    if kind == "a pruned tree":
        return replace(proof, splits=np.array([LEAF, LEAF], np.int32), rows=proof.rows[:2], at=proof.at[:0],
                       slopes_of=proof.slopes_of[:2], weights=proof.weights[:0])  # fmt: skip
    if kind == "places":
        return replace(proof, at=proof.at * random.uniform(-2, 2, size=proof.at.shape))
    if kind == "variables":
        inner = some(proof.splits) & (proof.splits >= 2)
        return replace(
            proof, splits=np.where(inner, random.integers(2, 13, size=inner.shape), proof.splits).astype(np.int32)
        )
    if kind == "no numbers":
        return replace(proof, rows=proof.rows * np.nan)
    box = {
        layer: (own, random.integers(0, WHOLE + 1, size=shares.shape).astype(np.uint16))
        for layer, (own, shares) in proof.bounds.get(0, {}).items()
    }
    return replace(proof, bounds={0: box})


KINDS = ["slopes", "multipliers", "rows", "negative rows", "a missing leaf", "one more leaf", "a pruned tree",
         "places", "variables", "no numbers", "bounds"]  # fmt: skip
INVALID = {"negative rows", "a missing leaf", "one more leaf", "no numbers"}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("seed", [0, 3])
def test_no_change_proves_what_is_false(seed: int, way: str, tmp_path: Path) -> None:
    graph, prop, proof = problem(tmp_path, seed, way, 0.02)
    false = claims_to_check(spec(tmp_path / "net.onnx", seed, -0.01))
    random = np.random.default_rng(seed)
    arithmetic: Arithmetic = Floats()
    with pytest.raises(RefusedError):
        check(graph, false, proof, arithmetic)
    for kind in KINDS:
        for _ in range(3):
            changed = shaken(proof, kind, random)
            with pytest.raises(RefusedError):
                check(graph, false, changed, arithmetic)
            if kind in INVALID:
                with pytest.raises(RefusedError):
                    check(graph, claims_to_check(prop), changed, arithmetic)


def test_leaves_that_only_a_sum_of_constraints_refutes(tmp_path: Path) -> None:
    """y0 large and y0 small at once."""
    file = tmp_path / "net.onnx"
    file.write_bytes(mlp(0))
    most, least = highest(file, np.random.default_rng(0))
    prop = read_property(vnnlib(f"(>= Y_0 {most - 0.1})", f"(<= Y_0 {most - 0.2})", f"(<= Y_1 {least + 10})"))
    network = read_network(read_onnx(file)[0].double(), torch.zeros(1, 2))
    graph, claims = read_graph(file.read_bytes()), claims_to_check(prop)
    proof = Writer(network, graph, claims, deadline=time.monotonic() + 20).proof(None)
    assert ((proof.rows > 0).sum(1) > 1).any()
    for arithmetic in (Floats(), Exact()):
        assert check(graph, claims, proof, arithmetic).leaves == proof.leaves == 1


def test_what_is_false_cannot_be_written(tmp_path: Path) -> None:
    graph, _, _ = problem(tmp_path, 0, "inputs", 0.05)
    network = read_network(read_onnx(tmp_path / "net.onnx")[0].double(), torch.zeros(1, 2))
    false = claims_to_check(spec(tmp_path / "net.onnx", 0, -0.01))
    with pytest.raises(UnwrittenError):
        Writer(network, graph, false, deadline=time.monotonic() + 0.5).proof(None)


def test_a_proof_about_other_layers_is_refused(tmp_path: Path) -> None:
    _, prop, proof = problem(tmp_path, 0, "neurons", 0.05)
    with pytest.raises(RefusedError, match="expected"):
        check(read_graph(mlp(0, widths=(2, 5, 2))), claims_to_check(prop), proof, Floats())
