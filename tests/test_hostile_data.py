"""Data from anywhere: each file is read as it is meant, passed over by name, or refused in one sentence."""

from __future__ import annotations

import gzip
import io
import os
import pickle
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from adrgd.data import load_data
from adrgd.errors import DataError
from adrgd.files import limits


def npy(shape: str, content: bytes, kind: str = "|u1") -> bytes:
    """An array file with a header of one's own."""
    header = f"{{'descr': {kind!r}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + content


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (npy("(10000000000, 1, 4, 4)", b"1234"), "promises 160000000000"),
        (npy("(" * 300 + ")" * 300, b""), "found"),
        (npy("(1,)", b"12345678", "|O"), "never unpickled"),
        (npy("(-1,)", b""), "found"),
        (npy("('a',)", b"x"), "found"),
        (npy("(1,)", b"x", "|zz"), "found"),
        (b"\x93NUMPY\x02\x00\xff\xff\xff\xff", "header of 4294967295"),
        (b"\x93NUMPY\x01\x00\x05\x00[", "found"),
        (b"hello", "magic"),
        (b"", "magic"),
    ],
)
def test_headers_that_lie(content: bytes, reason: str, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("images.npy", content)
        archive.writestr("labels.npy", npy("(1,)", b"\0"))
    with pytest.raises(DataError, match=reason):
        load_data(f"npz:{tmp_path / 'a.npz'}")


def test_archives_that_expand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.savez_compressed(tmp_path / "a.npz", images=np.zeros((300, 1, 64, 64), np.uint8), labels=np.zeros(300, int))
    assert len(load_data(f"npz:{tmp_path / 'a.npz'}")) == 300
    monkeypatch.setenv(limits.VARIABLE, "arrays=1M")
    with pytest.raises(DataError, match=r"needs 1.17 MiB, more than the 1 MiB .*set ADRGD_LIMITS=arrays=2M"):
        load_data(f"npz:{tmp_path / 'a.npz'}")


@pytest.mark.parametrize("sizes", [(2**32 - 1,) * 3, (3, 2, 2), (0, 28, 28)])
def test_idx_headers_that_lie(sizes: tuple[int, ...], tmp_path: Path) -> None:
    header = struct.pack(">I3I", 0x803, *sizes)
    (tmp_path / "t10k-images-idx3-ubyte.gz").write_bytes(gzip.compress(header + bytes(8)))
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(struct.pack(">II", 0x801, 2) + bytes(2))
    with pytest.raises(DataError, match="bytes after the header"):
        load_data(f"mnist:{tmp_path}")


class Large:
    def __reduce__(self) -> object:
        return np.ndarray, ((10**9,),)


@pytest.mark.parametrize(
    "content",
    [
        pickle.dumps({b"data": Large(), b"labels": [0]}),
        b"\x80\x02K\x00r\xff\xff\xff\x7f.",  # a memo of two thousand million places
        b"\x80\x04\x8e" + (10**12).to_bytes(8, "little") + b"abc",
        pickle.dumps(os.system),
    ],
)
def test_batches_are_pickles_of_small_things(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "test_batch").write_bytes(content)
    with pytest.raises(DataError, match="a batch of CIFAR-10"):
        load_data(f"cifar10:{tmp_path}")


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Two classes with one good picture each."""
    for name in ("cats", "dogs"):
        (tmp_path / name).mkdir()
        Image.new("RGB", (8, 8)).save(tmp_path / name / "good.png")
    return tmp_path


def test_what_is_no_picture_is_counted(pictures: Path) -> None:
    odd = pictures / "cats"
    os.mkfifo(odd / "pipe.png")
    (odd / "empty.png").touch()
    (odd / "folder.png").mkdir()
    (odd / "loop.png").symlink_to("loop.png")
    (odd / "nowhere.jpg").symlink_to("nothing")
    (odd / "device.bmp").symlink_to("/dev/zero")
    (odd / "program.png").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(x) run\n")
    (pictures / "self").symlink_to(pictures)
    (pictures / "round").symlink_to("round")
    with pytest.warns(UserWarning, match=r"7 of 9 images are skipped: .*; and 2 more"):
        data = load_data(f"folder:{pictures}")
    assert (len(data), len(data.skipped), data.names) == (2, 7, ("cats", "dogs", "self"))
    assert any("a pipe" in reason for reason in data.skipped)


def test_pictures_that_expand(pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("RGB", (900, 1)).save(pictures / "cats/thin.png")
    with pytest.raises(DataError, match=r"thin\.png', resized, needs 1.86 GiB"):
        load_data(f"folder:{pictures}?size=860")
    monkeypatch.setenv(limits.VARIABLE, "image=2K")
    with pytest.warns(UserWarning, match=r"1 of 3 images are skipped: .*thin\.png'.* needs 2.64 KiB"):
        load_data(f"folder:{pictures}")
    monkeypatch.setenv(limits.VARIABLE, "arrays=300")
    with pytest.raises(DataError, match="all of .* needs 576 bytes, more than the 300 bytes"):
        load_data(f"folder:{pictures}?size=8")


def test_a_picture_of_enormous_size_is_not_decoded(pictures: Path) -> None:
    buffer = io.BytesIO()
    Image.new("L", (1, 1)).save(buffer, "PNG")
    content = bytearray(buffer.getvalue())
    content[16:24] = struct.pack(">II", 60_000, 60_000)
    (pictures / "cats/large.png").write_bytes(content)
    with pytest.warns(UserWarning, match=r"1 of 3 images are skipped"):
        load_data(f"folder:{pictures}")


def test_a_folder_that_cannot_be_listed(pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path) -> object:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(DataError, match="can be listed at .*Permission denied"):
        load_data(f"folder:{pictures}")
