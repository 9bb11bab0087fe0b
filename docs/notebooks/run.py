"""Run the notebooks in place and keep their outputs: python docs/notebooks/run.py [NAME ...]

A notebook whose cell fails is left as it was. What changes from run to run and says nothing is not kept: times of
execution, and which Python it was.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient

HERE = Path(__file__).resolve().parent
MOST = 400_000  # bytes of one notebook with its pictures


def run(path: Path) -> float:
    """Execute one notebook; returns its seconds."""
    began = time.perf_counter()
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(HERE)}},
        extra_arguments=["--log-level=ERROR"],
    ).execute()  # fmt: skip
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    for number, cell in enumerate(notebook.cells):
        cell["id"], cell["metadata"] = f"cell-{number}", {}
        for output in cell.get("outputs", []):
            output.get("metadata", {}).clear()
    text = nbformat.writes(notebook) + "\n"
    if len(text) > MOST:
        raise SystemExit(f"{path.name}: {len(text)} bytes with its outputs, expected at most {MOST}; draw less")
    path.write_text(text, encoding="utf-8")
    return time.perf_counter() - began


def main() -> None:
    names = sys.argv[1:]
    for path in sorted(HERE.glob("*.ipynb")):
        if not names or path.stem in names:
            print(f"{path.name:<28} {run(path):6.1f} s", flush=True)


if __name__ == "__main__":
    main()
