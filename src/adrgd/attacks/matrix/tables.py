"""The words and numbers of an evaluation's tables, once for all the forms in which they are shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

HEADER = (
    "attack", "broken", "95 %", "robust accuracy", "95 %", "alone", "mean loss", "forward", "backward", "seconds",
    "outside", "unconfirmed", "silent",
)  # fmt: skip

LEGEND = (
    "Broken: judged by us on the returned input, pulled into its ball and box where rounding had put it outside; clean "
    "errors count. Alone: broken by no other attack. Forward, backward: passes an image. Outside: returned inputs that "
    "left ball or box by more than rounding; they do not count. Unconfirmed: called broken by the attack, not by the "
    "network. Silent: broken on the way, not in the end. Intervals: Wilson's, 95 %."
)


@dataclass(frozen=True)
class Table:
    """One model at one radius."""

    title: str
    header: tuple[str, ...]
    rows: list[tuple[str, ...]]


def tables(summary: dict[str, Any]) -> list[Table]:
    """A table for each model and radius; the last row is the worst of all attacks."""
    found = []
    for union in summary["unions"]:
        place = (union["model"], union["eps"])
        cells = [cell for cell in summary["cells"] if (cell["model"], cell["eps"]) == place]
        rows = [row for cell in cells for row in _rows(cell, union)]
        rows.append(_union(union))
        config = summary["config"]
        goal = "untargeted" if config["target"] is None else f"target {config['target']}"
        goal += ", no box" if config.get("box") == "none" else ""
        goal += f", a square of {config['patch']}" if "patch" in config else ""
        goal += f", where {config['mask']} allows it" if "mask" in config else ""
        found.append(Table(f"{union['model']}, {config['norm']} eps {union['eps']:g}, {goal}", HEADER, rows))
    return found


def seen(summary: dict[str, Any]) -> list[tuple[str, str, str]]:
    """The signs of failure that were seen: what, where, and what was found with what to do about it."""
    return [
        (sign["name"], where(sign), f"{sign['finding']}; {sign['advice']}")
        for sign in summary["indicators"]
        if sign["triggered"]
    ]


def where(place: dict[str, Any]) -> str:
    """A model, with the radius and the attack where they matter."""
    words = [place["attack"], place["model"], None if place["eps"] is None else f"eps {place['eps']:g}"]
    return ", ".join(word for word in words if word)


def known(summary: dict[str, Any], union: dict[str, Any]) -> dict[str, Any] | None:
    """The certificates of a union's model and radius; None where there are none."""
    place = (union["model"], union["eps"])
    rows: list[dict[str, Any]] = summary.get("certificates", [])
    return next((row for row in rows if (row["model"], row["eps"]) == place), None)


def known_words(found: dict[str, Any]) -> str:
    """What is known of all images, in one sentence."""
    low, high = found["robust_accuracy_at_least"], found["robust_accuracy_at_most"]
    words = (
        f"{found['broken']} broken, {found['undecided']} undecided, {found['certified']} certified of "
        f"{found['images']} images: robust accuracy from {low:.4f} to {high:.4f}; up to "
        f"{found['seconds_an_image']:g} s an image, {found['seconds']:.1f} s in all"
    )
    if found["reasons"]:
        words += f"; undecided because of the time, or: {'; '.join(found['reasons'])}"
    if "broken_and_certified" in found:
        words += (
            f"; {found['broken_and_certified']} of them both broken and certified: a proof is about exact numbers, an "
            "attack about the model's own precision"
        )
    return words


def shown(summary: dict[str, Any]) -> Table | None:
    """What other models say of what was found; None where there are none."""
    rows: list[tuple[str, ...]] = [
        (
            where(row), row["judge"], f"{row['clean_accuracy']:.4f}", f"{row['success_rate']:.4f}",
            _range(row["success_interval_95"]), f"{row['carried']} of {row['right_before']}",
        )
        for row in summary.get("judges", [])
    ]  # fmt: skip
    header = ("attack, model", "shown to", "right before", "broken", "95 %", "of those right before")
    return Table("Shown to other models", header, rows) if rows else None


def markdown(summary: dict[str, Any]) -> str:
    """The whole evaluation as a page of Markdown."""
    config = summary["config"]
    data = f" of `{config['data']}`" if "data" in config else ""
    lines = [
        "# Evaluation", "",
        f"{summary['images']} images{data}, seed {config['seed']}. {LEGEND}{_unboxed(summary)}", "",
    ]  # fmt: skip
    for place, union in zip(tables(summary), summary["unions"], strict=True):
        lines += [f"## {place.title}", "", _line(place.header), _line(["---"] + ["---:"] * (len(place.header) - 1))]
        lines += [*map(_line, place.rows), ""]
        found = known(summary, union)
        lines += [f"Certificates: {known_words(found)}.", ""] if found is not None else []
    if (others := shown(summary)) is not None:
        lines += [f"## {others.title}", "", _line(others.header), _line(["---"] * len(others.header))]
        lines += [*map(_line, others.rows), ""]
    lines += ["## Indicators of attack failure", ""]
    signs = seen(summary)
    lines += [f"- **{name}** ({place}): {words}." for name, place, words in signs]
    judged = len(summary["indicators"])
    lines += (
        ["", f"{judged - len(signs)} of {judged} checks found nothing."]
        if signs
        else [f"None of {judged} checks found anything."]
    )
    if summary["failures"]:
        lines += ["", "## Attacks without results", ""]
        lines += [f"- {where(failure)}: {failure['reason']}" for failure in summary["failures"]]
    if summary["skipped_images"]:
        lines += ["", "## Images that could not be read", ""] + [f"- {name}" for name in summary["skipped_images"]]
    return "\n".join(lines) + "\n"


def _rows(cell: dict[str, Any], union: dict[str, Any]) -> list[tuple[str, ...]]:
    """A cell's row, and another for the points that its solver's own rule records."""
    if "recorded_success_rate" not in cell:
        return [_row(cell, union)]
    recorded = (
        f"{cell['attack']}, recorded as released", f"{cell['recorded_success_rate']:.4f}",
        _range(cell["recorded_interval_95"]), *[""] * (len(HEADER) - 3),
    )  # fmt: skip
    return [_row(cell, union), recorded]


def _row(cell: dict[str, Any], union: dict[str, Any]) -> tuple[str, ...]:
    count = cell["images"]
    return (
        cell["attack"], f"{cell['success_rate']:.4f}", _range(cell["success_interval_95"]),
        f"{cell['robust_accuracy']:.4f}", _range(cell["robust_interval_95"]), str(union["alone"][cell["attack"]]),
        f"{cell['mean_loss']:.4g}", f"{cell['forward_passes'] / count:.1f}", f"{cell['backward_passes'] / count:.1f}",
        f"{cell['seconds']:.2f}", str(cell["outside"]), str(cell["unconfirmed"]), str(cell["silent"]),
    )  # fmt: skip


def _union(union: dict[str, Any]) -> tuple[str, ...]:
    return (
        "worst of all", f"{union['success_rate']:.4f}", _range(union["success_interval_95"]),
        f"{union['robust_accuracy']:.4f}", _range(union["robust_interval_95"]), *[""] * (len(HEADER) - 5),
    )  # fmt: skip


def _range(interval: list[float]) -> str:
    return f"{interval[0]:.3f} to {interval[1]:.3f}"


def _unboxed(summary: dict[str, Any]) -> str:
    return f" There was {summary['box_sentence']}." if "box_sentence" in summary else ""


def _line(cells: tuple[str, ...] | list[str]) -> str:
    return f"| {' | '.join(cells)} |"
