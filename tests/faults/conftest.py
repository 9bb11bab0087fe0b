import os
import shutil
from pathlib import Path

import pytest

from .commands import COMMANDS, NEEDS, Command


@pytest.fixture(params=COMMANDS)
def command(request: pytest.FixtureRequest) -> Command:
    """Each command that can be resumed."""
    if request.param in NEEDS:
        pytest.importorskip(NEEDS[request.param])
    return COMMANDS[request.param]


@pytest.fixture
def whole(command: Command, tmp_path: Path) -> dict[str, object]:
    """What the command comes to when nothing goes wrong; it was run in the folder `run`, which is gone again."""
    command.run(tmp_path / "run", resume=False)
    found = command.results(tmp_path / "run")
    shutil.rmtree(tmp_path / "run")
    return found


@pytest.fixture(autouse=True)
def quick_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing waits for the disk: what is tested is the order of operations."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
