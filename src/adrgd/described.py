"""The effective settings of a solver, as plain data for a run's config.yaml and its summary."""

from __future__ import annotations

import dataclasses
from typing import Any

from adrgd.names import STANDARD


def describe(solver: Any, name: str) -> dict[str, Any]:
    """The effective configuration of a solver or an ensemble, for config.yaml and the summary."""
    if name == STANDARD or not hasattr(solver, "gates"):
        return {"name": name} | _plain(solver)
    return {
        "name": name,
        "gates": {"rule": type(solver.gates).__name__} | _plain(solver.gates),
        "step": {"rule": type(solver.step).__name__} | _plain(solver.step),
        "random_start": solver.random_start,
        "most_steps": solver.most_steps,
    }


def _plain(value: Any) -> dict[str, Any]:
    found = dataclasses.asdict(value) if dataclasses.is_dataclass(value) and not isinstance(value, type) else {}
    return {key: list(item) if isinstance(item, tuple) else item for key, item in found.items()}
