"""Drawings that can be used again: each takes axes, or makes them, and returns them. Needs the extra `[plot]`."""

from adrgd.errors import optional

optional("matplotlib", extra="plot")

from adrgd.plot.curves import loss_against_passes, robust_accuracy  # noqa: E402
from adrgd.plot.gates import gate_histogram  # noqa: E402
from adrgd.plot.images import gallery  # noqa: E402
from adrgd.plot.plane import Plane, count_polytopes, slice_2d  # noqa: E402

__all__ = [
    "Plane",
    "count_polytopes",
    "gallery",
    "gate_histogram",
    "loss_against_passes",
    "robust_accuracy",
    "slice_2d",
]
