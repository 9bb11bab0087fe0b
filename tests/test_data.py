"""Images come out in one form, whatever files they were in; files that are wrong say how."""

from __future__ import annotations

import gzip
import pickle
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from adrgd.data import load_data
from adrgd.errors import AdrgdWarning, DataError

RNG = np.random.default_rng(3)


def pixels(*shape: int) -> np.ndarray:
    return RNG.integers(0, 256, shape, dtype=np.uint8)


def write_idx(path: Path, array: np.ndarray) -> None:
    content = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


def save(path: Path, **arrays: Any) -> str:
    np.savez(path, **arrays)
    return f"npz:{path}"


def test_bundled_digits() -> None:
    data = load_data("bundled:mnist")
    assert data.images.shape == (500, 1, 28, 28)
    assert data.images.dtype == torch.float32
    assert (data.images.min(), data.images.max()) == (0, 1)
    # the first ten labels of MNIST's test set
    assert data.labels[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]
    assert data.names == tuple("0123456789")


def test_a_part_is_the_same_part_of_the_whole() -> None:
    whole, part = load_data("bundled:mnist"), load_data("bundled:mnist", offset=3, limit=4)
    assert len(part) == 4
    assert part.index.tolist() == [3, 4, 5, 6]
    assert torch.equal(part.images, whole.images[3:7])
    assert torch.equal(part.labels, whole.labels[3:7])
    assert len(load_data("bundled:mnist", offset=498, limit=9)) == 2


@pytest.mark.parametrize(("offset", "limit"), [(-1, None), (0, 0), (500, None)])
def test_parts_that_do_not_exist(offset: int, limit: int | None) -> None:
    with pytest.raises(DataError, match="offset"):
        load_data("bundled:mnist", offset=offset, limit=limit)


@pytest.mark.parametrize("ending", ["", ".gz"])
def test_idx_files(ending: str, tmp_path: Path) -> None:
    images, labels = pixels(5, 28, 28), np.arange(5, dtype=np.uint8)
    for prefix in ("train", "t10k"):
        shift = 1 if prefix == "train" else 0
        write_idx(tmp_path / f"{prefix}-images-idx3-ubyte{ending}", images)
        write_idx(tmp_path / f"{prefix}-labels-idx1-ubyte{ending}", labels + np.uint8(shift))
    data = load_data(f"mnist:{tmp_path}")
    assert torch.equal(data.images, torch.from_numpy(images[:, None] / np.float32(255)))
    assert data.labels.tolist() == [0, 1, 2, 3, 4]
    assert load_data(f"mnist:{tmp_path}?split=train").labels.tolist() == [1, 2, 3, 4, 5]


def test_damaged_idx_files(tmp_path: Path) -> None:
    spec = f"mnist:{tmp_path}"
    with pytest.raises(DataError, match="t10k-images-idx3-ubyte"):
        load_data(spec)
    images, labels = tmp_path / "t10k-images-idx3-ubyte", tmp_path / "t10k-labels-idx1-ubyte"
    write_idx(images, pixels(3, 4, 4))
    write_idx(labels, pixels(2))
    with pytest.raises(DataError, match="one label for each of the 3 images"):
        load_data(spec)
    images.write_bytes(images.read_bytes()[:-1])
    with pytest.raises(DataError, match=r"48 bytes after the header .* found 47"):
        load_data(spec)
    images.write_bytes(b"hello")
    with pytest.raises(DataError, match="expected an IDX file"):
        load_data(spec)


def test_labels_beyond_the_classes(tmp_path: Path) -> None:
    write_idx(tmp_path / "t10k-images-idx3-ubyte", pixels(2, 4, 4))
    write_idx(tmp_path / "t10k-labels-idx1-ubyte", np.array([1, 12], dtype=np.uint8))
    with pytest.raises(DataError, match=r"labels from 0 to 9 .* found labels from 1 to 12"):
        load_data(f"mnist:{tmp_path}")


