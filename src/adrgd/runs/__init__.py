"""Folders of runs: settings, checksums, a lock, and results that are never lost."""

from adrgd.runs.folder import ASIDE, Run, open_run, unwritten

__all__ = ["ASIDE", "Run", "open_run", "unwritten"]
