"""A file is the old one or the new one, never a part, and nothing else is left in its folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from adrgd.files import whole, write_text, write_with


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


def test_write_with_hands_over_the_path(tmp_path: Path) -> None:
    path = tmp_path / "data.bin"
    write_with(path, lambda temporary: temporary.write_bytes(b"\x00\x01"))
    assert path.read_bytes() == b"\x00\x01"