def test_cifar_as_arrays(tmp_path: Path) -> None:
    arrays = {name: pixels(4, 32, 32, 3) for name in ("x_train", "x_test")}
    np.savez(tmp_path / "cifar10.npz", y_train=np.arange(4), y_test=np.arange(4)[:, None], **arrays)
    data = load_data(f"cifar10:{tmp_path}", limit=3)
    assert torch.equal(data.images, torch.from_numpy(arrays["x_test"][:3].transpose(0, 3, 1, 2) / np.float32(255)))
    assert data.labels.tolist() == [0, 1, 2]
    assert data.names is not None
    assert data.names[3] == "cat"


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("inside", ["", "cifar-10-batches-py"])
def test_cifar_as_published(inside: str, protocol: int, tmp_path: Path) -> None:
    folder = tmp_path / inside
    folder.mkdir(exist_ok=True)
    parts = [pixels(2, 3072) for _ in range(6)]
    names = ["test_batch", *(f"data_batch_{number}" for number in range(1, 6))]
    for name, part in zip(names, parts, strict=True):
        (folder / name).write_bytes(pickle.dumps({b"data": part, b"labels": [1, 9]}, protocol=protocol))
    data = load_data(f"cifar10:{tmp_path}")
    assert torch.equal(data.images, torch.from_numpy(parts[0].reshape(2, 3, 32, 32) / np.float32(255)))
    assert load_data(f"cifar10:{tmp_path}?split=train").labels.tolist() == [1, 9] * 5


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return exec, ("print('this must not run')",)


def test_a_pickle_cannot_run_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "test_batch").write_bytes(pickle.dumps({b"data": Evil(), b"labels": [1]}))
    with pytest.raises(DataError, match=r"refers to builtins\.exec"):
        load_data(f"cifar10:{tmp_path}")
    assert not capsys.readouterr().out


def test_damaged_or_missing_batches(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="found neither"):
        load_data(f"cifar10:{tmp_path}")
    (tmp_path / "test_batch").write_bytes(pickle.dumps({b"data": pixels(2, 3072), b"labels": [1, 2]})[:-50])
    with pytest.raises(DataError, match="batch of CIFAR-10"):
        load_data(f"cifar10:{tmp_path}")


@pytest.mark.parametrize(
    ("shape", "query", "expected"),
    [
        ((2, 3, 8, 9), "", (2, 3, 8, 9)),
        ((2, 8, 9, 3), "", (2, 3, 8, 9)),
        ((2, 8, 9), "", (2, 1, 8, 9)),
        ((2, 3, 8, 3), "?layout=NCHW", (2, 3, 8, 3)),
        ((2, 3, 8, 3), "?layout=NHWC", (2, 3, 3, 8)),
    ],
)
def test_layouts(shape: tuple[int, ...], query: str, expected: tuple[int, ...], tmp_path: Path) -> None:
    spec = save(tmp_path / "data.npz", x=pixels(*shape), y=np.array([0, 5]))
    assert tuple(load_data(spec + query).images.shape) == expected


def test_an_open_layout_is_asked_for(tmp_path: Path) -> None:
    spec = save(tmp_path / "data.npz", images=pixels(2, 3, 8, 3), labels=np.array([0, 1]))
    with pytest.raises(DataError, match=r"add \?layout=NHWC or \?layout=NCHW"):
        load_data(spec)
    with pytest.raises(DataError, match="found layout=HWC"):
        load_data(spec + "?layout=HWC")


