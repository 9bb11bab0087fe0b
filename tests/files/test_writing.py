"""A file is the old one or the new one, never a part, and nothing else is left in its folder."""

from __future__ import annotations

import errno
import hashlib
import os
import pickle
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from adrgd.files import digest, whole, write_text, write_with, writing


def test_new_and_replaced(tmp_path: Path) -> None:
    path = tmp_path / "note.txt"
    for text in ("first", "zweite Fassung: ä"):
        write_text(path, text)
        assert path.read_text(encoding="utf-8") == text
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_keeps_the_old_file(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "note.txt"
    path.write_text("old")

    def write(temporary: Path) -> None:
        temporary.write_text("half of the ne")
        raise error

    with pytest.raises(error):
        write_with(path, write)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_old_file_stays_until_the_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "note.txt"
    path.write_text("old")
    with whole(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
        assert temporary.parent == path.parent
    assert path.read_text() == "new"


def test_an_error_before_the_first_byte_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no"), whole(tmp_path / "note.txt"):
        raise ValueError("no")
    assert list(tmp_path.iterdir()) == []


def test_a_writer_that_writes_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_with(tmp_path / "note.txt", lambda path: None)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("umask", [0o022, 0o027, 0o077])
def test_the_umask_decides_who_may_read(tmp_path: Path, umask: int) -> None:
    """Also where a library gives its files a mode of their own."""
    before = os.umask(umask)
    try:
        write_text(tmp_path / "text", "a")
        write_with(tmp_path / "tensors", partial(save_file, {"a": torch.zeros(2)}))
        with writing(tmp_path / "stream") as stream:
            torch.save({"a": torch.zeros(2)}, stream)
    finally:
        os.umask(before)
    assert {file.stat().st_mode & 0o777 for file in tmp_path.iterdir()} == {0o666 & ~umask}


def test_a_stream_knows_its_content(tmp_path: Path) -> None:
    told: list[str] = []
    content = bytes(range(256)) * 10_000
    with writing(tmp_path / "a", before=told.append) as stream:
        for start in range(0, len(content), 700_001):
            stream.write(content[start : start + 700_001])
        assert not (tmp_path / "a").exists()
    assert (tmp_path / "a").read_bytes() == content
    assert told == [hashlib.sha256(content).hexdigest()] == [digest(tmp_path / "a")]


@pytest.mark.parametrize("write", [torch.save, lambda content, stream: stream.write(pickle.dumps(content))])
def test_a_full_disk_is_said_whatever_a_library_makes_of_it(
    tmp_path: Path, write: Callable[..., object], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="No space left"), writing(tmp_path / "a") as stream:
        write({"a": torch.zeros(500_000)}, stream)
    assert not list(tmp_path.iterdir())


def test_write_with_hands_over_the_path(tmp_path: Path) -> None:
    path = tmp_path / "data.bin"
    write_with(path, lambda temporary: temporary.write_bytes(b"\x00\x01"))
    assert path.read_bytes() == b"\x00\x01"
