"""Public names and signatures stay, or change on purpose; `python tests/test_public_names.py` makes the list again."""

from __future__ import annotations

import importlib
import inspect
import re
from pathlib import Path
from typing import Any

import pytest

FILE = Path(__file__).with_name("public_names.txt")
ROOMS = ("api", "attacks", "defences", "exact", "falsify", "latent", "plot", "training")


def public_names() -> list[str]:
    """One line a name: room.name with its signature, or with its value's type."""
    found = []
    for room in ROOMS:
        module = importlib.import_module(f"adrgd.{room}")
        prefix = "adrgd" if room == "api" else f"adrgd.{room}"
        found += [f"{prefix}.{name}{_signature(getattr(module, name))}" for name in sorted(module.__all__)]
    return found


def _signature(thing: Any) -> str:
    if inspect.ismodule(thing) or not callable(thing):
        return f": {type(thing).__name__}"
    try:
        parameters = inspect.signature(thing).parameters.values()
    except (TypeError, ValueError):
        return ""
    names, before = [], None
    for one in parameters:
        if one.kind is one.KEYWORD_ONLY and before not in (one.KEYWORD_ONLY, one.VAR_POSITIONAL):
            names.append("*")
        star = {one.VAR_POSITIONAL: "*", one.VAR_KEYWORD: "**"}.get(one.kind, "")
        names.append(star + one.name + ("" if one.default is one.empty else "=..."))
        before = one.kind
    return f"({', '.join(names)})"


def test_public_names_are_those_of_the_list() -> None:
    pytest.importorskip("onnxruntime")
    pytest.importorskip("stable_baselines3")
    now, kept = public_names(), FILE.read_text(encoding="utf-8").splitlines()
    gone, new = sorted(set(kept) - set(now)), sorted(set(now) - set(kept))
    assert (gone, new) == ([], []), f"on purpose? then: python {Path(__file__).name}, and a line in CHANGELOG.md"


def test_the_changelog_keeps_its_form() -> None:
    text = (FILE.parents[1] / "CHANGELOG.md").read_text(encoding="utf-8")
    versions = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert versions[0] == "Unreleased"
    assert all(re.fullmatch(r"\d+\.\d+\.\d+( - \d{4}-\d\d-\d\d)?", version) for version in versions[1:])
    kinds = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    assert set(re.findall(r"^### (.*)$", text, re.MULTILINE)) <= kinds


if __name__ == "__main__":
    FILE.write_text("\n".join(public_names()) + "\n", encoding="utf-8")
