"""A page that a person can open: the figures, two curves, and a gallery of what was found. One file, no network."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from adrgd.attacks.run_folder import RunFolder
from adrgd.data import Images
from adrgd.page import chart, data_url, render
from adrgd.pictures import shown_change

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
    page = render(
        "attacks/report.html.j2",
        summary=summary,
        config=json.dumps(summary["config"], indent=2),
        success_curve=_success_curve(table, summary),
        loss_curve=_loss_curve(tensors["history"].numpy()),
        cards=cards(
            images, table, tensors["adversarial"],
            lambda row: _note(bool(table["success"][row]), int(table["first_success"][row])),
        ),
    )  # fmt: skip
    folder.write_text("report.html", page)


def _success_curve(table: dict[str, Any], summary: dict[str, Any]) -> str:
    """The share of images broken by each iteration; restarts count with the iteration of their own run."""
    first = table["first_success"]
    steps = max(summary["config"]["steps"], int(first.max()))  # an ensemble counts on over its runs
    share = [float(((first >= 0) & (first <= t)).mean()) for t in range(steps + 1)]
    return chart(range(steps + 1), {"": share}, xlabel="iteration", ylabel="share of images broken", limits=(0.0, 1.0))


def _loss_curve(history: Any) -> str:
    """The mean of each image's best loss so far, in its first run."""
    finite = np.where(np.isfinite(history), history, np.nan)
    return chart(range(history.shape[1]), {"": np.nanmean(finite, axis=0)}, xlabel="iteration", ylabel="mean best loss")


def cards(images: Images, table: dict[str, Any], adversarial: Tensor, note: Callable[[int], str]) -> list[Card]:
    """Broken images that were classified rightly before come first, spread evenly over the run.

    Args:
        note: what is said of the image in this row of the table.
    """
    right = table["clean_prediction"] == table["label"]
    interesting = np.flatnonzero(table["success"] & right)
    rest = np.flatnonzero(~(table["success"] & right))
    if len(interesting) > GALLERY:
        interesting = interesting[np.linspace(0, len(interesting) - 1, GALLERY).round().astype(int)]
    chosen = [*interesting, *rest][:GALLERY]
    found_cards = []
    for k in chosen:
        clean, found = images.images[k], adversarial[k]
        found_cards.append(
            Card(
                index=int(table["index"][k]),
                label=_name(images, table["label"][k]),
                before=_name(images, table["clean_prediction"][k]),
                after=_name(images, table["adversarial_prediction"][k]),
                note=note(int(k)),
                clean=data_url(clean),
                change=data_url(shown_change(found - clean)),
                adversarial=data_url(found),
                broken=bool(table["success"][k]),
            )
        )
    return found_cards


def _note(broken: bool, first: int) -> str:
    if not broken:
        return "stands"
    return "wrong before the attack" if first == 0 else f"broken at iteration {first}" if first > 0 else "broken"


def _name(images: Images, label: Any) -> str:
    return str(int(label)) if images.names is None else images.names[int(label)]
