"""Calls that are no activation of single numbers, written with affine maps, curves and products: each of them exactly.

max(a, b) = b + relu(a - b); what chooses is in `choosing`, what balances numbers against each other in `balances`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from adrgd.activations import RELU, MaxPool, PiecewiseLinear
from adrgd.activations.choices import Largest
from adrgd.activations.sshaped import SShaped
from adrgd.activations.stairs import Stairs
from adrgd.bounds.balances import BALANCES, einsum, matrix_product
from adrgd.bounds.calls import Bend, Seen, named
from adrgd.bounds.choosing import CHOOSING, cut_off, floored, product, quotient, sign, times
from adrgd.bounds.curves import EXP, LOG, NAMED, RECIPROCAL, SQUARE, power
from adrgd.bounds.errors import NoBoundsError
from adrgd.bounds.stairs import CEIL, FLOOR, ROUND, TRUNC

STAIRS = {"floor": FLOOR, "ceil": CEIL, "trunc": TRUNC, "round": ROUND}


def largest(bend: Bend, h: Tensor, axis: int) -> Tensor:
    """The largest along one axis, which is kept; in rounds of pairs."""
    while (size := h.shape[axis]) > 1:
        half = size // 2
        first, second = h.narrow(axis, 0, half), h.narrow(axis, half, half)
        won = second + bend(RELU, first - second)
        h = torch.cat([won, h.narrow(axis, 2 * half, 1)], axis) if size % 2 else won
    return h


def pooled(bend: Bend, h: Tensor, pool: MaxPool) -> Tensor:
    """Max-pooling; the entries beyond the edge repeat one of their own window."""
    windows = pool._windows(h)
    pairs = [w for k in reversed(range(len(pool.size))) for w in (pool.padding[k], windows.after[k])]
    if any(pairs):
        if any(step > 1 for step in pool.dilation):
            raise NoBoundsError("no bounds are known for max_pool with both padding and dilation")
        h = torch.nn.functional.pad(h, pairs, mode="replicate")
    return largest(bend, torch.stack(list(windows._views(h)), 1), 1)[:, 0]


def activation(seen: Seen, phi: object, h: Tensor) -> Tensor | None:
    """What an activation makes of h (B, ...), where it has no curve of its own; None where nothing is known."""
    if isinstance(phi, MaxPool):
        return pooled(seen.bent, h, phi)
    if isinstance(phi, Largest):
        for axis in phi.axes:
            h = largest(seen.bent, h, axis)
        return h
    if isinstance(phi, PiecewiseLinear):  # slopes of channels
        out = h * phi.slope + phi.offset
        for at, jump in zip(phi.breaks, phi.jumps, strict=True):
            out = out + jump * seen.bent(RELU, h - at)
        return out
    if isinstance(phi, SShaped) and phi.is_flat and phi.name == "sign":
        return sign(seen, h)
    if isinstance(phi, Stairs) and phi.name in STAIRS:
        steps = seen.bent(STAIRS[phi.name], h / phi.unit)
        return steps * phi.unit if phi.unit != 1 else seen.whole(steps)
    return None


def raised(seen: Seen, base: Any, exponent: Any) -> Tensor | None:
    """A power of which the base, the exponent or both depend on the input."""
    if not seen.varies(exponent):
        if isinstance(exponent, Tensor) and exponent.numel() > 1:
            return None
        value = float(exponent)
        return seen.bent(power(value), base) if value != 1 else base * 1
    logarithm: Tensor = seen.bent(LOG, base) if seen.varies(base) else torch.as_tensor(base, dtype=torch.float64).log()
    if not seen.varies(base) and not bool((torch.as_tensor(base) > 0).all()):
        return None
    return seen.bent(EXP, times(seen, logarithm, exponent))


def divided(seen: Seen, above: Any, below: Any, mode: str | None) -> Tensor | None:
    """A quotient whose divisor depends on the input, or that is rounded."""
    found: Tensor | None = None
    if mode is not None:
        rounded = quotient(floored if mode == "floor" else cut_off, rest=False)
        found = rounded(seen, {"input": above, "other": below})
    elif seen.varies(below):
        found = times(seen, above, seen.bent(RECIPROCAL, below))
    return found


def function(seen: Seen, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """What a call of torch makes of tensors that depend on the input; None where it is left as it is."""
    plain = name.strip("_")
    if name.endswith("_") and not name.startswith("__"):
        return None  # what is changed in place may be looked at again
    if plain in CHOOSING or plain in BALANCES:
        names, lowered = (CHOOSING | BALANCES)[plain]
        return lowered(seen, named(names, args, kwargs)) if len(args) <= len(names) else None
    if plain == "einsum":
        operands = args[1] if len(args) == 2 and isinstance(args[1], list | tuple) else args[1:]
        both = all(seen.varies(one) for one in operands)
        return einsum(seen, {"equation": args[0], "operands": operands}) if both else None
    given = named(("input", "other"), args, kwargs)
    if "input" not in given:
        return None
    h: Any = given["input"]
    other: Any = given.get("other", given.get("exponent", given.get("mat2")))
    if plain in NAMED:
        return seen.bent(NAMED[plain], h)
    if plain in ("pow", "float_power", "rpow"):
        return raised(seen, *((other, h) if plain == "rpow" else (h, other)))
    if plain in ("mul", "multiply", "rmul") and seen.varies(h) and seen.varies(other):
        return seen.bent(SQUARE, h) if h is other else product(seen, h, other)
    if plain in ("div", "divide", "true_divide", "truediv", "rdiv", "rtruediv"):
        above, below = (other, h) if plain in ("rdiv", "rtruediv") else (h, other)
        return divided(seen, above, below, kwargs.get("rounding_mode"))
    if plain in ("matmul", "bmm", "mm") and seen.varies(h) and seen.varies(other) and min(h.ndim, other.ndim) >= 2:
        return matrix_product(seen, h, other)
    if plain == "logaddexp":
        larger = other + seen.bent(RELU, h - other)
        return larger + seen.bent(LOG, seen.bent(EXP, h - larger) + seen.bent(EXP, other - larger))
    return None
