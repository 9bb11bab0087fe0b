"""The places where data sets lie: each gives the same images and labels, and names the member that is wrong."""

from __future__ import annotations

import io
import json
import pickle
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from test_data import pixels, write_idx
from torch.utils.data import DataLoader, Dataset, IterableDataset

from adrgd.data import Images, load_data
from adrgd.data.imagenet import names, synsets
from adrgd.errors import DataError

COLOURS = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)]
LABELS = [2, 0, 1, 2]


def png(colour: tuple[int, ...], size: tuple[int, int] = (6, 4)) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, "PNG")
    return file.getvalue()


def check(data: Images, expected: list[int] | None = None) -> None:
    rows = range(4) if expected is None else expected
    assert data.index.tolist() == list(rows)
    assert data.labels.tolist() == [LABELS[k] for k in rows]
    assert data.images[:, :, 0, 0].tolist() == [[value / 255 for value in COLOURS[k]] for k in rows]
    assert data.images.dtype == torch.float32


# --- tables


def cells(contents: list[Any]) -> pa.Array:
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    return pa.array([{"bytes": content, "path": "x.png"} for content in contents], kind)


def table(contents: list[Any], labels: list[Any]) -> pa.Table:
    features = {"image": {"_type": "Image"}, "label": {"_type": "ClassLabel", "names": ["a", "b", "c"]}}
    made = pa.table({"image": cells(contents), "label": pa.array(labels, pa.int64())})
    return made.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})


def parquet(folder: Path, contents: list[Any], labels: list[Any]) -> str:
    """Two files of the split test, the first in groups of one row, and another split."""
    (folder / "data").mkdir()
    pq.write_table(table(contents[:3], labels[:3]), folder / "data/test-00000-of-00002.parquet", row_group_size=1)
    pq.write_table(table(contents[3:], labels[3:]), folder / "data/test-00001-of-00002.parquet")
    pq.write_table(table(contents[:1], labels[:1]), folder / "data/train-00000-of-00001.parquet")
    return f"parquet:{folder}"


def saved(folder: Path, contents: list[Any], labels: list[Any]) -> str:
    """What `DatasetDict.save_to_disk` leaves."""
    (folder / "dataset_dict.json").write_text('{"splits": ["train", "test"]}')
    (folder / "test").mkdir()
    whole = table(contents, labels)
    for number, part in enumerate((whole[:3], whole[3:])):
        with pa.ipc.new_stream(folder / f"test/data-0000{number}-of-00002.arrow", whole.schema) as stream:
            stream.write_table(part, max_chunksize=2)
    files = [{"filename": f"data-0000{number}-of-00002.arrow"} for number in range(2)]
    (folder / "test/state.json").write_text(json.dumps({"_data_files": files, "_split": "test"}))
    features = {"image": {"_type": "Image"}, "label": {"names": ["a", "b", "c"]}}
    (folder / "test/dataset_info.json").write_text(json.dumps({"features": features}))
    return f"hf-datasets:{folder}"


def webdataset(folder: Path, contents: list[Any], labels: list[Any]) -> str:
    """Two archives in a folder."""
    for number, part in enumerate((slice(0, 3), slice(3, 4))):
        with tarfile.open(folder / f"{number:06d}.tar", "w") as archive:
            for k in range(4)[part]:
                entries = {"png": contents[k], "cls": None if labels[k] is None else str(labels[k]).encode()}
                for ending, content in entries.items():
                    if content is not None:
                        info = tarfile.TarInfo(f"some/{k:04d}.{ending}")
                        info.size = len(content)
                        archive.addfile(info, io.BytesIO(content))
    return f"webdataset:{folder}"


PLACES = pytest.mark.parametrize("place", [parquet, saved, webdataset])
Place = Callable[[Path, list[Any], list[Any]], str]


@PLACES
def test_all_of_it_and_parts(place: Place, tmp_path: Path) -> None:
    spec = place(tmp_path, [png(colour) for colour in COLOURS], LABELS)
    data = load_data(spec)
    check(data)
    assert data.names in (("a", "b", "c"), None)
    check(load_data(spec, offset=2, limit=1), [2])
    check(load_data(spec, offset=2), [2, 3])
    assert load_data(f"{spec}?size=2&mode=L&resize=3").images.shape == (4, 1, 2, 2)
    with pytest.raises(DataError, match="offset of 4"):
        load_data(spec, offset=4)


@PLACES
def test_a_damaged_image_is_skipped_and_named(place: Place, tmp_path: Path) -> None:
    spec = place(tmp_path, [png(COLOURS[0]), b"damaged", *map(png, COLOURS[2:])], LABELS)
    with pytest.warns(UserWarning, match=r"1 of 4 images are skipped: expected an image in .*(row 1 of|0001\.png)"):
        check(load_data(spec), [0, 2, 3])


