"""The study's finished parts as one Parquet file and as Markdown tables."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from methods import DECAYING, METHODS
from nets import MODELS
from numpy.typing import NDArray
from protocols import Protocol

from adrgd.files import write_text, write_with

PRINTED = {
    "gd": (40.58, 3873.76, 35807.10),
    "adr": (43.95, 4047.99, 37672.04),
    "m1": (43.33, 3914.25, 36609.58),
    "m2": (43.74, 3940.10, 36822.27),
    "m3": (43.90, 3995.62, 36064.52),
    "m4": (43.13, 3882.18, 36036.73),
}
"""The paper's Table 1(c) for models A, B, C, where the method's label is printed."""

CLOSE = 1e-3  # within this share of the best known value
TIE = 1e-6  # a method wins a net when no other is further above it than this share

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Line:
    """One method under one protocol on one model; shares are of the best known values."""

    method: str
    setting: str
    restarts: int
    steps: int
    mean: float
    error: float
    best_iterate: float
    share: float
    share_error: float
    wins: int
    within: float
    passes: float
    to_get_there: float
    seconds: float


class Study:
    """All finished parts of a folder."""

    def __init__(self, parts: Path) -> None:
        self.parts = {
            tuple(path.name.split(".")[:3]): pq.read_table(path) for path in sorted(parts.glob("*.*.*.parquet"))
        }
        self.seconds = {
            key: float((table.schema.metadata or {}).get(b"seconds", b"nan")) for key, table in self.parts.items()
        }
        self.known = {model: self._best_known(model) for model in MODELS}

    def _best_known(self, model: str) -> Array:
        found: dict[int, float] = {}
        for (owner, name, _), table in self.parts.items():
            if owner == model and name != "tune":
                for net, value in zip(table["net"].to_pylist(), table["best"].to_pylist(), strict=True):
                    found[net] = max(found.get(net, -np.inf), value)
        return np.array([found[net] for net in sorted(found)])

    def lines(self, model: str, protocol: str) -> list[Line]:
        """The finished methods, in the order of the tables."""
        values = {
            method: _by_net(self.parts[model, protocol, method], "value")
            for method in METHODS
            if (model, protocol, method) in self.parts
        }
        if not values:
            return []
        top = np.max([value.max(0) if len(value) == 1 else value.mean(0) for value in values.values()], axis=0)
        return [self._line(model, protocol, method, value, top) for method, value in values.items()]

    def _line(self, model: str, protocol: str, method: str, value: Array, top: Array) -> Line:
        table, known = self.parts[model, protocol, method], self.known[model]
        means = value.mean(0)
        first = {name: table[name][0].as_py() for name in ("setting", "restarts", "steps")}
        passes = float(np.mean(np.add(table["forwards"].to_pylist(), table["backwards"].to_pylist())))
        history = np.array(table["history"].to_pylist())
        there = history >= np.tile(known, len(value))[:, None] * (1 - CLOSE)
        arrived = there.any(1)
        course = np.linspace(0, 1, history.shape[1])
        spent = (1 + course * first["steps"]) / (1 + first["steps"]) * passes
        return Line(
            method=method, **first, mean=float(means.mean()), error=_error(means),
            best_iterate=float(np.mean(table["best"].to_pylist())),
            share=float((means / known).mean()), share_error=_error(means / known),
            wins=int((means >= top * (1 - TIE)).sum()),
            within=float((value >= known * (1 - CLOSE)).mean()), passes=passes,
            to_get_there=float(np.median(spent[there[arrived].argmax(1)])) if arrived.any() else float("nan"),
            seconds=float(table["seconds"][0].as_py()),
        )  # fmt: skip


def _by_net(table: pa.Table, column: str) -> Array:
    """(starts, nets)"""
    starts = max(table["start"].to_pylist()) + 1
    return np.array(table[column].to_pylist(), dtype=np.float64).reshape(starts, -1)


def _error(values: Array) -> float:
    return float(values.std(ddof=1) / len(values) ** 0.5) if len(values) > 1 else float("nan")


def write_report(parts: Path, out: Path, protocols: dict[str, Protocol]) -> dict[str, object]:
    """Write results.parquet, tuning.parquet and tables.md; return what the tables say, for JSON."""
    study = Study(parts)
    runs = [table.drop_columns(["history"]) for (_, name, _), table in study.parts.items() if name != "tune"]
    tuned = [table for (_, name, _), table in study.parts.items() if name == "tune"]
    for name, tables in (("results", runs), ("tuning", tuned)):
        if tables:
            merged = pa.concat_tables([table.replace_schema_metadata(None) for table in tables])
            write_with(
                out / f"{name}.parquet",
                lambda path, merged=merged: pq.write_table(merged, path, compression="zstd"),  # type: ignore[misc]
            )
    summary: dict[str, object] = {
        "seconds": sum(study.seconds.values()),
        "best_known": {model: float(known.mean()) for model, known in study.known.items() if len(known)},
    }
    text = ["Written by run.py. Every value is a mean over networks; see docs/random-nets.md for the columns.", ""]
    for name, protocol in protocols.items():
        if name == "long":
            continue
        text += [f"## {name}: {protocol.title}", "", *_overview(study, name), ""]
        for model in MODELS:
            lines = study.lines(model, name)
            if lines:
                text += [*_table(model, name, lines, study), ""]
                summary[f"{name} {model}"] = {
                    line.method: {key: None if value != value else value for key, value in vars(line).items()}  # no NaN
                    for line in lines
                }
    text += ["## Gates against step lengths", "", *_lengths(study)]
    text += ["", "## Seconds of one process", "", *_seconds(study)]
    write_text(out / "tables.md", "\n".join(text) + "\n")
    return summary


def _overview(study: Study, name: str) -> Iterable[str]:
    """All three models side by side: the mean, and in brackets the mean share of the best known values."""
    lines = {model: {line.method: line for line in study.lines(model, name)} for model in MODELS}
    paper = name == "paper"
    heads = [head for model in MODELS for head in ([f"{model}, printed", model] if paper else [model])]
    yield "| method | " + " | ".join(heads) + " |"
    yield "|" + "---|" * (1 + len(heads))
    for method, how in METHODS.items():
        cells = []
        for at, model in enumerate(MODELS):
            line = lines[model].get(method)
            if paper:
                cells.append(f"{PRINTED[method][at]:.2f}" if method in PRINTED else "")
            cells.append(f"{line.mean:.2f} ({100 * line.share:.1f} %)" if line else "")
        yield f"| {how.title} | " + " | ".join(cells) + " |"


def _table(model: str, name: str, lines: list[Line], study: Study) -> Iterable[str]:
    paper = name == "paper"
    known, widths = study.known[model], "-".join(map(str, MODELS[model]))
    yield f"Model {model} ({widths}), {len(known)} networks, best known mean {known.mean():.2f}"
    yield ""
    columns = ["method", *(["printed"] if paper else []), "mean", "s.e.", *(["best iterate"] if paper else [])]
    columns += ["of best known", "s.e.", "wins", "within 0.1 %", "passes", "to get there", "s a net", "runs", "setting"]
    yield "| " + " | ".join(columns) + " |"
    yield "|" + "---|" * len(columns)
    for line in lines:
        printed = PRINTED.get(line.method)
        cells = [METHODS[line.method].title]
        if paper:
            cells.append(f"{printed['ABC'.index(model)]:.2f}" if printed else "")
        cells += [f"{line.mean:.2f}", f"{line.error:.2f}"]
        if paper:
            cells.append(f"{line.best_iterate:.2f}")
        there = "" if np.isnan(line.to_get_there) else f"{line.to_get_there:.0f}"
        cells += [
            f"{100 * line.share:.2f} %", f"{100 * line.share_error:.2f}", str(line.wins), f"{100 * line.within:.1f} %",
            f"{line.passes:.0f}", there, f"{line.seconds:.3f}", f"{line.restarts} x {line.steps}", line.setting,
        ]  # fmt: skip
        yield "| " + " | ".join(cells) + " |"


def _lengths(study: Study) -> Iterable[str]:
    """Mean values on the tuning networks: each gate rule's best over its own parameter, for every decaying step."""
    yield "| model | gates | " + " | ".join(DECAYING) + " |"
    yield "|" + "---|" * (2 + len(DECAYING))
    for model in MODELS:
        for method in ("sign", "leaky", "sigmoid", "graduated"):
            table = study.parts.get((model, "tune", method))
            if table is None:
                continue
            pairs = list(zip(table["setting"].to_pylist(), table["mean"].to_pylist(), strict=True))
            best = [max(mean for label, mean in pairs if label.endswith(step)) for step in DECAYING]
            yield f"| {model} | {METHODS[method].title} | " + " | ".join(f"{value:.2f}" for value in best) + " |"


def _seconds(study: Study) -> Iterable[str]:
    names = list(dict.fromkeys(name for _, name, _ in study.parts))
    yield "| model | " + " | ".join(names) + " |"
    yield "|" + "---|" * (1 + len(names))
    for model in MODELS:
        spent = [sum(s for (m, n, _), s in study.seconds.items() if (m, n) == (model, name)) for name in names]
        yield f"| {model} | " + " | ".join(f"{value:.0f}" for value in spent) + " |"
