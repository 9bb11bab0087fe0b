"""Image files in a sub-folder for each class."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from adrgd.data.images import Raw, Span
from adrgd.data.members import Member, gather
from adrgd.data.picture import Form, image_files, inside
from adrgd.errors import DataError


def read_folder(folder: Path, query: Mapping[str, str], span: Span) -> Raw:
    """Read the images asked for, in the order of their classes' names and then of their own; decode no others.

    Damaged files are skipped, with a warning that names them.

    Raises:
        DataError: no folder, no images, none that can be read, or images of several sizes or of more than 8 bits.
    """
    form = Form.of(query)
    if not folder.is_dir():
        raise DataError(f"expected a folder at {str(folder)!r}, found none; check the path")
    classes = class_folders(folder)
    files = [Member.file(file, label) for label, place in enumerate(classes) for file in image_files(place)]
    if not files:
        raise DataError(f"expected a sub-folder of images for each class in {str(folder)!r}, found none; add images")
    chosen = files[span.within(len(files), spec=f"folder:{folder}")]
    return gather(chosen, form, str(folder), tuple(place.name for place in classes))


def class_folders(folder: Path) -> list[Path]:
    """The folders inside one, in order."""
    return [path for path in inside(folder) if path.is_dir() and not path.name.startswith(".")]
