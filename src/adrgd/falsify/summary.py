"""What a run over a list of instances came to, folder by folder."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

ANSWERS = ("sat", "unsat", "unknown", "timeout", "error")

WORDS = {"rounds": "the rounds of the search", "walk": "walks over polytopes", "proof": "the proof"}
"""What may come upon a counterexample."""

HEADER = ("folder", "instances", *ANSWERS, "wrong", "median s of sat", "of its search", "median s of unsat")


def summarise(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Counts of all answers and median times of the instances that are decided, in total and for each folder."""
    folders = list(dict.fromkeys(row["folder"] for row in rows))
    return _figures(rows) | {
        "folders": {folder: _figures([row for row in rows if row["folder"] == folder]) for folder in folders}
    }


MEANINGS = {
    "sat": "a counterexample", "unsat": "proven: there is none", "unknown": "nothing was left to try",
    "timeout": "neither was found in time", "error": "files that cannot be used",
}  # fmt: skip


def table(summary: dict[str, Any]) -> list[tuple[str, ...]]:
    """A header, a line for each folder and one for all of them."""
    lines = [(folder, *_cells(figures)) for folder, figures in summary["folders"].items()]
    return [HEADER, *lines, ("all", *_cells(summary))]


def report(summary: dict[str, Any], rows: Sequence[dict[str, Any]], config: dict[str, Any]) -> str:
    """The same as a page, with every instance."""
    from adrgd.page import render

    return render(
        "falsify/report.html.j2", summary=summary, rows=rows, config=config, table=table(summary), answers=ANSWERS,
        meanings=MEANINGS,
    )  # fmt: skip


def markdown(summary: dict[str, Any], rows: Sequence[dict[str, Any]]) -> str:
    """The same as a table, with the reasons of all errors below it."""
    header, *lines = table(summary)
    lines = [header, tuple("---" if column == "folder" else "---:" for column in header), *lines]
    text = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    other = [f"- `{row['onnx']}` `{row['vnnlib']}`: expected {row['expected']}" for row in rows if wrong(row)]
    below = "\n## Verdicts other than expected\n\n" + "\n".join(other) + "\n" if other else ""
    errors = [f"- `{row['onnx']}` `{row['vnnlib']}`: {row['message']}" for row in rows if row["answer"] == "error"]
    below += "\n## Errors\n\n" + "\n".join(errors) + "\n" if errors else ""
    kinds = ", ".join(f"{summary[f'found_by_{kind}']} by {WORDS[kind]}" for kind in WORDS)
    found = f"\nCounterexamples: {kinds}.\n" if summary["sat"] else ""
    return f"# Counterexamples and proofs\n\n{text}\n{found}{below}"


def wrong(row: dict[str, Any]) -> bool:
    """Whether an instance got the other verdict than the one that is known."""
    return {row["answer"], row.get("expected")} == {"sat", "unsat"}


def _figures(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    found, proven = ([row for row in rows if row["answer"] == answer] for answer in ("sat", "unsat"))
    return {
        "instances": len(rows),
        **{answer: sum(row["answer"] == answer for row in rows) for answer in ANSWERS},
        **{f"found_by_{kind}": sum(row.get("found_by") == kind for row in found) for kind in WORDS},
        "expected": sum(bool(row.get("expected")) for row in rows),
        "wrong": sum(wrong(row) for row in rows),
        "median_seconds": statistics.median(row["seconds"] for row in found) if found else None,
        "median_search_seconds": statistics.median(row["search_seconds"] for row in found) if found else None,
        "median_unsat_seconds": statistics.median(row["seconds"] for row in proven) if proven else None,
    }


def _cells(figures: dict[str, Any]) -> list[str]:
    counts = [str(figures[name]) for name in ("instances", *ANSWERS)]
    counts.append(str(figures["wrong"]) if figures["expected"] else "")
    times = [figures[f"median_{name}seconds"] for name in ("", "search_", "unsat_")]
    return counts + ["" if value is None else f"{value:.2f}" for value in times]
