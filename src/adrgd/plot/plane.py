"""A network on a plane through its inputs: its values, its polytopes, and the paths of solvers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import cycle
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from torch import Tensor

from adrgd.errors import UsageError
from adrgd.plot.axes import COLOURS, some_axes
from adrgd.surrogate import hinge_values

Function = Callable[[Tensor], Tensor]
INK = "#222222"


@dataclass(frozen=True)
class Plane:
    """The points centre + a u + b v.

    Attributes:
        centre: one input, (...).
        u, v: two directions of its shape; they need not have length one, and a and b count them.
    """

    centre: Tensor
    u: Tensor
    v: Tensor

    @staticmethod
    def through(centre: Tensor, first: Tensor, second: Tensor) -> Plane:
        """The plane through three inputs: (a, b) is (0, 0) at `centre`, (1, 0) at `first`; v is perpendicular to u.

        Raises:
            UsageError: they lie on a line.
        """
        u, w = first - centre, second - centre
        v = w - u * (u * w).sum() / (u * u).sum().clamp_min(1e-30)
        if float(v.norm()) < 1e-6 * float(w.norm()) or not float(u.norm()):
            raise UsageError("three inputs on one line span no plane; choose another third one")
        return Plane(centre, u, v * u.norm() / v.norm())

    @staticmethod
    def of_two_inputs(dtype: torch.dtype = torch.float32) -> Plane:
        """All inputs (2,) of a network that takes two numbers."""
        unit = torch.eye(2, dtype=dtype)
        return Plane(torch.zeros(2, dtype=dtype), unit[0], unit[1])

    def points(self, a: Tensor, b: Tensor) -> Tensor:
        """(n, ...) the inputs at coordinates a, b (n,)."""
        rest = (1,) * self.centre.dim()
        a, b = (k.to(self.centre).view(-1, *rest) for k in (a, b))
        return self.centre + a * self.u + b * self.v

    def coordinates(self, x: Tensor) -> Tensor:
        """(n, 2) where inputs x (n, ...) lie, or would lie if they were dropped on the plane."""
        basis = torch.stack([self.u.flatten(), self.v.flatten()], 1).double()
        found: Tensor = torch.linalg.lstsq(basis, (x - self.centre).flatten(1).double().T).solution.T
        return found


def slice_2d(
    function: Function,
    plane: Plane | None = None,
    axes: Axes | None = None,
    *,
    low: tuple[float, float] = (-1.0, -1.0),
    high: tuple[float, float] = (1.0, 1.0),
    points: int = 201,
    polytopes: bool = True,
    trajectories: Mapping[str, Tensor] | None = None,
    linewidth: float = 0.4,
    cmap: Any = "cividis",
    levels: int = 18,
) -> Axes:
    """Shade a function on a plane, draw the zero set of every neuron, and the paths of solvers over it.

    Args:
        function: x (B, ...) -> (B,), such as `Output(network)`.
        plane: all of a network's two inputs unless given.
        axes: where to draw; new ones unless given.
        low, high: the corners of the rectangle, in coordinates (a, b) of the plane.
        points: of the grid along each side.
        polytopes: draw where neurons switch; those of piecewise-linear activations.
        trajectories: (T, ...) points by name, e.g. `follow(...).points[:, 0]`; they are dropped on the plane.
        linewidth: of the zero sets.
        cmap, levels: of the shading, as in matplotlib's contourf.

    Raises:
        UsageError: the function does not return one number a row.

    Examples:
        >>> import torch
        >>> from adrgd import Output
        >>> from adrgd.plot import slice_2d
        >>> network = torch.nn.Sequential(torch.nn.Linear(2, 8), torch.nn.ReLU(), torch.nn.Linear(8, 1))
        >>> axes = slice_2d(Output(network), points=21)
    """
    plane = Plane.of_two_inputs() if plane is None else plane
    axes = some_axes(axes)
    across, up = (np.linspace(a, b, points) for a, b in zip(low, high, strict=True))
    values, hinges = _on_grid(function, plane, across, up)
    axes.contourf(across, up, values.view(points, points).numpy(), levels=levels, cmap=cmap, zorder=0)
    axes.set_rasterization_zorder(0.5)  # the shade; a contour set itself can be told so from matplotlib 3.11 on
    for h in hinges.T if polytopes else ():
        if h.min() < 0 < h.max():
            axes.contour(
                across, up, h.view(points, points).numpy(), levels=[0], colors=INK, linewidths=linewidth, zorder=1
            )
    for colour, (name, path) in zip(cycle(COLOURS[1:]), (trajectories or {}).items(), strict=False):
        where = plane.coordinates(path).numpy()
        axes.plot(*where.T, color="white", linewidth=3, zorder=2)
        axes.plot(*where.T, color=colour, linewidth=1.6, label=name, zorder=3)
        axes.plot(*where[-1], "o", color=colour, markeredgecolor="white", zorder=4)
    axes.set(aspect="equal", xlim=(low[0], high[0]), ylim=(low[1], high[1]))
    if trajectories:
        axes.legend()
    return axes


def count_polytopes(
    function: Function,
    plane: Plane | None = None,
    *,
    low: tuple[float, float] = (-1.0, -1.0),
    high: tuple[float, float] = (1.0, 1.0),
    points: int = 201,
) -> int:
    """How many activation patterns occur on the grid; see `slice_2d`."""
    plane = Plane.of_two_inputs() if plane is None else plane
    across, up = (np.linspace(a, b, points) for a, b in zip(low, high, strict=True))
    return len(torch.unique(_on_grid(function, plane, across, up)[1] >= 0, dim=0))


def _on_grid(function: Function, plane: Plane, across: Any, up: Any) -> tuple[Tensor, Tensor]:
    """(n,) values and (n, neurons) distances to hinges, the second coordinate in the outer loop, as images have it."""
    where = torch.cartesian_prod(torch.from_numpy(up), torch.from_numpy(across)).flip(1)
    values, signs = [], []
    with torch.no_grad():
        for part in torch.split(where, 4096):
            value, hinges = hinge_values(function, plane.points(*part.T))
            if value.shape != (len(part),):
                raise UsageError(
                    f"the function must return one number a row, found shape {tuple(value.shape)} for {len(part)} "
                    "rows; wrap a network in Output(network, index)"
                )
            values.append(value.cpu())
            signs.append(torch.cat([h.flatten(1) for h in hinges], 1).cpu() if hinges else torch.zeros(len(part), 0))
    return torch.cat(values), torch.cat(signs)
