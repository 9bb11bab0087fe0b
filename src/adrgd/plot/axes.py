"""What all drawings share: axes, colours, names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from matplotlib.axes import Axes

T = TypeVar("T")

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")  # Okabe & Ito's: all eyes tell them apart


def some_axes(axes: Axes | None) -> Axes:
    """The given axes, or those of a new figure of pyplot, which notebooks show."""
    if axes is not None:
        return axes
    from matplotlib import pyplot

    return pyplot.subplots(layout="constrained")[1]


def named(given: Any) -> Mapping[str, Any]:
    """One thing or several by name: the name of a single one is empty."""
    return given if isinstance(given, Mapping) else {"": given}


def finish(axes: Axes, names: Mapping[str, Any], xlabel: str, ylabel: str) -> Axes:
    """Labels, and a legend where there are names."""
    axes.set(xlabel=xlabel, ylabel=ylabel)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.3)
    if any(names):
        axes.legend(frameon=False)
    return axes
