"""All commands, and what one needs to be asked for its help."""

from __future__ import annotations

import contextlib
import io
import os
import re
from collections.abc import Iterator
from unittest import mock

from adrgd.cli import COMMANDS, run

RL = ("train", "play", "attack")
ALL = [(name,) for name in COMMANDS if name != "rl"] + [("rl", name) for name in RL]


def flags_of(command: tuple[str, ...]) -> dict[str, str]:
    """The flags of a command with the word for their value, "" for switches; from its help."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out), wide(), contextlib.suppress(SystemExit):
        run([*command, "--help"])
    lines = re.findall(r"^[│ ] (--[\w-]+)(?: ([^ │]+(?: \.\.\.)?))?(?=  | *│?$)", out.getvalue(), flags=re.MULTILINE)
    return dict(lines)


@contextlib.contextmanager
def wide() -> Iterator[None]:
    """A terminal whose lines are never broken."""
    with mock.patch.dict(os.environ, {"COLUMNS": "1000"}):
        yield
