"""A disk that is full, from any operation on: one sentence, nothing lost, and the run goes on when there is room.

benchmarks/reliability.py tries every operation; here it is one of each kind.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from adrgd.errors import RunFolderError

from .commands import COMMANDS, NEEDS, Command
from .disk import full_for_curves, full_from, operations


def firsts(command: Command, out: Path) -> dict[str, int]:
    """The first operation of each kind on each kind of file."""
    found: dict[str, int] = {}
    for number, (name, path) in enumerate(operations(out, lambda: command.run(out, resume=False))):
        found.setdefault(f"{name} {''.join(c for c in path.name if not c.isdigit())}", number)
    return found


def one_sentence(error: RunFolderError) -> None:
    text = str(error)
    assert "No space left on device" in text
    assert text.count("\n") == 0
    assert "go on with --resume" in text or "choose another --out" in text


def test_every_kind_of_file(command: Command, whole: dict[str, object], tmp_path: Path) -> None:
    out = tmp_path / "run"
    kinds = firsts(command, tmp_path / "first")
    written = [number for kind, number in kinds.items() if kind.startswith(("write", "mkdir", "replace"))]
    assert len(written) > 10
    for number in written:
        shutil.rmtree(out, ignore_errors=True)
        with full_from(out, number) as met, pytest.raises(RunFolderError) as caught:
            command.run(out, resume=False)
        assert met
        one_sentence(caught.value)
        command.run(out, resume=True)
        assert command.results(out) == whole, met[0]


def test_full_for_a_moment(command: Command, whole: dict[str, object], tmp_path: Path) -> None:
    """Some of these operations are tried again, or do not matter; whatever else fails is said."""
    out = tmp_path / "run"
    for number in list(firsts(command, tmp_path / "first").values())[::3]:
        shutil.rmtree(out, ignore_errors=True)
        with full_from(out, number, once=True) as met:
            try:
                command.run(out, resume=False)
            except RunFolderError as error:
                one_sentence(error)
        command.run(out, resume=True)
        assert command.results(out) == whole, (number, met)


@pytest.mark.parametrize("once", [False, True], ids=["from then on", "for a moment"])
def test_full_for_the_curves(once: bool, tmp_path: Path) -> None:
    pytest.importorskip(NEEDS["rl train"])
    command, out = COMMANDS["rl train"], tmp_path / "run"
    command.run(out, resume=False)
    whole = command.results(out)
    with full_for_curves(10**6) as met:
        shutil.rmtree(out)
        command.run(out, resume=False)
    for start in range(0, met[0], 3):
        shutil.rmtree(out)
        with full_for_curves(start, once=once), pytest.raises(RunFolderError) as caught:
            command.run(out, resume=False)
        one_sentence(caught.value)
        command.run(out, resume=True)
        assert command.results(out) == whole, start


def test_an_error_of_the_worlds_own_is_not_one_of_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip(NEEDS["rl train"])
    from rl.worlds import Reach

    def lost(self: object, action: object) -> None:
        raise ConnectionError(os.strerror(111))

    monkeypatch.setattr(Reach, "step", lost)
    with pytest.raises(ConnectionError):
        COMMANDS["rl train"].run(tmp_path / "run", resume=False)
