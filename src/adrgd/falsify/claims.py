"""A property's cases as claims that a proof refutes."""

from __future__ import annotations

import torch
from torch import Tensor

from adrgd.bounds.backward import Boxes
from adrgd.falsify.property import Property
from adrgd.proof.claims import Claims


def claims_of(prop: Property) -> Claims:
    """One claim for each case; the boxes reach just beyond the decimals of the file."""
    cases = prop.cases
    rows = max((len(case.bound) for case in cases), default=0)
    shape = (len(cases), max(rows, 1))
    mixed = any(case.on_inputs is not None for case in cases)
    on_outputs = torch.zeros(*shape, prop.outputs, dtype=torch.float64)
    on_inputs = torch.zeros(*shape, prop.inputs, dtype=torch.float64) if mixed else None
    offset = torch.zeros(shape, dtype=torch.float64)
    counts = torch.zeros(shape, dtype=torch.bool)
    for at, case in enumerate(cases):
        used = slice(len(case.bound))
        on_outputs[at, used], offset[at, used], counts[at, used] = case.on_outputs, -case.bound, True
        if on_inputs is not None and case.on_inputs is not None:
            on_inputs[at, used] = case.on_inputs
    empty = torch.zeros(0, prop.inputs, dtype=torch.float64)
    lower = torch.stack([case.lower for case in cases]) if cases else empty
    upper = torch.stack([case.upper for case in cases]) if cases else empty
    return Claims(
        Boxes(_outwards(lower, -torch.inf), _outwards(upper, torch.inf)), on_outputs, on_inputs, offset, counts
    )


def _outwards(corner: Tensor, to: float) -> Tensor:
    return torch.nextafter(corner, torch.full_like(corner, to))
