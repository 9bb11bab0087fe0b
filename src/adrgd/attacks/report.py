"""A page that a person can open: the figures, two curves, and a gallery of what was found. One file, no network."""

from __future__ import annotations

import base64
import io
import json
from dataclasses import dataclass
from importlib import resources
from typing import Any

import jinja2
import numpy as np
import torch
from PIL import Image
from torch import Tensor

from adrgd.attacks.run_folder import RunFolder
from adrgd.data import Images
from adrgd.files import write_text

GALLERY = 12  # images shown: broken ones first


@dataclass(frozen=True)
class Card:
    """One image of the gallery; pictures are data URLs."""

    index: int
    label: str
    before: str
    after: str
    note: str
    clean: str
    change: str
    adversarial: str
    broken: bool


def write_report(folder: RunFolder, images: Images, table: dict[str, Any], summary: dict[str, Any]) -> None:
    """Write report.html from a finished run's own files; `table` is `folder.results()`."""
    tensors = folder.tensors()
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    source = resources.files("adrgd.attacks").joinpath("report.html.j2").read_text(encoding="utf-8")
    page = environment.from_string(source).render(
        summary=summary,
        config=json.dumps(summary["config"], indent=2),
        success_curve=_success_curve(table, summary),
        loss_curve=_loss_curve(tensors["history"].numpy()),
        cards=_cards(images, table, tensors["adversarial"]),
    )
    write_text(folder.path / "report.html", page)


def _success_curve(table: dict[str, Any], summary: dict[str, Any]) -> str:
    """The share of images broken by each iteration; restarts count with the iteration of their own run."""
    steps = summary["config"]["steps"]
    first = table["first_success"]
    share = [float(((first >= 0) & (first <= t)).mean()) for t in range(steps + 1)]
    return _svg(range(steps + 1), share, "share of images broken", (0.0, 1.0))


def _loss_curve(history: Any) -> str:
    """The mean of each image's best loss so far, in its first run."""
    finite = np.where(np.isfinite(history), history, np.nan)
    return _svg(range(history.shape[1]), np.nanmean(finite, axis=0), "mean best loss", None)


def _svg(x: Any, y: Any, label: str, limits: tuple[float, float] | None) -> str:
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(5.2, 2.9), layout="constrained")
    axes = figure.add_subplot()
    axes.plot(x, y, color="#1f6fb2", linewidth=2)
    axes.set_xlabel("iteration")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_ylabel(label)
    if limits is not None:
        axes.set_ylim(*limits)
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    file = io.StringIO()
    figure.savefig(file, format="svg", metadata={"Date": None})
    text = file.getvalue()
    return text[text.index("<svg") :]


def _cards(images: Images, table: dict[str, Any], adversarial: Tensor) -> list[Card]:
    """Broken images that were classified rightly before come first, spread evenly over the run."""
    right = table["clean_prediction"] == table["label"]
    interesting = np.flatnonzero(table["success"] & right)
    rest = np.flatnonzero(~(table["success"] & right))
    if len(interesting) > GALLERY:
        interesting = interesting[np.linspace(0, len(interesting) - 1, GALLERY).round().astype(int)]
    chosen = [*interesting, *rest][:GALLERY]
    cards = []
    for k in chosen:
        clean, found = images.images[k], adversarial[k]
        first = int(table["first_success"][k])
        cards.append(
            Card(
                index=int(table["index"][k]),
                label=_name(images, table["label"][k]),
                before=_name(images, table["clean_prediction"][k]),
                after=_name(images, table["adversarial_prediction"][k]),
                note=_note(bool(table["success"][k]), first),
                clean=_png(clean),
                change=_png(_change(found - clean)),
                adversarial=_png(found),
                broken=bool(table["success"][k]),
            )
        )
    return cards


def _note(broken: bool, first: int) -> str:
    if not broken:
        return "stands"
    return "wrong before the attack" if first == 0 else f"broken at iteration {first}" if first > 0 else "broken"


def _name(images: Images, label: Any) -> str:
    return str(int(label)) if images.names is None else images.names[int(label)]


def _change(difference: Tensor) -> Tensor:
    """Grey for no change; the largest change of the image becomes black or white."""
    return 0.5 + 0.5 * difference / difference.abs().max().clamp_min(1e-12)


def _png(image: Tensor) -> str:
    """(C, H, W) in [0, 1] as a data URL; other channel counts than 1 and 3 show their first channel."""
    pixels = (image.clamp(0, 1) * 255).round().to(torch.uint8).cpu()
    picture = Image.fromarray(pixels.permute(1, 2, 0).numpy() if len(pixels) == 3 else pixels[0].numpy())
    file = io.BytesIO()
    picture.save(file, "PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