def test_floats_are_kept_and_rounding_is_clipped(tmp_path: Path) -> None:
    images = RNG.random((2, 1, 8, 8))
    images[0, 0, 0, :2] = -5e-7, 1 + 5e-7
    data = load_data(save(tmp_path / "data.npz", images=images, labels=np.array([0, 1])))
    assert (data.images.min(), data.images.max()) == (0, 1)
    torch.testing.assert_close(data.images, torch.from_numpy(images).float(), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("images", "labels", "words"),
    [
        (np.full((2, 1, 8, 8), 3.5), np.arange(2), "from 3.5 to 3.5"),
        (np.full((2, 1, 8, 8), np.nan), np.arange(2), "from nan to nan"),
        (np.zeros((2, 1, 8, 8), dtype=np.int32), np.arange(2), "found int32"),
        (np.zeros((2, 1, 8, 8)), np.arange(3), "one label for each of the 2 images"),
        (np.zeros((2, 1, 8, 8)), np.array([0, -1]), "labels from -1 to 0"),
        (np.zeros((2, 1, 8, 8)), np.array([0.0, 1.5]), "found float64"),
        (np.zeros((0, 1, 8, 8)), np.arange(0), "found none"),
        (np.zeros((2, 1, 0, 8)), np.arange(2), "with pixels"),
        (np.zeros((2, 4, 4, 1, 1)), np.arange(2), "four axes"),
        (np.full((2, 1, 8, 8), 256), np.arange(2), "found int64"),
        (np.array([{}, {}]), np.arange(2), "allow_pickle"),
    ],
)
def test_arrays_that_are_no_images(images: np.ndarray, labels: np.ndarray, words: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=words):
        load_data(save(tmp_path / "data.npz", images=images, labels=labels))


@pytest.mark.parametrize(
    ("images", "labels"),
    [
        (pixels(3, 1, 8, 8).astype(np.int64), np.array([2, 0, 1])), (pixels(3, 8, 8), np.array([2.0, 0.0, 1.0])),
        (pixels(3, 1, 8, 8), np.array([[2], [0], [1]])), (pixels(3, 64), np.array([2, 0, 1])),
    ],
)  # fmt: skip
def test_other_forms_of_arrays(images: np.ndarray, labels: np.ndarray, tmp_path: Path) -> None:
    data = load_data(save(tmp_path / "data.npz", images=images, labels=labels))
    assert data.labels.tolist() == [2, 0, 1]
    assert (data.images.shape[0], data.images[0].numel(), data.images.dim()) == (3, 64, 4)
    np.testing.assert_allclose(data.images.flatten(1).numpy() * 255, images.reshape(3, -1), rtol=1e-6)


def test_one_hot_labels_are_taken_and_said(tmp_path: Path) -> None:
    with pytest.warns(AdrgdWarning, match="are one-hot: the class of each row is taken"):
        data = load_data(save(tmp_path / "data.npz", images=pixels(3, 4, 4), labels=np.eye(5)[[4, 0, 2]]))
    assert data.labels.tolist() == [4, 0, 2]


def test_files_of_keras(tmp_path: Path) -> None:
    parts = {"x_train": pixels(3, 4, 4), "y_train": np.arange(3), "x_test": pixels(2, 4, 4), "y_test": np.arange(2)}
    spec = save(tmp_path / "mnist.npz", **parts)
    assert (len(load_data(spec)), len(load_data(f"{spec}?split=train"))) == (2, 3)


def test_a_kind_is_known_by_the_ending_and_a_folder_of_folders(tmp_path: Path) -> None:
    spec = save(tmp_path / "data.npz", images=pixels(3, 1, 6, 6), labels=np.arange(3))
    wanted = load_data(spec).images
    assert torch.equal(load_data(spec.removeprefix("npz:")).images, wanted)
    torch.save({"images": wanted, "labels": torch.arange(3)}, tmp_path / "data.pt")
    assert torch.equal(load_data(str(tmp_path / "data.pt")).images, wanted)
    for k in range(3):
        (tmp_path / "some" / str(k)).mkdir(parents=True)
        Image.fromarray((wanted[k, 0].numpy() * 255).round().astype(np.uint8)).save(
            tmp_path / "some" / str(k) / "a.png"
        )
    assert torch.equal(load_data(f"{tmp_path / 'some'}?mode=L").images, wanted)
    with pytest.raises(DataError, match="or a file by its ending"):
        load_data(str(tmp_path / "some" / "1"))


