"""Lists of images that are hard to break, and the page that is made of them."""

import json
import runpy
import sys
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "experiments" / "hard_instances"


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setattr(sys, "path", [str(FOLDER), *sys.path])
    monkeypatch.delitem(sys.modules, "lists", raising=False)
    return runpy.run_path(str(FOLDER / "run.py"))


@pytest.mark.parametrize("file", sorted((FOLDER / "lists").glob("*.json")), ids=lambda file: str(file.stem))
def test_a_list_holds_what_was_near_and_broken_later(file: Path) -> None:
    known = json.loads(file.read_text())
    words = {int(index): one["word"] for index, one in known["looked"].items()}
    for name, word in (("list", "broken"), ("certified", "certified"), ("undecided", "undecided")):
        assert known[name] == sorted(int(index) for index, one in known["found"].items() if one["word"] == word)
        assert all(words[index] == "near" for index in known[name])


def test_what_was_broken_too_late_does_not_count(run: dict[str, Any]) -> None:
    outcome = run["Outcome"]
    done = {"3": outcome(True, 0.2, 100, 0.1), "5": outcome(True, 30.0, 900, 0.1), "8": outcome(False, 9.0, 800, -0.1)}
    assert [run["broken"](done, seconds) for seconds in (0.1, 5, 60)] == [0, 1, 2]
    compared = {"hard_mnist": {"30000": {"runs": {"0": [18, 0.25], "1": [20, 0.35]}, "flip": {"0": [17, 0.5]}}}}
    page = run["page"]({"hard_mnist": {"runs": {"0": done}}}, 60.0, compared)
    assert "| 30,000 | 18, 20 (0.30 s) | 17 (0.50 s) |" in page
    assert "| `standard` without a last rung | 1 | 1 | 2 | 2 | 13.1 | 600 |" in page
