"""A disk that is full, from any operation on: one sentence, nothing lost, and the run goes on when there is room."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from adrgd.errors import RunFolderError

from .commands import Command
from .disk import full_from, watched


def firsts(command: Command, out: Path) -> dict[str, int]:
    """The first operation on each kind of file, and one in the middle of writing it."""
    found: dict[str, int] = {}

    def before(number: int, name: str, path: Path, carry_out: Any, arguments: Any) -> Any:
        kind = "".join(c for c in path.name if not c.isdigit())
        found.setdefault(f"{name} {kind}", number)
        return carry_out()

    with watched(out, before):
        command.run(out, resume=False)
    return found


def test_every_kind_of_file(command: Command, whole: dict[str, object], tmp_path: Path) -> None:
    out = tmp_path / "run"
    kinds = firsts(command, tmp_path / "first")
    written = [number for kind, number in kinds.items() if kind.startswith(("write", "mkdir", "replace"))]
    assert len(written) > 10
    for number in written:
        shutil.rmtree(out, ignore_errors=True)
        with full_from(out, number) as met, pytest.raises(RunFolderError, match="No space left on device") as caught:
            command.run(out, resume=False)
        assert met
        assert str(caught.value).count("\n") == 0
        assert "go on with --resume" in str(caught.value) or "choose another --out" in str(caught.value)
        command.run(out, resume=True)
        assert command.results(out) == whole, met[0]
