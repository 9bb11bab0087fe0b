"""Comparisons, truth values, choices and ranks, written with unit steps, hinges and products.

[h >= 0] is one step; a > b is 1 - [b - a >= 0]; where(c, a, b) = b + c (a - b); a and b is relu(a + b - 1).
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from adrgd.activations import RELU
from adrgd.bounds.calls import Lowered, Seen
from adrgd.bounds.pairs import PRODUCT
from adrgd.bounds.stairs import FLOOR, STEP, TRUNC

MOST = 64  # numbers along an axis that are ranked


def product(seen: Seen, a: Tensor, b: Tensor) -> Tensor:
    """a b, entry by entry, both depending on the input."""
    shape = torch.broadcast_shapes(a.shape, b.shape)  # type: ignore[no-untyped-call]
    first, second = (one.expand(shape).reshape(shape[0], -1) for one in (a, b))
    both = seen.bent(PRODUCT, torch.cat([first, second], 1))
    return both[:, : first.shape[1]].reshape(shape)


def times(seen: Seen, a: Any, b: Any) -> Any:
    """a b, where only one may depend on the input."""
    return product(seen, a, b) if seen.varies(a) and seen.varies(b) else a * b


def compared(how: str) -> Lowered:
    """A relation between numbers, of which one may be a constant."""
    relation = getattr(operator, how)

    def run(seen: Seen, given: Mapping[str, Any]) -> Tensor:
        a, b = given["input"], given["other"]
        if seen.is_truth(a) and not seen.varies(b) and not (isinstance(b, Tensor) and b.numel() > 1):
            at_zero, at_one = (float(relation(number, float(b))) for number in (0.0, 1.0))
            return seen.truth(at_zero + (at_one - at_zero) * a)
        up, down = _difference(a, b), _difference(b, a)
        strict = how in ("gt", "lt")
        if seen.is_whole(a) and seen.is_whole(b):  # between them there is nothing, and steps are far from both
            up, down = (one - 0.5 if strict else one + 0.5 for one in (up, down))
            strict = False
        if how in ("eq", "ne"):
            same = seen.bent(STEP, up) + seen.bent(STEP, down) - 1
            return seen.truth(same if how == "eq" else 1 - same)
        upwards = how in ("ge", "gt")
        if strict:
            return seen.truth(1 - seen.bent(STEP, down if upwards else up))
        return seen.truth(seen.bent(STEP, up if upwards else down))

    return run


def _difference(a: Any, b: Any) -> Tensor:
    a, b = (one.double() if isinstance(one, Tensor) and not one.is_floating_point() else one for one in (a, b))
    found: Tensor = a - b
    return found


def as_truth(seen: Seen, value: Any) -> Any:
    """Truth values; of numbers, whether they are not zero."""
    if not seen.varies(value):
        return value.to(torch.float64) if isinstance(value, Tensor) else float(bool(value))
    return value if seen.is_truth(value) else compared("ne")(seen, {"input": value, "other": 0})


def logical(how: str) -> Lowered:
    """Two truth values joined; of whole numbers, bits are not followed."""

    def run(seen: Seen, given: Mapping[str, Any]) -> Tensor | None:
        a, b = given["input"], given["other"]
        if how.startswith("bit") and not all(seen.is_truth(one) for one in (a, b) if seen.varies(one)):
            return None
        a, b = as_truth(seen, a), as_truth(seen, b)
        together = seen.bent(RELU, a + b - 1) if seen.varies(a) and seen.varies(b) else a * b
        if how.endswith("and"):
            return seen.truth(together)
        return seen.truth(a + b - (together if how.endswith("or") and not how.endswith("xor") else 2 * together))

    return run


def negated(seen: Seen, given: Mapping[str, Any]) -> Tensor:
    """Not a truth value."""
    return seen.truth(1 - as_truth(seen, given["input"]))


def sign(seen: Seen, h: Tensor) -> Tensor:
    """-1, 0 and 1."""
    if seen.is_whole(h):
        far = seen.bent(STEP, torch.stack([h, -h], 1) - 0.5)
        return seen.whole(far[:, 0] - far[:, 1])
    both = seen.bent(STEP, torch.stack([h, -h], 1))
    return seen.whole(both[:, 0] - both[:, 1])


def heaviside(seen: Seen, h: Tensor, at_zero: Any) -> Tensor:
    """0, 1, and a number of its own at zero."""
    both = seen.bent(STEP, torch.stack([h, -h], 1))
    found: Tensor = 1 - both[:, 1] + at_zero * (both[:, 0] + both[:, 1] - 1)
    return found


def where(seen: Seen, given: Mapping[str, Any]) -> Tensor | None:
    """A choice by a condition that depends on the input."""
    condition, a = given["condition"], given["input"]
    if seen.is_truth(a) and not seen.is_truth(condition):  # a.where(condition, b)
        condition, a = a, condition
    return _chosen(seen, condition, a, given["other"]) if seen.is_truth(condition) else None


def masked_fill(seen: Seen, given: Mapping[str, Any]) -> Tensor | None:
    """A constant where a condition holds that depends on the input."""
    mask = given.get("mask")
    return _chosen(seen, mask, given["value"], given["input"]) if seen.is_truth(mask) else None


def _chosen(seen: Seen, condition: Any, a: Any, b: Any) -> Tensor:
    found: Tensor = b + times(seen, condition, a - b)
    return found


def quotient(rounded: Callable[[Seen, Tensor], Tensor], *, rest: bool) -> Lowered:
    """a divided by a constant and rounded, or what is left of a."""

    def run(seen: Seen, given: Mapping[str, Any]) -> Tensor | None:
        a, b = given["input"], given["other"]
        if seen.varies(b) or not seen.varies(a):
            return None
        whole = rounded(seen, a / b)
        left: Tensor = a - whole * b
        return left if rest else whole

    return run


def floored(seen: Seen, h: Tensor) -> Tensor:
    """Rounded down."""
    return seen.bent(FLOOR, h)


def cut_off(seen: Seen, h: Tensor) -> Tensor:
    """Rounded towards zero."""
    return seen.bent(TRUNC, h)


def ranked(seen: Seen, given: Mapping[str, Any], *, descending: bool, count: int | None = None) -> Any:
    """(values, places) of the largest or smallest along an axis, in order, by comparing neighbours."""
    h, axis = given["input"], given.get("dim", -1)
    size = h.shape[axis]
    if size > MOST or not isinstance(axis, int):
        return None
    entries = list(h.unbind(axis))
    places = seen.hidden(lambda: torch.argsort(h, dim=axis, descending=descending, stable=True))
    count = size if count is None else count
    for first in range(count):  # the most extreme of those left comes to the front
        for k in range(size - 1, first, -1):
            a, b = entries[k - 1], entries[k]
            more = seen.bent(RELU, (b - a) if descending else (a - b))
            entries[k - 1], entries[k] = (a + more, b - more) if descending else (a - more, b + more)
    kind = torch.return_types.sort if count == size else torch.return_types.topk
    return kind((torch.stack(entries[:count], axis), places.narrow(axis, 0, count)))


def place(seen: Seen, given: Mapping[str, Any], *, sign: int) -> Tensor | None:
    """Where along an axis the largest stands (sign 1), or the smallest: the first of several."""
    h, axis, keep = given["input"] * sign, given.get("dim"), given.get("keepdim", False)
    if not isinstance(axis, int) or h.shape[axis] > MOST or h.shape[axis] < 2:
        return None
    axis = axis % h.ndim
    entries = h.unbind(axis)
    size = len(entries)
    pairs = [(i, j) for i in range(size) for j in range(i + 1, size)]
    won = seen.bent(STEP, torch.stack([entries[i] - entries[j] for i, j in pairs], 1)).unbind(1)
    beats = dict(zip(pairs, won, strict=True))
    counts = [
        torch.stack([beats[i, j] if i < j else 1 - beats[j, i] for j in range(size) if j != i], 0).sum(0)
        for i in range(size)
    ]
    ones = seen.bent(RELU, torch.stack(counts, axis) - (size - 2))
    weights = torch.arange(size, dtype=h.dtype).reshape(-1, *[1] * (h.ndim - 1 - axis))
    found: Tensor = seen.whole((ones * weights).sum(axis, keepdim=bool(keep)))
    if keep:
        seen.placed(found, ones, axis)
    return found


def scatter(seen: Seen, given: Mapping[str, Any]) -> Tensor | None:
    """A constant put where the largest stands."""
    known, value = seen.places(given.get("index")), given.get("value", given.get("src"))
    if known is None or known[1] != given["dim"] % given["input"].ndim or isinstance(value, Tensor):
        return None
    base = given["input"]
    found: Tensor = base + times(seen, known[0], value - base)
    return found


def gather(seen: Seen, given: Mapping[str, Any]) -> Tensor | None:
    """The entry where the largest stands, of this tensor or another."""
    known = seen.places(given.get("index"))
    if known is None or known[1] != given["dim"] % given["input"].ndim:
        return None
    found: Tensor = times(seen, known[0], given["input"]).sum(known[1], keepdim=True)
    return found


RELATIONS = {
    "gt": "gt", "greater": "gt", "ge": "ge", "greater_equal": "ge", "lt": "lt", "less": "lt", "le": "le",
    "less_equal": "le", "eq": "eq", "ne": "ne", "not_equal": "ne",
}  # fmt: skip

TWO = ("input", "other")

CHOOSING: dict[str, tuple[tuple[str, ...], Lowered]] = {
    **{name: (TWO, compared(how)) for name, how in RELATIONS.items()},
    **{
        name: (TWO, logical(how))
        for name, how in {
            "and": "bit_and", "or": "bit_or", "xor": "bit_xor", "rand": "bit_and", "ror": "bit_or", "rxor": "bit_xor",
            "bitwise_and": "bit_and", "bitwise_or": "bit_or", "bitwise_xor": "bit_xor", "logical_and": "and",
            "logical_or": "or", "logical_xor": "xor",
        }.items()
    },
    "invert": (("input",), negated), "bitwise_not": (("input",), negated), "logical_not": (("input",), negated),
    "where": (("condition", "input", "other"), where),
    "masked_fill": (("input", "mask", "value"), masked_fill),
    "floor_divide": (TWO, quotient(floored, rest=False)), "floordiv": (TWO, quotient(floored, rest=False)),
    "remainder": (TWO, quotient(floored, rest=True)), "mod": (TWO, quotient(floored, rest=True)),
    "fmod": (TWO, quotient(cut_off, rest=True)),
    "sort": (
        ("input", "dim", "descending"),
        lambda seen, given: ranked(seen, given, descending=bool(given.get("descending", False))),
    ),
    "topk": (
        ("input", "k", "dim", "largest"),
        lambda seen, given: ranked(seen, given, descending=bool(given.get("largest", True)), count=given["k"]),
    ),
    "argmax": (("input", "dim", "keepdim"), lambda seen, given: place(seen, given, sign=1)),
    "argmin": (("input", "dim", "keepdim"), lambda seen, given: place(seen, given, sign=-1)),
    "scatter": (("input", "dim", "index", "src"), scatter),
    "gather": (("input", "dim", "index"), gather),
}  # fmt: skip
"""By the plain names of torch's functions: their arguments' names, and what they give."""
