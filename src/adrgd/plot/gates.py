"""How soft the gates of a network are at a point, for a given noise."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import cycle

import numpy as np
import torch
from matplotlib.axes import Axes
from torch import Tensor

from adrgd.errors import UsageError
from adrgd.gates import Layers, find_layers, select
from adrgd.gates.layers import Picked
from adrgd.plot.axes import COLOURS, finish, some_axes
from adrgd.rows import RowRandom
from adrgd.surrogate import estimated_squared_norms, exact_norms, hinge_values, true_pattern


def soft_gates(
    function: Callable[[Tensor], Tensor],
    x: Tensor,
    sigma: float,
    *,
    layers: Layers = "all",
    probes: int | None = None,
) -> list[Tensor]:
    """eta_j = Phi(h_j / (sigma ||P_j||)) of every piecewise-linear hinge, at x (B, ...): one tensor (B, ...) a hinge.

    P_j is the slope of neuron j's input in the polytope of x.

    Args:
        sigma: standard deviation of the noise on each number of x, in x's own units; 0 gives the true pattern.
        layers: which of the layers that `find_layers` lists.
        probes: estimate ||P_j|| from that many random directions; exactly, one forward pass a coordinate, unless given.

    Raises:
        UsageError: the function has no piecewise-linear activation, or sigma is negative.
    """
    if sigma < 0:
        raise UsageError(f"sigma must not be negative, found {sigma}; pass a standard deviation")
    among = find_layers(function, x)
    if not among:
        raise UsageError(
            "the function has no piecewise-linear activation; adrgd.gates.look(function, x) lists them all"
        )
    picked = Picked(select(layers, among), {layer.number: layer.layout for layer in among})
    with torch.no_grad():
        _, hinges = hinge_values(function, x, picked)
        pattern = true_pattern(hinges)
        if not sigma:
            return pattern
        if probes is None:
            norms = exact_norms(function, x, pattern, picked)
        else:
            random = RowRandom.seeded(0, torch.arange(len(x)))
            squares = estimated_squared_norms(function, x, pattern, random, probes=probes, layers=picked, hinges=hinges)
            norms = [square.sqrt() for square in squares]
        return [torch.special.ndtr(h / (sigma * norm).clamp_min(1e-12)) for h, norm in zip(hinges, norms, strict=True)]


def gate_histogram(
    function: Callable[[Tensor], Tensor],
    x: Tensor,
    sigma: float | Sequence[float],
    axes: Axes | None = None,
    *,
    layers: Layers = "all",
    probes: int | None = None,
    bins: int = 20,
) -> Axes:
    """Draw how many gates are how open at x (B, ...), for one noise level or several; see `GraduatedGates`.

    At 0 and 1 are the neurons that the noise does not switch; those in between are where the backward pass of
    graduated gates differs from plain backpropagation.

    Args:
        sigma, layers, probes: as in `soft_gates`; several levels of sigma share the axes.
        axes: where to draw; new ones unless given.
        bins: of the interval [0, 1].

    Raises:
        UsageError: as `soft_gates`.
    """
    axes = some_axes(axes)
    levels = [sigma] if isinstance(sigma, int | float) else list(sigma)
    edges = np.linspace(0, 1, bins + 1)
    for colour, level in zip(cycle(COLOURS), levels, strict=False):
        gates = soft_gates(function, x, float(level), layers=layers, probes=probes)
        values = torch.cat([gate.flatten() for gate in gates]).cpu().numpy()
        share = np.histogram(values, edges)[0] / len(values)
        axes.stairs(share, edges, color=colour, linewidth=2, label=f"sigma {level:g}")
    axes.set(xlim=(0, 1), yscale="log")
    return finish(axes, {"sigma": levels} if len(levels) > 1 else {"": 0}, "gate", "share of the gates")