def test_files_that_are_no_archives(tmp_path: Path) -> None:
    path = tmp_path / "data.npz"
    with pytest.raises(DataError, match="no such file"):
        load_data(f"npz:{path}")
    save(path, images=pixels(2, 4, 4, 3), other=np.arange(2))
    with pytest.raises(DataError, match="found images, other"):
        load_data(f"npz:{path}")
    for content in (path.read_bytes()[:-40], b"hello", b""):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"an \.npz file of arrays"):
            load_data(f"npz:{path}")
    np.save(tmp_path / "one.npy", np.zeros(3))
    with pytest.raises(DataError, match="one array"):
        load_data(f"npz:{tmp_path / 'one.npy'}")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three images of two classes, and files to be passed over."""
    for name, colour in [("dog/b.png", (0, 255, 0)), ("cat/a.png", (255, 0, 0)), ("dog/a.png", (0, 0, 255))]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (6, 4), colour).save(tmp_path / name)
    (tmp_path / "dog" / "notes.txt").write_text("no image")
    (tmp_path / "dog" / ".hidden.png").write_text("no image")
    return tmp_path


def test_folders_of_classes(folder: Path) -> None:
    data = load_data(f"folder:{folder}")
    assert data.names == ("cat", "dog")
    assert data.labels.tolist() == [0, 1, 1]
    assert data.images.shape == (3, 3, 4, 6)
    assert data.images[:, :, 0, 0].tolist() == [[1, 0, 0], [0, 0, 1], [0, 1, 0]]
    assert load_data(f"folder:{folder}?mode=L").images.shape == (3, 1, 4, 6)


def test_only_the_images_asked_for_are_decoded(folder: Path) -> None:
    (folder / "cat" / "a.png").write_bytes(b"damaged")
    data = load_data(f"folder:{folder}", offset=1, limit=1)
    assert (data.index.tolist(), data.labels.tolist(), data.skipped) == ([1], [1], ())


def test_damaged_images_are_skipped_and_named(folder: Path) -> None:
    """The others keep their positions; a folder of which nothing can be read is an error."""
    whole = load_data(f"folder:{folder}")
    file = folder / "cat" / "a.png"
    file.write_bytes(file.read_bytes()[:40])
    with pytest.warns(UserWarning, match=r"1 of 3 images are skipped: .*a\.png"):
        data = load_data(f"folder:{folder}")
    assert (data.index.tolist(), data.labels.tolist()) == ([1, 2], [1, 1])
    assert torch.equal(data.images, whole.images[1:])
    assert len(data.skipped) == 1
    assert "a.png" in data.skipped[0]
    with pytest.raises(DataError, match=r"expected an image in .*a\.png"):
        load_data(f"folder:{folder}", limit=1)


def test_sizes_must_agree_unless_one_is_given(folder: Path) -> None:
    wide = np.zeros((8, 24, 3), dtype=np.uint8)
    wide[:, 8:16] = 255  # its centre, once the shorter side is the size of the image
    Image.fromarray(wide).save(folder / "dog" / "c.png")
    with pytest.raises(DataError, match=r"6 x 4 in .* and 24 x 8 in .*; add \?size=N"):
        load_data(f"folder:{folder}")
    data = load_data(f"folder:{folder}?size=8")
    assert data.images.shape == (4, 3, 8, 8)
    assert bool((data.images[3] == 1).all())


def test_folders_that_hold_no_images(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for place, words in [("empty", "a sub-folder of images"), ("missing", "found none; check")]:
        with pytest.raises(DataError, match=words):
            load_data(f"folder:{tmp_path / place}")
    Image.fromarray(np.zeros((4, 6), dtype=np.uint16)).save(folder / "cat" / "b.png")
    with pytest.raises(DataError, match="more than 8 bits"):
        load_data(f"folder:{folder}")


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("mnist", "bundled:mnist, mnist:FOLDER"),
        ("minst:somewhere", "did you mean 'mnist'"),
        ("bundled:cifar", "expected bundled:mnist"),
        ("bundled:mnist?split=test", "expected no keys"),
        ("mnist:somewhere?splt=test", "did you mean 'split'"),
        ("mnist:somewhere?split=valid", "split=train or test"),
        ("folder:somewhere?size=big", "found size=big"),
        ("folder:somewhere?mode=CMYK", "found mode=CMYK"),
    ],
)
def test_specs_of_no_known_form(spec: str, words: str) -> None:
    with pytest.raises(DataError, match=words):
        load_data(spec)
