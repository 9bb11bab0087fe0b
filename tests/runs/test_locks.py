"""One process at a time works on a folder, and the right to it ends with that process."""

from __future__ import annotations

import errno
import gc
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from adrgd.errors import RunFolderError, RunFolderWarning
from adrgd.runs.locks import LOCK, Lock, refuse_if_busy

fcntl = pytest.importorskip("fcntl")

HOLD = """
import sys
from pathlib import Path
from adrgd.runs.locks import Lock
lock = Lock(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


def test_the_second_process_is_told_who_has_it(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        for refused in (Lock, refuse_if_busy):
            with pytest.raises(RunFolderError, match=f"by process {holder.pid} on {socket.gethostname()}; wait for it"):
                refused(tmp_path)
    finally:
        holder.send_signal(signal.SIGKILL)
        holder.communicate()
    assert (tmp_path / LOCK).exists()
    refuse_if_busy(tmp_path)
    Lock(tmp_path).release()
    assert not (tmp_path / LOCK).exists()


def test_it_is_for_one_at_a_time_in_one_process_too(tmp_path: Path) -> None:
    first = Lock(tmp_path)
    with pytest.raises(RunFolderError, match=f"process {os.getpid()} on"):
        Lock(tmp_path)
    first.release()
    first.release()
    second = Lock(tmp_path)
    del second
    gc.collect()
    Lock(tmp_path).release()


def test_a_file_that_says_nothing_is_still_a_lock(tmp_path: Path) -> None:
    lock = Lock(tmp_path)
    (tmp_path / LOCK).write_text("")
    with pytest.raises(RunFolderError, match="by another process"):
        Lock(tmp_path)
    lock.release()


def test_a_file_system_without_locks_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unsupported(descriptor: int, how: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", unsupported)
    with pytest.warns(RunFolderWarning, match="keeps no locks .*see to it that no other process works there"):
        Lock(tmp_path).release()
    refuse_if_busy(tmp_path)


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match="cannot write under"):
        Lock(tmp_path / "nowhere")
