"""The page of a reconstruction: the means, the curves, and a gallery of targets, measurements and what was found."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from adrgd.latent.targets import Targets
from adrgd.page import chart, data_url, render
from adrgd.runs import Run

GALLERY = 16  # targets shown, spread evenly


@dataclass(frozen=True)
class Card:
    """One target; `pictures` are pairs of a data URL and its caption."""

    name: str
    pictures: list[tuple[str, str]]


def write_report(
    folder: Run,
    targets: Targets,
    measured: Tensor,
    found: dict[str, dict[str, Tensor]],
    rows: list[dict[str, Any]],
    summary: dict[str, Any],
) -> None:
    """Write report.html."""
    count = len(targets.images)
    chosen = torch.linspace(0, count - 1, min(GALLERY, count)).round().long().tolist()
    ratios = {(row["target"], row["solver"]): row["psnr"] for row in rows}
    cards = []
    for k in chosen:
        name = targets.names[k]
        pictures = [(data_url(targets.images[k]), "target"), (data_url(_seen(measured[k])), "measured")]
        for solver, tensors in found.items():
            pictures.append((data_url(tensors["images"][k]), f"{solver}, {ratios[name, solver]:.1f} dB"))
        cards.append(Card(name, pictures))
    curves = {solver: tensors["history"].mean(0).tolist() for solver, tensors in found.items()}
    steps = range(max(map(len, curves.values())))
    page = render(
        "latent/report.html.j2", summary=summary, cards=cards, config=json.dumps(summary["config"], indent=2),
        curve=chart(
            steps, {name: _to(len(steps), line) for name, line in curves.items()}, xlabel="iteration",
            ylabel="mean squared residual", log=all(min(line) > 0 for line in curves.values()),
        ),
    )  # fmt: skip
    folder.write_text("report.html", page)


def _to(length: int, line: list[float]) -> list[float]:
    """A run that ended early keeps its last value."""
    return line + [line[-1]] * (length - len(line))


def _seen(measured: Tensor) -> Tensor:
    """A measurement as a picture: an image as it is, anything else as a square of its values."""
    if measured.dim() == 3:
        return measured
    values = measured.flatten()
    side = int(len(values) ** 0.5)
    square = values[: side * side].view(1, side, side)
    return (square - square.min()) / (square.max() - square.min()).clamp_min(1e-12)
