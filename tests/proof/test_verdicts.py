"""Verdicts against a mixed-integer program; benchmarks/proofs.py tries 10,000 networks."""

from __future__ import annotations

from types import ModuleType

import pytest
from benchmark_files import load_benchmark

pytest.importorskip("scipy")


@pytest.fixture(scope="module")
def proofs() -> ModuleType:
    return load_benchmark("proofs")


@pytest.mark.parametrize("start", [0, 7, 14])
def test_no_verdict_is_wrong(start: int, proofs: ModuleType) -> None:
    for seed in range(start, start + 7):
        said = proofs.verdicts(seed, 0.2)
        if said:
            assert {said[way] for way in proofs.WAYS} <= {said["truth"], "undecided"}, seed
