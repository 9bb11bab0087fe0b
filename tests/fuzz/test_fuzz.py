"""The first of the cases that `make fuzz` tries by the thousand."""

from __future__ import annotations

from pathlib import Path

import pytest

from .harness import Case, outcome
from .kinds import KINDS

FEWER = {"pt2": 3, "pt": 12, "run-folders": 10}
"""Of kinds whose cases take longer than most."""


@pytest.mark.parametrize("kind", KINDS)
def test_every_case_ends_well_or_in_a_sentence(kind: str, tmp_path: Path) -> None:
    if kind == "vnnlib-2":
        pytest.importorskip("vnnlib")
    found = [outcome(Case(kind, number, 0, str(tmp_path)), raising=True) for number in range(FEWER.get(kind, 25))]
    assert {word for word, _ in found} <= {"taken", "refused"}
