"""Images before and after, and what changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray
from torch import Tensor

from adrgd.errors import UsageError
from adrgd.pictures import shown_change


def gallery(
    clean: Tensor,
    found: Tensor,
    axes: Any = None,
    *,
    above: Sequence[object] | None = None,
    below: Sequence[object] | None = None,
) -> NDArray[Any]:
    """Draw three rows: the images, what was changed (grey for nothing, the largest change black or white), the result.

    Args:
        clean, found: (N, C, H, W) in [0, 1]; with one channel, or three.
        axes: (3, N) axes to draw into; new ones unless given.
        above, below: N words over the first row and under the last, such as the labels before and after.

    Returns:
        The axes, (3, N).

    Raises:
        UsageError: the shapes do not fit.
    """
    if clean.dim() != 4 or clean.shape != found.shape or not len(clean):
        raise UsageError(
            f"expected images (N, C, H, W) twice, found shapes {tuple(clean.shape)} and {tuple(found.shape)}; "
            "pass the same images before and after"
        )
    count = len(clean)
    if axes is None:
        from matplotlib import pyplot

        axes = pyplot.subplots(3, count, figsize=(1.1 * count, 3.5), layout="constrained", squeeze=False)[1]
    grid: NDArray[Any] = np.asarray(axes)
    if grid.shape != (3, count):
        raise UsageError(
            f"expected axes of shape (3, {count}), found {grid.shape}; make them with subplots(3, {count})"
        )
    for k in range(count):
        for row, image in enumerate((clean[k], shown_change(found[k] - clean[k]), found[k])):
            _show(grid[row, k], image.detach().cpu().clamp(0, 1))
        if above is not None:
            grid[0, k].set_title(str(above[k]), fontsize="small")
        if below is not None:
            grid[2, k].set_xlabel(str(below[k]), fontsize="small")
    for row, name in enumerate(("before", "change", "after")):
        grid[row, 0].set_ylabel(name)
    return grid


def _show(axes: Axes, image: Tensor) -> None:
    if len(image) == 3:
        axes.imshow(image.permute(1, 2, 0).numpy())
    else:
        axes.imshow(image[0].numpy(), cmap="gray", vmin=0, vmax=1)
    axes.set(xticks=[], yticks=[])
