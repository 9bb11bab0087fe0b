"""Operators of ONNX that only move numbers: which number of the input stands where."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from adrgd.recheck.arithmetic import Array
from adrgd.recheck.errors import UncheckedError

Attributes = dict[str, Any]
Moving = Callable[[Array, Attributes, list[Array]], Array]
"""A tensor, the node's attributes, and its other inputs, which are constants."""


def _reshape(x: Array, attributes: Attributes, given: list[Array]) -> Array:
    wanted = (given[0] if given else np.array(attributes["shape"])).tolist()
    keep = bool(attributes.get("allowzero", 0))
    return x.reshape([x.shape[k] if size == 0 and not keep else size for k, size in enumerate(wanted)])


def _flatten(x: Array, attributes: Attributes, given: list[Array]) -> Array:
    axis = int(attributes.get("axis", 1))
    return x.reshape(math.prod(x.shape[: axis if axis >= 0 else axis + x.ndim]), -1)


def _axes(attributes: Attributes, given: list[Array]) -> tuple[int, ...] | None:
    axes = given[0].tolist() if given else attributes.get("axes")
    return None if axes is None else tuple(axes)


def _unsqueeze(x: Array, attributes: Attributes, given: list[Array]) -> Array:
    return np.expand_dims(x, _axes(attributes, given) or ())


def _slice(x: Array, attributes: Attributes, given: list[Array]) -> Array:
    named = given or [np.array(attributes[key]) for key in ("starts", "ends", "axes") if key in attributes]
    starts, ends, *rest = [part.tolist() for part in named]
    axes = rest[0] if rest else range(len(starts))
    steps = rest[1] if len(rest) > 1 else [1] * len(starts)
    where = [slice(None)] * x.ndim
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        if step < 1:
            raise UncheckedError("no proof is checked for a Slice that goes backwards; export the network without it")
        where[axis] = slice(start, end, step)
    return x[tuple(where)]


MOVES: dict[str, Moving] = {
    "Identity": lambda x, attributes, given: x,
    "Dropout": lambda x, attributes, given: x,
    "Reshape": _reshape,
    "Flatten": _flatten,
    "Squeeze": lambda x, attributes, given: np.squeeze(x, _axes(attributes, given)),
    "Unsqueeze": _unsqueeze,
    "Transpose": lambda x, attributes, given: np.transpose(x, attributes.get("perm")),
    "Slice": _slice,
    "Gather": lambda x, attributes, given: np.take(x, given[0], axis=int(attributes.get("axis", 0))),
}
"""By name, as numpy does them."""
