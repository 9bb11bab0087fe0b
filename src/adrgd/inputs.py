"""Inputs as the loop wants them: several of a network as one row each, those of half precision in float32."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from adrgd.domain import Domain, Packing, Product
from adrgd.errors import UsageError, warn
from adrgd.given import from_array
from adrgd.models.fitting import Converted
from adrgd.objective import Classify, Misclassify, Score
from adrgd.solvers.solver import Objective, as_score, takes_rows


def packed(
    objective: Objective, x0: Mapping[str, Any] | Sequence[Any], domain: Any
) -> tuple[Packing, Objective, Tensor, Domain]:
    """Several inputs (B, ...), their objective and their domains, as those of rows (B, n).

    Raises:
        UsageError: the domain is no Product of as many, or the inputs do not go together.
    """
    if not isinstance(domain, Product):
        raise UsageError(
            f"several inputs as x0 need a Product of domains, one for each of them, found {type(domain).__name__}; "
            "for a single input pass a tensor"
        )
    given: Any = {k: from_array(part, "x0") for k, part in x0.items()} if isinstance(x0, Mapping) else None
    given = [from_array(part, "x0") for part in x0] if given is None else given
    packing = Packing.of(given)
    found: Any = objective
    if isinstance(found, Misclassify | Classify):
        found = replace(found, model=packing.model(found.model))
    elif callable(found):
        found = partial(_asked_with_rows if takes_rows(found) else _asked_alone, found, packing)
    parts = list(given.values()) if isinstance(given, Mapping) else given
    return packing, found, packing.join(parts), domain.of(packing)


def _asked_with_rows(objective: Objective, packing: Packing, x: Tensor, rows: Tensor) -> Any:
    return objective(packing.split(x), rows)


def _asked_alone(objective: Objective, packing: Packing, x: Tensor) -> Any:
    return objective(packing.split(x))


def in_half(objective: Objective, dtype: torch.dtype) -> Objective:
    """The objective of points that are kept in float32."""
    warn(
        f"x0 is {str(dtype).removeprefix('torch.')}: points are searched and returned in float32, and the objective "
        "gets them in its own type"
    )

    if isinstance(objective, Misclassify | Classify):
        return replace(objective, model=Converted(objective.model, dtype))

    def run(x: Tensor, *rows: Tensor) -> Score:
        score = as_score(objective(x.to(dtype), *rows), len(x))
        return Score(score.value.float(), score.reached)

    return (lambda x, rows: run(x, rows)) if takes_rows(objective) else (lambda x: run(x))
