"""The table that ends an attack at one radius."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from adrgd.cli.attack.subject import working
from adrgd.cli.folders import figures

if TYPE_CHECKING:
    from rich.table import Table


def table(summary: dict[str, Any]) -> Table:
    (low, high), config = summary["success_interval_95"], summary["config"]
    gates = summary.get("gates")
    rows = (
        working(config["solver"])
        | ({"gates": gates["sentence"]} if gates else {})
        | _unboxed(summary)
        | {
            "images": f"{summary['images']}",
            "success rate"
            + (
                ", best iterate" if "recorded_success_rate" in summary else ""
            ): f"{summary['success_rate']:.4f}  ({low:.3f} to {high:.3f})",
            **_recorded(summary),
            "clean accuracy": f"{summary['clean_accuracy']:.4f}",
            "robust accuracy": f"{summary['robust_accuracy']:.4f}",
            **_certified(summary),
            "mean loss, clean -> adversarial": f"{summary['mean_clean_loss']:.4f} -> {summary['mean_loss']:.4f}",
            **random(summary),
            **({"ended early, not finite": f"{summary['not_finite']}"} if summary["not_finite"] else {}),
            **({"without any gradient": f"{summary['no_gradient']}"} if summary["no_gradient"] else {}),
            **rounded(summary),
            "forward / backward passes": f"{summary['forward_passes']} / {summary['backward_passes']}",
            "seconds": f"{summary['seconds']:.1f}",
            "seed": f"{summary['seed']}",
        }
    )
    return figures(f"{config['solver']['name']}, {allowed(config['threat'])}", rows)


def allowed(threat: dict[str, Any]) -> str:
    """What may change, in a few words."""
    words = f"{threat['norm']} {threat['eps']:g}"
    words += f" in a square of {threat['patch']}" if "patch" in threat else ""
    return words + (f" where {threat['mask']} allows it" if "mask" in threat else "")


def rounded(summary: dict[str, Any]) -> dict[str, str]:
    """What became of images that were saved as pictures."""
    if "rounded" not in summary:
        return {}
    from adrgd.attacks.export import rounded_sentence

    return {"saved as pictures": rounded_sentence(summary["rounded"])}


def _unboxed(summary: dict[str, Any]) -> dict[str, str]:
    """The line that a run without a box has."""
    if "values" not in summary:
        return {}
    low, high = summary["values"]
    return {"box": f"{summary['box_sentence']}; they go from {low:.3g} to {high:.3g}"}


def _certified(summary: dict[str, Any]) -> dict[str, str]:
    """How many images are known to be safe, where that was asked for."""
    found = summary.get("certificates")
    if found is None:
        count = summary.get("certified_by_the_attack", 0)
        return {"certified by the attack": f"{count}"} if count else {}
    low, high = found["robust_accuracy_at_least"], found["robust_accuracy_at_most"]
    why = "; ".join(["time", *found["reasons"]]) if found["undecided"] else ""
    return {
        "broken / certified / undecided": f"{found['broken']} / {found['certified']} / {found['undecided']}"
        + (f"  ({why})" if why else ""),
        "robust accuracy, certified": f"{low:.4f} to {high:.4f}",
    }


def judged(summary: dict[str, Any]) -> list[Table]:
    """What was found, shown to other models: one line each, the attacked one first."""
    if "judges" not in summary:
        return []
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    config = summary["config"]
    found = Table(title="shown to", title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    for name in ("model", "right before", "broken", "95 %", "of those right before"):
        found.add_column(name, justify="left" if name == "model" else "right", overflow="fold")
    low, high = summary["success_interval_95"]
    own = " + ".join([config["model"], *config.get("ensemble", ())])
    found.add_row(
        f"{own} (attacked)", f"{summary['clean_accuracy']:.4f}", f"{summary['success_rate']:.4f}",
        f"{low:.3f} to {high:.3f}", "",
    )  # fmt: skip
    for row in summary["judges"]:
        low, high = row["success_interval_95"]
        found.add_row(
            row["model"], f"{row['clean_accuracy']:.4f}", f"{row['success_rate']:.4f}", f"{low:.3f} to {high:.3f}",
            f"{row['carried']} of {row['right_before']}",
        )  # fmt: skip
    return [found]


def random(summary: dict[str, Any]) -> dict[str, str]:
    """What the draws of a random model say, one by one."""
    found = summary.get("eot")
    if found is None:
        return {}
    low, high = found["wrong_interval_95"]
    return {
        "rule": found["rule"],
        "wrong draws": f"{found['wrong_share']:.4f}  ({low:.4f} to {high:.4f})",
        "images mostly wrong / right / neither, 95 %": f"{found['mostly_wrong']} / {found['mostly_right']} / "
        f"{found['undecided']}",
    }


def _recorded(summary: dict[str, Any]) -> dict[str, str]:
    """What the solver's own rule keeps, beside the best iterate."""
    if "recorded_success_rate" not in summary:
        return {}
    low, high = summary["recorded_interval_95"]
    return {"success rate, recorded as released": f"{summary['recorded_success_rate']:.4f}  ({low:.3f} to {high:.3f})"}
