"""Files of others: nothing but files is opened, nothing grows beyond its limit, settings are plain."""

from __future__ import annotations

import gzip
import io
import os
import socket
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from adrgd.errors import UsageError
from adrgd.files import limits, reading


def test_a_bomb_is_met_while_it_grows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "bomb.gz"
    file.write_bytes(gzip.compress(bytes(2**26)))
    monkeypatch.setenv(limits.VARIABLE, "text=3M")
    read: list[int] = []
    plain = gzip.GzipFile.read
    monkeypatch.setattr(gzip.GzipFile, "read", lambda self, size=-1: read.append(size) or plain(self, size))
    with pytest.raises(OSError, match=r"3 MiB.*ADRGD_LIMITS=text=4M"):
        reading.read_bytes(file, "text")
    assert sum(read) <= 5 * reading.CHUNK
    monkeypatch.setenv(limits.VARIABLE, "off")
    assert len(reading.read_bytes(file, "text")) == 2**26


def test_few_bytes_may_not_use_up_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SMALL", 2**20)
    file = tmp_path / "bomb.gz"
    file.write_bytes(gzip.compress(bytes(2**25)))
    for kind in ("network", "arrays"):
        with pytest.raises(limits.TooLargeError, match="so far needs .* MiB, more than the"):
            reading.read_bytes(file, kind)
    monkeypatch.setenv(limits.VARIABLE, "network=64M")
    assert len(reading.read_bytes(file, "network")) == 2**25


@pytest.mark.parametrize("setting", ["arrays=64G text=1G", "arrays=64G,text=1G"])
def test_limits_can_be_raised(setting: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(limits.VARIABLE, setting)
    assert (limits.most("arrays"), limits.most("text")) == (64 * 2**30, 2**30)
    assert limits.most("image") == limits.LIMITS["image"][0]


@pytest.mark.parametrize("setting", ["arrays", "arrays=", "arrays=-1", "arrays=1e3", "everything=1G", "arrays=1X"])
def test_a_limit_that_is_none_is_said(setting: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(limits.VARIABLE, setting)
    with pytest.raises(UsageError, match=rf"ADRGD_LIMITS as off, .*found {setting!r}"):
        limits.most("arrays")


def test_only_files_are_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(str(tmp_path / "s"))
        (tmp_path / "loop").symlink_to("loop")
        for path, what in (
            (tmp_path, "a folder"), (tmp_path / "pipe", "a pipe"), (Path("/dev/zero"), "a device"),
            (tmp_path / "s", "No such device"), (tmp_path / "loop", "symbolic links"),
            (tmp_path / "none", "No such file"),
            (Path("a\0b"), "null"),
        ):  # fmt: skip
            with pytest.raises(OSError, match=what):
                reading.open_regular(path)


def test_text_in_any_dress(tmp_path: Path) -> None:
    file = tmp_path / "text"
    for written in (b"\xef\xbb\xbfa\r\nb\n", b"a\rb\n", b"a\nb\r\n"):
        file.write_bytes(written)
        assert reading.read_text(file, "text") == "a\nb\n"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a: &a [1]\nb: *a", "aliases"),
        ("a: &a [*a]", "aliases"),
        ("a: &a {b: *a}", "aliases"),
        ("[" * 20_000, "nested"),
        ("[" * 150 + "]" * 150, "nested"),
        ("a: 1\na: 2", "twice"),
        ("{? [1, 2] : 3}", "plain word"),
        ("a: [", "expected|while parsing"),
        ("a: 2001-99-99", "month"),
        ("a: !!python/object/apply:os.system [ls]", "constructor"),
        ("a: !!int x", "invalid literal"),
        ("- a\n--- \n- b", "single document"),
    ],
)
def test_settings_that_are_none(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        reading.read_yaml(text)


def test_plain_settings() -> None:
    assert reading.read_yaml("a: &x [1, 2.5]\nc: {d: null, e: yes}") == {
        "a": [1, 2.5], "c": {"d": None, "e": True}
    }  # fmt: skip
    assert reading.read_yaml("") is None
    with pytest.raises(ValueError, match="deeply"):
        reading.read_json("[" * 200_000)


def test_an_archive_is_measured_before_it_is_expanded(monkeypatch: pytest.MonkeyPatch) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("large", bytes(2**21))
        archive.writestr("small", b"x")
    monkeypatch.setenv(limits.VARIABLE, "arrays=1M")
    reading.check_zip(file, "arrays", ["small"])
    with pytest.raises(limits.TooLargeError, match="needs 2 MiB, more than the 1 MiB"):
        reading.check_zip(file, "arrays")


@dataclass
class Record:
    name: str
    count: int
    share: float = 0.0
    losses: list[float] = field(default_factory=list)


def test_records_have_the_types_that_they_declare() -> None:
    assert reading.read_record(Record, {"name": "a", "count": 1, "share": 1, "losses": [1, 0.5]}).losses == [1, 0.5]
    for wrong in ({"count": True}, {"count": 1.0}, {"name": None}, {"losses": ["x"]}, {"losses": 1.0}, {"more": 1}):
        with pytest.raises(ValueError, match="expected"):
            reading.read_record(Record, {"name": "a", "count": 1} | wrong)
    with pytest.raises(ValueError, match="expected the fields name, count"):
        reading.read_record(Record, [1])


def test_tables_are_measured_before_they_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pq.write_table(pa.table({"a": np.zeros(300_000)}), tmp_path / "t.parquet")
    assert (tmp_path / "t.parquet").stat().st_size < 10_000
    assert reading.read_table(tmp_path / "t.parquet").num_rows == 300_000
    monkeypatch.setenv(limits.VARIABLE, "arrays=1M")
    with pytest.raises(limits.TooLargeError, match="needs 2.29 MiB"):
        reading.read_table(tmp_path / "t.parquet")
