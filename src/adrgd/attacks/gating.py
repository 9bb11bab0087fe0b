"""Which activations of a classifier the gates of an attack stand for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from adrgd.attacks.ensemble.standard import FIRST, Standard
from adrgd.errors import ModelError
from adrgd.gates import Gating
from adrgd.solvers import Solver, gating


def attack_gating(model: Callable[[Tensor], Tensor], images: Tensor, solver: Solver | Standard) -> Gating | None:
    """Look at the model once, on some images (B, ...); None where the attack follows plain gradients by its nature."""
    return gating(FIRST if isinstance(solver, Standard) else solver, lambda x: model(x).sum(1), images)


def facts(found: Gating | None) -> dict[str, Any] | None:
    """As it stands in a summary."""
    return None if found is None else found.facts() | {"sentence": found.sentence}


def check_gates(found: Gating | None) -> None:
    """For those who would rather stop than go on with plain gradients.

    Raises:
        ModelError: an activation has no gate.
    """
    if found is not None and found.warning:
        raise ModelError(f"gates are required, and {found.warning}")


def gates_of(
    model: Callable[[Tensor], Tensor], images: Tensor, solver: Solver | Standard, *, require_gates: bool
) -> dict[str, Any]:
    """What the summary of a run says of them, looked at before it begins.

    Raises:
        ModelError: gates are required, and an activation has none.
    """
    found = attack_gating(model, images, solver)
    if require_gates:
        check_gates(found)
    return {"gates": facts(found)}
