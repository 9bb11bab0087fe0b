"""The list of a folder's sums: what it says, what is noticed of its damage, and that sha256sum reads it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from adrgd.files import digest
from adrgd.runs.checksums import CHECKSUMS, Checksums

NAMES = ("parts/a", "two words", "new\nline", "back\\slash", "\udcff")


@pytest.fixture
def listed(tmp_path: Path) -> Checksums:
    sums = Checksums.begin(tmp_path)
    (tmp_path / "parts").mkdir()
    for name in NAMES:
        (tmp_path / name).write_text(name[:3], errors="surrogateescape")
        sums.add(name, digest(tmp_path / name))
    return sums


def test_what_was_written_is_read(tmp_path: Path, listed: Checksums) -> None:
    again = Checksums.read(tmp_path)
    assert again.names() == listed.names() == list(NAMES)
    assert not again.faults
    assert not again.finished
    assert all(again.sums(name) == (digest(tmp_path / name),) for name in NAMES)
    again.settle({name: again.sums(name)[0] for name in NAMES}, finished=True)
    assert Checksums.read(tmp_path).finished
    assert sorted(Checksums.read(tmp_path).names()) == sorted(NAMES)


def test_other_tools_can_check_it(tmp_path: Path, listed: Checksums) -> None:
    if shutil.which("sha256sum") is None:
        pytest.skip("needs coreutils")
    command = ["sha256sum", "--check", "--strict", "--quiet", CHECKSUMS]
    assert subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).returncode == 0
    (tmp_path / NAMES[2]).write_text("other")
    assert subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).returncode == 1


def test_the_last_two_sums_are_right(tmp_path: Path) -> None:
    sums = Checksums.begin(tmp_path)
    for k in range(3):
        sums.add("a", f"{k:064x}")
    assert Checksums.read(tmp_path).sums("a") == (f"{1:064x}", f"{2:064x}")
    sums.remove(["a", "unknown"])
    again = Checksums.read(tmp_path)
    assert not again.names()
    assert list(again.removed()) == ["a"]


def test_flipped_bits_of_the_list_are_noticed(tmp_path: Path, listed: Checksums) -> None:
    for finished in (False, True):
        if finished:
            listed.settle({name: listed.sums(name)[0] for name in NAMES}, finished=True)
        file = tmp_path / CHECKSUMS
        sound = file.read_bytes()
        for bit in range(0, 8 * len(sound), 11):
            damaged = bytearray(sound)
            damaged[bit // 8] ^= 1 << bit % 8
            file.write_bytes(damaged)
            assert Checksums.read(tmp_path).faults, bit
        file.write_bytes(sound)


@pytest.mark.parametrize("size", [0, 1, 30, -1, -12])
def test_a_short_list_is_noticed(tmp_path: Path, listed: Checksums, size: int) -> None:
    file = tmp_path / CHECKSUMS
    file.write_bytes(file.read_bytes()[:size])
    assert Checksums.read(tmp_path).faults


def test_a_damaged_record_takes_no_other_with_it(tmp_path: Path, listed: Checksums) -> None:
    file = tmp_path / CHECKSUMS
    file.write_bytes(file.read_bytes().replace(b"two words", b"two wards"))
    again = Checksums.read(tmp_path)
    assert again.names() == [name for name in NAMES if name != "two words"]
    again.mend()
    assert not Checksums.read(tmp_path).faults
    assert sorted(Checksums.read(tmp_path).names()) == sorted(again.names())
