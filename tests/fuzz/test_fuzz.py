"""The first of the cases that `make fuzz` tries by the thousand."""

from __future__ import annotations

from pathlib import Path

import pytest

from .harness import Case, outcome
from .kinds import KINDS

FEWER = {"pt2": 3, "pt": 12, "run-folders": 10}
"""Of kinds whose cases take longer than most."""


ONCE = [
    ("images", 168, 0), ("onnx-nodes", 464, 1), ("onnx-nodes", 435, 2), ("onnx-nodes", 1780, 2),
    ("onnx-nodes", 4014, 1), ("specs", 2607, 1), ("specs", 7249, 1), ("specs", 8814, 1),
]  # fmt: skip
"""Kind, number and seed of cases that were faults once."""


@pytest.mark.parametrize(("kind", "number", "seed"), ONCE)
def test_what_was_a_fault_once(kind: str, number: int, seed: int, tmp_path: Path) -> None:
    assert outcome(Case(kind, number, seed, str(tmp_path)), raising=True)[0] in ("taken", "refused")


@pytest.mark.parametrize("kind", KINDS)
def test_every_case_ends_well_or_in_a_sentence(kind: str, tmp_path: Path) -> None:
    if kind == "vnnlib-2":
        pytest.importorskip("vnnlib")
    found = [outcome(Case(kind, number, 0, str(tmp_path)), raising=True) for number in range(FEWER.get(kind, 25))]
    assert {word for word, _ in found} <= {"taken", "refused"}
