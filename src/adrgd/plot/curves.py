"""Curves: robust accuracy over the radius, loss over the passes."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import cycle
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes

from adrgd.errors import UsageError
from adrgd.plot.axes import COLOURS, finish, named, some_axes


def robust_accuracy(distances: Any, axes: Axes | None = None, *, upto: float | None = None) -> Axes:
    """Draw the share of images that stand, at every radius at once.

    Args:
        distances: (B,) the size of the smallest change found for each image, infinite where none was found and 0 where
            the image was wrong to begin with; or a `Smallest`; or, instead, the accuracy at some radii as a mapping
            {eps: share}. Several of them as a mapping {name: ...}.
        axes: where to draw; new ones unless given.
        upto: the largest radius drawn; the largest finite distance unless given.

    Raises:
        UsageError: nothing to draw.

    Examples:
        >>> import torch
        >>> from adrgd.plot import robust_accuracy
        >>> axes = robust_accuracy({"ours": torch.tensor([0.0, 0.1, 0.3, torch.inf])})
        >>> axes.get_ylabel()
        'robust accuracy'
    """
    axes = some_axes(axes)
    runs = {"": distances} if _shares(distances) else named(distances)
    if not runs:
        raise UsageError("expected the distances of at least one run, found none; pass a tensor or {name: tensor}")
    for colour, (name, run) in zip(cycle(COLOURS), runs.items(), strict=False):
        if _shares(run):
            axes.plot(sorted(run), [run[eps] for eps in sorted(run)], "o-", color=colour, label=name)
            continue
        size = np.sort(np.asarray(getattr(run, "distance", run), dtype=float))
        if size.ndim != 1 or not len(size):
            raise UsageError(f"distances must be one number an image, found shape {size.shape}; pass found.distance")
        finite = size[np.isfinite(size)]
        end = upto if upto is not None else float(finite.max(initial=0.0)) * 1.05
        radii = np.concatenate([[0.0], finite[finite <= end], [end]])
        stand = 1 - np.searchsorted(size, radii, side="right") / len(size)
        axes.step(radii, stand, where="post", color=colour, label=name, linewidth=2)
    axes.set_ylim(0, 1.02)
    axes.set_xlim(left=0)
    return finish(axes, runs, "radius", "robust accuracy")


def loss_against_passes(runs: Any, axes: Axes | None = None) -> Axes:
    """Draw the mean of each row's best loss so far over the passes spent on a row.

    Iterations are taken as equally dear, and rows that ended early stay at their last value.

    Args:
        runs: a `Solution` of `maximize(..., history=True)` or an `AttackResult`; several as a mapping {name: ...}.
        axes: where to draw; new ones unless given.

    Raises:
        UsageError: a run has no history.
    """
    axes = some_axes(axes)
    runs = named(runs)
    for colour, (name, run) in zip(cycle(COLOURS), runs.items(), strict=False):
        if run.history is None:
            raise UsageError(f"run {name!r} has no history; call maximize(..., history=True)")
        batch_first = hasattr(run, "adversarial")
        history = (run.history.T if batch_first else run.history).double().cpu()
        spent = (run.forward_passes + run.backward_passes) if batch_first else (run.forwards + run.backwards)
        mean = torch.where(history.isfinite(), history, torch.nan).nanmean(1)
        axes.plot(np.linspace(0, float(spent.max()), len(mean)), mean.numpy(), color=colour, label=name, linewidth=2)
    return finish(axes, runs, "forward and backward passes a row", "mean best loss")


def _shares(given: Any) -> bool:
    """Whether this is {eps: share}."""
    return isinstance(given, Mapping) and bool(given) and not any(isinstance(key, str) for key in given)
