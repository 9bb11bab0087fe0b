"""The certified global maximum of a ReLU network over a box."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from adrgd.errors import ModelError, UsageError
from adrgd.exact.affine import Mlp
from adrgd.exact.box import Corner, corners, start_points
from adrgd.exact.branch_and_bound import BranchAndBound
from adrgd.exact.certificate import Certificate


def certify(
    mlp: Mlp,
    lower: Corner,
    upper: Corner,
    *,
    start: Tensor | Sequence[Sequence[float]] | None = None,
    tolerance: float = 1e-4,
    absolute_tolerance: float = 1e-9,
    time_limit: float = 60.0,
    batch: int | None = None,
    open_limit: int | None = None,
    progress: Callable[[Certificate], None] | None = None,
) -> Certificate:
    """Maximise a scalar ReLU network over `lower <= x <= upper` and prove how good the maximum is.

    Branch and bound over the inputs: each box is bounded by linear relaxation, given up if its bound is within the
    tolerance of the best value, cut down to where its linear bound exceeds that, and halved otherwise. It is meant
    for networks with up to about ten inputs. The minimum is that of `mlp.negated()`, with the sign changed.

    The bound is computed in float64 with ordinary rounding, not in interval arithmetic. It is moved outward by a
    first-order estimate of the rounding error, with a safety factor of eight (see `adrgd.bounds.rounding`), usually
    around 1e-11 of the value. It refers to the function that the float64 weights define; the same network run in
    float32 can differ from it by more.

    Args:
        mlp: the network, with one output; see `mlp_from_module`, `Mlp.output` and `Mlp.combined`.
        lower: lower corner of the box, or one number for all inputs.
        upper: upper corner.
        start: known good points, (K, inputs); they are moved into the box. Random points are tried in any case.
        tolerance: stop when `upper_bound - value` is at most this fraction of `|value|`,
        absolute_tolerance: or at most this.
        time_limit: seconds of wall-clock time; the bound returned is valid whenever the search stops.
        batch: boxes bounded at once; by default as many as suit the cache.
        open_limit: number of waiting boxes from which on the search goes depth-first, which bounds the memory;
            by default as many as fit in half a gigabyte.
        progress: called before each batch with the state so far.

    An interrupt from the keyboard ends the search and returns the state so far.

    Examples:
        >>> from torch import nn
        >>> from adrgd.exact import certify, mlp_from_module
        >>> net = nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 1))
        >>> for parameter in net.parameters():
        ...     _ = nn.init.constant_(parameter, 0.5)
        >>> found = certify(mlp_from_module(net), -1.0, 1.0)
        >>> round(found.value, 6), found.proven
        (3.5, True)
    """
    if mlp.outputs != 1:
        raise ModelError(
            f"a network with one output was expected, found {mlp.outputs}; choose one with mlp.output(index) or "
            "combine them with mlp.combined(row)"
        )
    _check_number("tolerance", tolerance, 0 <= tolerance < 1, "a number from 0 up and below 1")
    absolute_fine = math.isfinite(absolute_tolerance) and absolute_tolerance >= 0
    _check_number("absolute_tolerance", absolute_tolerance, absolute_fine, "a finite number from 0 up")
    _check_number("time_limit", time_limit, time_limit >= 0, "a number of seconds from 0 up")
    _check_number("batch", batch, batch is None or batch >= 1, "a number from 1 up, or None")
    _check_number("open_limit", open_limit, open_limit is None or open_limit >= 1, "a number from 1 up, or None")
    low, high = corners(lower, upper, mlp.inputs)
    points = None if start is None else start_points(start, low, high)
    with torch.no_grad():
        search = BranchAndBound(
            mlp,
            low,
            high,
            tolerance=tolerance,
            absolute_tolerance=absolute_tolerance,
            time_limit=time_limit,
            batch=batch,
            open_limit=open_limit,
        )
        return search.run(points, progress)


def _check_number(name: str, value: float | None, valid: bool, expected: str) -> None:
    if not valid:
        raise UsageError(f"{name} must be {expected}, found {value}; pass another value")
