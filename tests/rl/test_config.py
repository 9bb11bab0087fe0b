"""What a refinement may be."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("stable_baselines3", reason="needs the extra [rl]")

from adrgd.errors import UsageError
from adrgd.rl import RefineConfig
from adrgd.rl.config import named
from adrgd.solvers import PGD, GraduatedGates, SearchedGates, TrueGates


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"probability": -0.1}, "probability"),
        ({"probability": 1.5}, "probability"),
        ({"probability": float("nan")}, "probability"),
        ({"radius": 0.0}, "radius"),
        ({"radius": float("nan")}, "radius"),
        ({"steps": 0}, "steps >= 1"),
        ({"start": -1}, "start >= 0"),
        ({"critic": "best"}, "unknown choice of critic 'best'"),
        ({"solver": "magic"}, "unknown solver 'magic'"),
        ({"solver": "adr:magic"}, "unknown ADR-GD preset"),
    ],
)
def test_what_is_refused(settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        RefineConfig(**settings)


def test_names_and_the_control() -> None:
    """ "gd" is "graduated" with the true gradient: nothing else differs."""
    graduated, gd = RefineConfig().resolved(), RefineConfig(solver="gd").resolved()
    assert isinstance(graduated.gates, GraduatedGates)
    assert isinstance(gd.gates, TrueGates)
    assert gd.step == graduated.step
    adr = RefineConfig(solver="adr").resolved()
    assert isinstance(adr.gates, SearchedGates)
    assert (adr.gates.beta0, adr.gates.alpha_eta, adr.gates.T_p) == (0.5, 0.1, 10)  # appendix C
    assert isinstance(RefineConfig(solver="pgd").resolved(), PGD)
    assert RefineConfig(solver=PGD()).resolved() == PGD()


def test_none_is_no_refinement() -> None:
    assert named("none") is None
    assert named("adr", RefineConfig(radius=0.2)) == RefineConfig(solver="adr", radius=0.2)
