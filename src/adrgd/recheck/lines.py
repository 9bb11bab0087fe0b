"""Two straight lines around each neuron's activation, from bounds of what it takes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from adrgd.recheck.arithmetic import Array
from adrgd.recheck.errors import UncheckedError
from adrgd.recheck.steps import Activation

MORE = 1 + 2.0**-50  # times an offset: pays for the few roundings in it
LEAST = 2.0**-1070
ROUNDED = 1e-13  # how far exp and tanh of numpy may be off, relative to the height of the curve


@dataclass(frozen=True)
class Lines:
    """lower_slope h + lower_offset <= phi(h) <= upper_slope h + upper_offset between the bounds; all (neurons,)."""

    lower: Array
    upper: Array
    lower_slope: Array
    lower_offset: Array
    upper_slope: Array
    upper_offset: Array

    @property
    def before(self) -> Array:
        """How large what the neurons take can be."""
        return np.maximum(np.abs(self.lower), np.abs(self.upper))

    def after(self, activation: Activation) -> Array:
        """How large what they make can be."""
        return self.before if activation.kind in ("Relu", "LeakyRelu") else np.ones_like(self.lower)


def lines(activation: Activation, lower: Array, upper: Array, shares: Array | None) -> Lines:
    """The lines between bounds (neurons,).

    Args:
        shares: of the way from the least to the largest slope that the lower line of a bent neuron may have, each
            between 0 and 1; None where it takes the side on which most of the interval lies.
    """
    if activation.kind in ("Relu", "LeakyRelu"):
        return _hinge(activation.slope, lower, upper, shares)
    return _curve(activation.kind, lower, upper)


def _hinge(least: float, lower: Array, upper: Array, shares: Array | None) -> Lines:
    """Any slope between the two sides is below, since the activation is convex; above is any line above both ends."""
    bent = (lower < 0) & (upper > 0)
    chosen = (upper > -lower).astype(np.float64) if shares is None else shares
    straight = np.where(lower >= 0, 1.0, least)
    width = np.where(bent, upper - lower, 1.0)
    chord = np.clip(least + (1 - least) * (upper / width), least, 1.0)
    offset = np.maximum((chord - least) * -lower, (1 - chord) * upper) * MORE + LEAST
    return Lines(
        lower, upper, np.where(bent, np.clip(least + (1 - least) * chosen, least, 1.0), straight),
        np.zeros_like(lower), np.where(bent, chord, straight), np.where(bent, offset, 0.0),
    )  # fmt: skip


def _curve(kind: str, lower: Array, upper: Array) -> Lines:
    """Sigmoid and tanh are convex below zero and concave above, and steeper the nearer to zero.

    A line of the least slope in the interval has the curve's distance to it rise all along; a chord, where the curve
    bends away from it on the whole interval, touches at the ends. Both are placed by the values at the ends.
    """
    if kind == "Sigmoid":
        with np.errstate(over="ignore"):
            at_lower, at_upper = 1 / (1 + np.exp(-lower)), 1 / (1 + np.exp(-upper))
        slopes = at_lower * (1 - at_lower), at_upper * (1 - at_upper)
    elif kind == "Tanh":
        at_lower, at_upper = np.tanh(lower), np.tanh(upper)
        slopes = 1 - at_lower**2, 1 - at_upper**2
    else:
        raise UncheckedError(f"no proof is checked for {kind}; leave --proof away")
    least = np.maximum(np.minimum(*slopes) * (1 - 1e-9) - ROUNDED, 0.0)
    width = upper - lower
    chord = np.clip(np.where(width > 0, (at_upper - at_lower) / np.where(width > 0, width, 1.0), least), 0.0, 1.0)
    low, high = np.where(lower >= 0, chord, least), np.where(upper <= 0, chord, least)
    slack = ROUNDED * (2 + np.maximum(np.abs(lower), np.abs(upper)))
    below = np.minimum(at_lower - low * lower, at_upper - low * upper) - slack
    above = np.maximum(at_lower - high * lower, at_upper - high * upper) + slack
    return Lines(lower, upper, low, below, high, above)