@PLACES
@pytest.mark.parametrize(
    ("contents", "labels", "words"),
    [
        ([png(COLOURS[0])] * 4, [1, None, 1, 1], r"(row 1 of|0001)"),
        ([png(COLOURS[0])] * 3 + [png(COLOURS[1], (9, 9))], [1, 1, 1, 1], r"9 x 9 in .*(row 0 of .*00001|0003)"),
        ([png(COLOURS[0]), None, *[png(COLOURS[1])] * 2], [1, 1, 1, 1], r"(row 1 of|0001)"),
    ],
)
def test_a_wrong_member_is_named(
    place: Place, contents: list[Any], labels: list[Any], words: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=words):
        load_data(place(tmp_path, contents, labels))


@PLACES
def test_damaged_files(place: Place, tmp_path: Path) -> None:
    spec = place(tmp_path, [png(colour) for colour in COLOURS], LABELS)
    for file in [*tmp_path.rglob("*.parquet"), *tmp_path.rglob("*.arrow"), *tmp_path.rglob("*.tar")]:
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 3])
    with pytest.raises(DataError):
        load_data(spec)


def test_columns_of_other_names(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    images = [png(colour) for colour in COLOURS]
    pq.write_table(pa.table({"left": images, "right": images[::-1], "kind": LABELS, "size": [1, 1, 1, 1]}), path)
    with pytest.raises(DataError, match=r"one column of images .* found left \(binary\), .*\?image=COLUMN"):
        load_data(f"parquet:{path}")
    with pytest.raises(DataError, match=r"one column of labels .*\?label=COLUMN"):
        load_data(f"parquet:{path}?image=left")
    check(load_data(f"parquet:{path}?image=left&label=kind"))
    with pytest.raises(DataError, match="a column 'kind' of images"):
        load_data(f"parquet:{path}?image=kind&label=kind")


def test_splits(tmp_path: Path) -> None:
    spec = parquet(tmp_path, [png(colour) for colour in COLOURS], LABELS)
    check(load_data(f"{spec}?split=train"), [0])
    with pytest.raises(DataError, match=r"split 'val' .* found test, train"):
        load_data(f"{spec}?split=val")
    with pytest.raises(DataError, match="neither"):
        load_data(f"parquet:{tmp_path / 'none'}")


def test_a_saved_data_set_s_files_lie_inside_it(tmp_path: Path) -> None:
    saved(tmp_path, [png(colour) for colour in COLOURS], LABELS)
    spec = f"hf-datasets:{tmp_path / 'test'}"
    check(load_data(spec))
    with pytest.raises(DataError, match="split 'train'"):
        load_data(f"{spec}?split=train")
    state = {"_data_files": [{"filename": "../../x.arrow"}]}
    (tmp_path / "test/state.json").write_text(json.dumps(state))
    with pytest.raises(DataError, match="expected a file inside"):
        load_data(spec)
    (tmp_path / "test/state.json").write_text(json.dumps(state | {"_indices_files": [{"filename": "i.arrow"}]}))
    with pytest.raises(DataError, match="flatten_indices"):
        load_data(spec)


def test_labels_of_an_archive_are_numbers(tmp_path: Path) -> None:
    spec = webdataset(tmp_path, [png(colour) for colour in COLOURS], [0, 1, "cat", 1])
    with pytest.raises(DataError, match=r"whole number as label of the sample 'some/0002' of .*000000\.tar.*'cat'"):
        load_data(spec)


# --- folders of torchvision


@pytest.mark.parametrize("inside", ["MNIST/raw", "raw"])
def test_mnist_as_torchvision_keeps_it(inside: str, tmp_path: Path) -> None:
    (tmp_path / inside).mkdir(parents=True)
    write_idx(tmp_path / inside / "t10k-images-idx3-ubyte", pixels(2, 28, 28))
    write_idx(tmp_path / inside / "t10k-labels-idx1-ubyte", np.array([3, 4], np.uint8))
    assert load_data(f"mnist:{tmp_path}").labels.tolist() == [3, 4]


def test_cifar100(tmp_path: Path) -> None:
    folder, content = tmp_path / "cifar-100-python", pixels(2, 3072)
    folder.mkdir()
    with pytest.raises(DataError, match="test and meta"):
        load_data(f"cifar100:{tmp_path}")
    labels = {b"fine_labels": [1, 0], b"coarse_labels": [0, 0]}
    (folder / "test").write_bytes(pickle.dumps({b"data": content, b"filenames": [b"a", b"b"]} | labels))
    listed = {b"fine_label_names": [b"apple", b"bear"], b"coarse_label_names": [b"fruit"]}
    (folder / "meta").write_bytes(pickle.dumps(listed))
    data = load_data(f"cifar100:{tmp_path}")
    assert torch.equal(data.images, torch.from_numpy(content.reshape(2, 3, 32, 32) / np.float32(255)))
    assert (data.labels.tolist(), data.names) == ([1, 0], ("apple", "bear"))
    assert load_data(f"cifar100:{tmp_path}?labels=coarse").names == ("fruit",)
    (folder / "meta").write_bytes(b"no pickle")
    with pytest.raises(DataError, match=r"names of CIFAR-100's classes in .*meta"):
        load_data(f"cifar100:{tmp_path}")


def test_svhn(tmp_path: Path) -> None:
    matlab = pytest.importorskip("scipy.io")
    content = pixels(32, 32, 3, 3)
    path = tmp_path / "test_32x32.mat"
    matlab.savemat(path, {"X": content, "y": np.array([[1], [10], [9]], np.uint8)})
    data = load_data(f"svhn:{tmp_path}", offset=1)
    assert torch.equal(data.images, torch.from_numpy(content.transpose(3, 2, 0, 1)[1:] / np.float32(255)))
    assert data.labels.tolist() == [0, 9]
    matlab.savemat(path, {"X": content})
    with pytest.raises(DataError, match=r"expected 'y' in .*test_32x32\.mat"):
        load_data(f"svhn:{tmp_path}")
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(DataError, match=r"a \.mat file"):
        load_data(f"svhn:{tmp_path}")


# --- ImageNet


def test_the_classes_of_imagenet() -> None:
    """In the order that published networks were trained with."""
    assert len(set(synsets())) == len(set(names())) == 1000
    assert synsets() == sorted(synsets())
    assert [names()[k] for k in (0, 207, 281, 999)] == ["tench", "golden retriever", "tabby", "toilet tissue"]


def write_image(path: Path, colour: tuple[int, ...]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (40, 30), colour).save(path)


@pytest.mark.parametrize("inside", ["", "val", "ILSVRC/Data/CLS-LOC/val"])
def test_imagenet_by_synset(inside: str, tmp_path: Path) -> None:
    """A part of the classes keeps its numbers."""
    write_image(tmp_path / inside / "n02099601/b.JPEG", (0, 0, 255))
    write_image(tmp_path / inside / "n02123045/a.JPEG", (255, 0, 0))
    data = load_data(f"imagenet:{tmp_path}")
    assert data.labels.tolist() == [207, 281]
    assert data.images.shape == (2, 3, 224, 224)
    write_image(tmp_path / inside / "cats/a.JPEG", (255, 0, 0))
    with pytest.raises(DataError, match="named as the classes of ILSVRC2012.*found 'cats'"):
        load_data(f"imagenet:{tmp_path}?size=8")


def flat(folder: Path) -> str:
    for number in (1, 2):
        write_image(folder / f"val/ILSVRC2012_val_0000000{number}.JPEG", (255, 0, 0))
    return f"imagenet:{folder}?size=8&resize=12"


def test_imagenet_s_flat_folder_by_names(tmp_path: Path) -> None:
    spec = flat(tmp_path)
    with pytest.raises(DataError, match=r"LOC_val_solution\.csv, or .*ground_truth\.txt with meta\.mat"):
        load_data(spec)
    solution = tmp_path / "LOC_val_solution.csv"
    head = "ImageId,PredictionString\nILSVRC2012_val_00000002,n02123045 1 2 3 4 n02123045 5 6 7 8\n"
    solution.write_text(head)
    with pytest.raises(DataError, match=r"a class of ILSVRC2012 for .*val_00000001\.JPEG"):
        load_data(spec)
    solution.write_text(head + "ILSVRC2012_val_00000001,n01440764 1 2 3 4\n")
    assert load_data(spec).labels.tolist() == [0, 281]


def test_imagenet_s_flat_folder_by_numbers(tmp_path: Path) -> None:
    """The devkit numbers its classes in an order of its own."""
    matlab = pytest.importorskip("scipy.io")
    spec = flat(tmp_path)
    devkit = tmp_path / "ILSVRC2012_devkit_t12/data"
    devkit.mkdir(parents=True)
    own = [*reversed(synsets()), "n00001740"]  # with a class that is no leaf
    kind = [("ILSVRC2012_ID", object), ("WNID", object)]
    matlab.savemat(devkit / "meta.mat", {"synsets": np.array([(k + 1, wnid) for k, wnid in enumerate(own)], kind)})
    (devkit / "ILSVRC2012_validation_ground_truth.txt").write_text("1\n1000\n")
    assert load_data(spec).labels.tolist() == [999, 0]
    (devkit / "ILSVRC2012_validation_ground_truth.txt").write_text("1\n")
    with pytest.raises(DataError, match=r"val_00000002\.JPEG"):
        load_data(spec)


# --- tensors and objects


@pytest.mark.parametrize("ending", ["pt", "safetensors"])
@pytest.mark.parametrize("layout", ["", "?layout=NHWC"])
def test_tensors(ending: str, layout: str, tmp_path: Path) -> None:
    images = torch.rand(4, 3, 4, 6)
    kept = images.permute(0, 2, 3, 1).contiguous() if layout else images
    content = {"images": kept, "labels": torch.tensor(LABELS)}
    path = tmp_path / f"a.{ending}"
    save_file(content, path) if ending == "safetensors" else torch.save(content, path)
    data = load_data(f"pt:{path}{layout}", offset=1)
    assert torch.equal(data.images, images[1:])
    assert data.labels.tolist() == LABELS[1:]


def test_a_pair_of_tensors_and_others(tmp_path: Path) -> None:
    path = tmp_path / "test.pt"
    torch.save((torch.zeros(2, 8, 9, dtype=torch.uint8), torch.tensor([1, 2])), path)
    assert load_data(f"pt:{path}").images.shape == (2, 1, 8, 9)
    for content, words in [({"a": torch.zeros(1)}, "found a"), (torch.zeros(3), "found Tensor"), (Path, "pickled")]:
        torch.save(content, path)
        with pytest.raises(DataError, match=words):
            load_data(f"pt:{path}")
    path.write_bytes(b"hello")
    with pytest.raises(DataError, match=r"test\.pt"):
        load_data(f"pt:{path}")


class Pictures(Dataset[Any]):
    """As torchvision's: pictures, or tensors by `form`, with labels."""

    classes = ("a", "b", "c")

    def __init__(self, form: Callable[[Image.Image], Any] = lambda picture: picture, size: int = 4) -> None:
        self.form, self.size = form, size

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, k: int) -> Any:
        return self.form(Image.open(io.BytesIO(png(COLOURS[k])))), LABELS[k]


