"""Verdicts against the truth; benchmarks/proofs.py tries 10,000 networks."""

from __future__ import annotations

from types import ModuleType

import pytest
from benchmark_files import load_benchmark

pytest.importorskip("scipy")


@pytest.fixture(scope="module")
def small_nets() -> ModuleType:
    return load_benchmark("small_nets")


@pytest.fixture(scope="module")
def proofs(small_nets: ModuleType) -> ModuleType:
    return load_benchmark("proofs")


@pytest.mark.parametrize("start", [0, 7, 14])
def test_no_verdict_is_wrong(start: int, proofs: ModuleType) -> None:
    for seed in range(start, start + 7):
        said = proofs.verdicts(seed, 0.05)
        if said["truth"]:
            assert {said[way] for way in proofs.WAYS} <= {said["truth"], "undecided"}, seed


def test_both_ways_of_telling_the_truth_agree(small_nets: ModuleType) -> None:
    met = 0
    for seed in range(12):
        one = small_nets.problem(seed)
        if one.by == "pieces":
            for lower, upper, rows, on_inputs in zip(*one.boxes, one.rows, one.on_inputs, strict=True):
                given = one.layers, small_nets.ACTIVATIONS[one.activation][1:], lower, upper, rows, on_inputs
                assert abs(small_nets.by_pieces(*given) - small_nets.by_program(*given)) < 3e-6
                met += 1
    assert met > 5
