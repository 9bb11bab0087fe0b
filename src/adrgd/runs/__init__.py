"""Folders of runs: settings, checksums, a lock, and results that are never lost."""

from adrgd.runs.folder import Run, open_run
from adrgd.runs.leftovers import ASIDE, unwritten

__all__ = ["ASIDE", "Run", "open_run", "unwritten"]
