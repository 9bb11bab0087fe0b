"""Commands in cells of a notebook: a widget where they run inside, lines where they are processes of their own."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")
pytest.importorskip("ipywidgets")

INSIDE = """
from adrgd.cli import run
from adrgd.cli.progress import progress_bar

with progress_bar() as bar:
    task = bar.add_task("0 broken", total=9)
    bar.update(task, completed=3, description="2 broken")
    bar.refresh()
    found = type(bar).__name__, bar.live.ipy_widget is not None
print(*found)
run(["list"])
"""
WITHOUT = """
import sys

sys.modules["ipywidgets"] = None
print(type(progress_bar()).__name__)
"""
BESIDE = f"!{sys.executable} -c 'from adrgd.cli.progress import progress_bar; print(type(progress_bar()).__name__)'"


def test_progress_in_a_notebook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path for path in sys.path if path))
    cells = [nbformat.v4.new_code_cell(source) for source in (INSIDE, WITHOUT, BESIDE)]
    notebook = nbformat.v4.new_notebook(cells=cells)
    client = nbclient.NotebookClient(
        notebook,
        timeout=120,
        kernel_name="python3",
        resources={"metadata": {"path": str(tmp_path)}},
        extra_arguments=["--log-level=ERROR"],
    )
    client.execute()
    inside, without, beside = notebook.cells
    assert "Progress True" in printed(inside)
    assert any("application/vnd.jupyter.widget-view+json" in one.get("data", {}) for one in inside["outputs"])
    assert any("graduated" in one["data"].get("text/html", "") for one in inside["outputs"] if "data" in one)
    assert printed(without).strip() == "Lines"
    assert printed(beside).strip() == "Lines"


def printed(cell: Any) -> str:
    return "".join(one["text"] for one in cell["outputs"] if one["output_type"] == "stream")
