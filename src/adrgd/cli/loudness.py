"""How much is said beside the results: --quiet and --verbose, which the front door sets for one command."""

from __future__ import annotations

import logging
import sys

quiet = False
"""No progress, and no summary of what is in a folder anyway."""


def begin(words: list[str]) -> list[str]:
    """Take --quiet and --verbose out of a command's words."""
    global quiet
    quiet = "--quiet" in words
    log = logging.getLogger("adrgd")
    log.handlers.clear()
    log.setLevel(logging.INFO if "--verbose" in words else logging.WARNING)
    if "--verbose" in words:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", datefmt="%H:%M:%S"))
        log.addHandler(handler)
    return [word for word in words if word not in ("--quiet", "--verbose")]
