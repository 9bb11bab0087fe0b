"""ImageNet (ILSVRC2012), with labels as published networks have them: the classes in the order of their WordNet ids.

FOLDER/val/n01440764/*.JPEG     a folder for each class, all or some of them; FOLDER may be the inner one
FOLDER/val/*.JPEG               the flat folder of the archive, with LOC_val_solution.csv (Kaggle) or the devkit's
                                ILSVRC2012_validation_ground_truth.txt and meta.mat beside it or above it
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Mapping
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from adrgd.data.folder import class_folders
from adrgd.data.images import Raw, Span, choice
from adrgd.data.matlab import read_matlab
from adrgd.data.members import Member, gather
from adrgd.data.picture import Form, image_files
from adrgd.errors import DataError
from adrgd.files import reading

SIZE, RESIZE = 224, 256  # what most published networks were evaluated at
SYNSET = re.compile(r"n\d{8}")
NUMBERED = re.compile(r"ILSVRC2012_val_(\d{8})")
KAGGLE, TRUTH, META = "LOC_val_solution.csv", "ILSVRC2012_validation_ground_truth.txt", "meta.mat"
DEVKIT = ("", "ILSVRC2012_devkit_t12/data", "data")
ABOVE = 4  # folders in which the labels of a flat one are looked for


def read_imagenet(folder: Path, query: Mapping[str, str], span: Span) -> Raw:
    """Read the images asked for, in the order of their classes and then of their names, or of their names where they
    lie flat.

    Raises:
        DataError: no such folder, a class that is none of the thousand, an image whose label is nowhere, or what
            `gather` raises.
    """
    split = choice(query, "split", ("train", "val"), "val") or "val"
    form = Form.of(query, size=SIZE, resize=RESIZE)
    place = next((one for one in _places(folder, split) if one.is_dir()), None)
    if place is None:
        raise DataError(f"expected a folder at {str(folder)!r}, found none; check the path")
    numbers = {synset: label for label, synset in enumerate(synsets())}
    inner = class_folders(place)
    if inner:
        unknown = next((one.name for one in inner if one.name not in numbers), None)
        if unknown is not None:
            raise DataError(
                f"expected folders in {str(place)!r} named as the classes of ILSVRC2012, such as n01440764, found "
                f"{unknown!r}; name the folder that holds them, or read other classes by folder:"
            )
        members = [Member.file(file, numbers[one.name]) for one in inner for file in image_files(one)]
    else:
        label_of, source = _flat_labels(place, numbers)
        members = [Member.file(file, label_of(file)) for file in image_files(place)] if source else []
    return gather(members[span.within(len(members), spec=f"imagenet:{folder}")], form, str(place), names())


def synsets() -> list[str]:
    """The thousand WordNet ids, in the order of the labels."""
    return [synset for synset, _ in _classes()]


def names() -> tuple[str, ...]:
    """What the classes are called, in the order of the labels."""
    return tuple(name for _, name in _classes())


@cache
def _classes() -> tuple[tuple[str, str], ...]:
    text = resources.files("adrgd.data").joinpath("imagenet_classes.txt").read_text(encoding="utf-8")
    return tuple((line[:9], line[10:]) for line in text.splitlines())


def _places(folder: Path, split: str) -> list[Path]:
    return [folder / split, folder / "ILSVRC" / "Data" / "CLS-LOC" / split, folder]


def _flat_labels(folder: Path, numbers: dict[str, int]) -> tuple[Callable[[Path], int], Path]:
    """What gives the label of a file in a flat folder, and where that was found.

    Raises:
        DataError: nothing does.
    """
    for above in (folder, *folder.absolute().parents[:ABOVE]):
        if (above / KAGGLE).is_file():
            return _by_name(above / KAGGLE, numbers), above / KAGGLE
        for place in (above / inner for inner in DEVKIT):
            if (place / TRUTH).is_file() and (place / META).is_file():
                return _by_number(place, numbers), place / TRUTH
    raise DataError(
        f"expected folders named as the classes of ILSVRC2012 in {str(folder)!r}, or {KAGGLE}, or {TRUTH} with {META}, "
        "there or above; found neither"
    )


def _by_name(path: Path, numbers: dict[str, int]) -> Callable[[Path], int]:
    """By `ImageId,PredictionString`, whose first word is the class."""
    rows = csv.reader(io.StringIO(_text(path)))
    found = {row[0]: numbers.get(row[1].split(" ")[0]) for row in rows if len(row) > 1}

    def label(file: Path) -> int:
        return _known(found.get(file.stem), file, path)

    return label


def _by_number(place: Path, numbers: dict[str, int]) -> Callable[[Path], int]:
    """By the line of the image's number, which holds the devkit's own number of its class."""
    order = [str(entry) for entry in _devkit_synsets(place / META)]
    truth = _text(place / TRUTH).split()

    def label(file: Path) -> int:
        matched = NUMBERED.fullmatch(file.stem)
        at = int(matched[1]) - 1 if matched else -1
        number = truth[at] if 0 <= at < len(truth) else ""
        synset = order[int(number) - 1] if number.isdigit() and 0 < int(number) <= len(order) else ""
        return _known(numbers.get(synset), file, place / TRUTH)

    return label


def _devkit_synsets(path: Path) -> list[str]:
    """The WordNet ids of meta.mat in the order of the devkit's numbers, the thousand leaves first."""
    table: Any = read_matlab(path, ("synsets",))["synsets"]
    try:
        rows = [(int(row["ILSVRC2012_ID"].item()), str(row["WNID"].item())) for row in table.ravel()]
    except (ValueError, TypeError, IndexError, AttributeError) as error:
        raise DataError(
            f"expected the table synsets in {str(path)!r}, found another ({error}); get it again"
        ) from error
    found = [synset for _, synset in sorted(rows)][:1000]
    if not all(SYNSET.fullmatch(synset) for synset in found):
        raise DataError(f"expected WordNet ids in {str(path)!r}, found others; get it again")
    return found


def _known(label: int | None, file: Path, source: Path) -> int:
    if label is None:
        raise DataError(f"expected a class of ILSVRC2012 for {str(file)!r} in {str(source)!r}, found none; correct it")
    return label


def _text(path: Path) -> str:
    try:
        return reading.read_text(path, "text")
    except (OSError, ValueError) as error:
        raise DataError(f"expected a text at {str(path)!r}, found: {error}; get it again") from error
