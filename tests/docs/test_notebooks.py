"""The notebooks are kept with their outputs, small, and in the order in which they ran. `make notebooks` runs them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from docs.pages import ROOT

NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))
MOST = 400_000  # bytes


def code(path: Path) -> list[dict[str, Any]]:
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return [cell for cell in cells if cell["cell_type"] == "code"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_they_ran_from_top_to_bottom(path: Path) -> None:
    assert [cell["execution_count"] for cell in code(path)] == list(range(1, len(code(path)) + 1))
    assert not any(output["output_type"] == "error" for cell in code(path) for output in cell["outputs"])


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_they_are_small_and_have_pictures(path: Path) -> None:
    assert path.stat().st_size < MOST
    assert "image/png" in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_their_code_names_what_exists(path: Path) -> None:
    """Imports of adrgd still work; the rest is for `make notebooks`."""
    if "adrgd.rl" in path.read_text(encoding="utf-8"):
        pytest.importorskip("stable_baselines3")
    source = "\n".join(line for cell in code(path) for line in "".join(cell["source"]).splitlines())
    compile(source, str(path), "exec")
    for line in source.splitlines():
        if line.startswith("from adrgd") and "(" not in line:
            exec(line, {})
