"""Everything that a room exports stands on a page of the reference, once."""

from __future__ import annotations

import importlib
import re
from collections import Counter

import pytest

from docs.pages import ROOT

ROOMS = ("attacks", "exact", "falsify", "latent", "rl", "training", "plot")
SHOWN = [
    name
    for page in sorted((ROOT / "docs" / "reference").glob("*.md"))
    for name in re.findall(r"^::: (\S+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
]


@pytest.mark.parametrize("room", ["", *ROOMS])
def test_all_public_names_are_in_the_reference(room: str) -> None:
    if room == "rl":
        pytest.importorskip("stable_baselines3")
    path = f"adrgd.{room}" if room else "adrgd"
    public = importlib.import_module(path if room else "adrgd.api").__all__
    places = [path, *(f"adrgd.{other}" for other in ROOMS if not room)]  # what `import adrgd` offers stands in its room
    # a function whose module has its name is `adrgd.maximize.maximize` there
    shown = {name for name in public for place in places if {f"{place}.{name}", f"{place}.{name}.{name}"} & set(SHOWN)}
    missing = [name for name in public if name not in shown and not name.isupper()]
    assert not missing, f"add these to a page of docs/reference: {missing}"


def test_names_stand_there_once_and_are_no_modules() -> None:
    assert [name for name in SHOWN if (ROOT / "src" / f"{name.replace('.', '/')}.py").exists()] == []
    assert [name for name, count in Counter(SHOWN).items() if count > 1] == []
    for name in SHOWN:
        if ".integrations." in name or ".rl." in name or ".falsify." in name:
            continue  # need their libraries; the site's build finds them in the sources
        room, _, last = name.rpartition(".")
        assert hasattr(importlib.import_module(room), last), name
