"""Pages that a person can open: one HTML file each, pictures and curves inside, no network."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Mapping, Sequence
from importlib import resources
from itertools import cycle, product
from typing import Any

import jinja2
import torch
from PIL import Image
from torch import Tensor

from adrgd.command import again

COLOURS = ("#1f6fb2", "#c8553d", "#3a8f5c", "#8a6bbf", "#8c8c8c")
DASHES = ("-", "--", ":")  # once the colours are used up


def render(template: str, **values: Any) -> str:
    """Fill in a template of the package, named by its path inside it; all of them extend page.html.j2."""
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_source), autoescape=True, undefined=jinja2.StrictUndefined
    )
    return environment.get_template(template).render(again=again(), **values)


def chart(
    x: Sequence[float],
    lines: Mapping[str, Sequence[float]],
    *,
    xlabel: str,
    ylabel: str,
    limits: tuple[float, float] | None = None,
    log: bool = False,
    log_x: bool = False,
    whole: bool = True,
) -> str:
    """Curves over x as an SVG element; a legend when there is more than one. `whole`: x are whole numbers."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    many = len(lines) > len(COLOURS)  # their names take a place of their own beside the curves
    figure = Figure(figsize=(7.8 if many else 5.2, 2.9), layout="constrained")
    axes = figure.add_subplot()
    looks = cycle(product(DASHES, COLOURS))
    for (dash, colour), (name, y) in zip(looks, lines.items(), strict=False):
        axes.plot(x, y, dash, color=colour, linewidth=2, label=name)
    axes.set_xlabel(xlabel)
    if log_x:
        axes.set_xscale("log")
    elif whole:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_ylabel(ylabel)
    if limits is not None:
        axes.set_ylim(*limits)
    if log:
        axes.set_yscale("log")
    if many:
        figure.legend(frameon=False, fontsize="small", loc="outside right upper")
    elif len(lines) > 1:
        axes.legend(frameon=False)
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    file = io.StringIO()
    figure.savefig(file, format="svg", metadata={"Date": None})
    text = file.getvalue()
    words = html.escape(_in_words(x, lines, xlabel, ylabel), quote=True)
    return text[text.index("<svg") :].replace("<svg", f'<svg role="img" aria-label="{words}"', 1)


def _in_words(x: Sequence[float], lines: Mapping[str, Sequence[float]], xlabel: str, ylabel: str) -> str:
    """What curves show, for those who do not see them: where each begins and ends."""
    ends = [(f"{name}: " if name else "") + f"from {y[0]:.3g} to {y[-1]:.3g}" for name, y in lines.items() if len(y)]
    span = f"{xlabel} {x[0]:.3g} to {x[-1]:.3g}" if len(x) else xlabel
    return f"{ylabel} by {span}; {'; '.join(ends)}"


def picture(image: Tensor) -> Image.Image:
    """(C, H, W) in [0, 1] as a picture; other channel counts than 1 and 3 show their first channel."""
    pixels = (image.clamp(0, 1) * 255).round().to(torch.uint8).cpu()
    return Image.fromarray(pixels.permute(1, 2, 0).numpy() if len(pixels) == 3 else pixels[0].numpy())


def data_url(image: Tensor) -> str:
    """(C, H, W) in [0, 1] as the address of an image element."""
    file = io.BytesIO()
    picture(image).save(file, "PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def _source(name: str) -> str:
    return resources.files("adrgd").joinpath(name).read_text(encoding="utf-8")