def to_tensor(picture: Image.Image) -> torch.Tensor:
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1) / 255


class Stream(IterableDataset[Any]):
    def __iter__(self) -> Any:
        return iter([{"image": to_tensor(Pictures()[k][0]), "label": LABELS[k]} for k in range(4)])


@pytest.mark.parametrize(
    "given",
    [
        Pictures(), Pictures(to_tensor), Pictures(lambda picture: np.array(picture).transpose(2, 0, 1)), Stream(),
        DataLoader(Pictures(to_tensor), batch_size=3), DataLoader(Stream(), batch_size=3),
        [Pictures()[k] for k in range(4)],
        (torch.stack([to_tensor(Pictures()[k][0]) for k in range(4)]), LABELS),
    ],
    ids=lambda given: type(given).__name__,
)  # fmt: skip
def test_objects_of_python(given: Any) -> None:
    check(load_data(given))
    check(load_data(given, offset=1, limit=2), [1, 2])
    check(load_data(load_data(given), offset=1), [1, 2, 3])


class Odd(Pictures):
    """Its entry 2 is another."""

    def __init__(self, entry: Any) -> None:
        super().__init__(to_tensor)
        self.entry = entry

    def __getitem__(self, k: int) -> Any:
        if k != 2:
            return super().__getitem__(k)
        if isinstance(self.entry, Exception):
            raise self.entry
        return self.entry


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        (OSError("broken data stream"), "entry 2 of the data set, found: broken data stream"),
        (torch.zeros(3, 4, 6), "an image and a label in entry 2"),
        ((torch.zeros(3, 4, 6), None), "an image and a label in entry 2"),
        ((torch.zeros(3, 4, 6), 1.5), "whole number as label in entry 2"),
        ((torch.zeros(3, 4, 7), 1), r"found shape \(3, 4, 7\) in entry 2"),
        ((object(), 1), "an image in entry 2"),
        ((torch.full((3, 4, 6), 2.1), 1), "between 0 and 1"),
    ],
)
def test_a_wrong_entry_is_named(entry: Any, words: str) -> None:
    with pytest.raises(DataError, match=words):
        load_data(Odd(entry))


def test_no_data_set() -> None:
    for given in (3, None, Pictures(size=0)):
        with pytest.raises(DataError, match=r"expected (a data set|images)"):
            load_data(given)
