"""WebDataset: tar archives in which NAME.png and NAME.cls belong together. Nothing is unpacked to the disk."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import IO

from adrgd.data.images import Raw, Span
from adrgd.data.members import Member, gather
from adrgd.data.picture import Form, is_image
from adrgd.errors import DataError, UsageError
from adrgd.files import limits, reading

LABEL = "cls"
LONGEST_LABEL = 20  # bytes: a whole number


@dataclass
class Sample:
    """The members that share a name: by what follows its first dot."""

    archive: tarfile.TarFile
    file: Path
    name: str
    parts: dict[str, tarfile.TarInfo] = field(default_factory=dict)

    @property
    def where(self) -> str:
        return f"{self.name!r} of {str(self.file)!r}"


def read_webdataset(path: Path, query: Mapping[str, str], span: Span) -> Raw:
    """Read the samples asked for, of one archive or of a folder's archives in the order of their names.

    Raises:
        DataError: no archive, a damaged one, a sample without its image or its label, or what `gather` raises.
    """
    form = Form.of(query)
    files = sorted(path.glob("*.tar")) if path.is_dir() else [path]
    if not files:
        raise DataError(f"expected .tar archives in {str(path)!r}, found none; check the folder")
    try:
        with ExitStack() as opened:
            samples: dict[tuple[Path, str], Sample] = {}
            for file in files:
                archive = opened.enter_context(
                    tarfile.open(fileobj=opened.enter_context(reading.open_regular(file)), mode="r:")
                )
                for info in archive:
                    if info.isreg():
                        folder, _, base = info.name.rpartition("/")
                        stem, _, ending = base.partition(".")
                        name = f"{folder}/{stem}" if folder else stem
                        one = samples.setdefault((file, name), Sample(archive, file, name))
                        one.parts[ending.lower()] = info
            chosen = list(samples.values())[span.within(len(samples), spec=f"webdataset:{path}")]
            return gather([_member(sample) for sample in chosen], form, str(path))
    except UsageError:
        raise
    except (OSError, tarfile.TarError, EOFError, ValueError) as error:
        raise DataError(f"expected tar archives of images at {str(path)!r}, found: {error}; get them again") from error


def _member(sample: Sample) -> Member:
    image = next((info for ending, info in sample.parts.items() if is_image(f"x.{ending}")), None)
    if image is None:
        raise DataError(f"expected an image in the sample {sample.where}, found {_shown(sample)}; add one")
    if LABEL not in sample.parts:
        raise DataError(f"expected a label .{LABEL} in the sample {sample.where}, found {_shown(sample)}; add one")
    text = _read(sample.archive, sample.parts[LABEL], LONGEST_LABEL).read().decode("ascii", "replace").strip()
    if not text.lstrip("-").isdigit():
        raise DataError(f"expected a whole number as label of the sample {sample.where}, found {text!r}; correct it")
    return Member(f"{image.name} of {sample.file}", int(text), partial(_read, sample.archive, image))


def _read(archive: tarfile.TarFile, info: tarfile.TarInfo, most: int = -1) -> IO[bytes]:
    limits.check("image", info.size)
    stream = archive.extractfile(info)
    return io.BytesIO(b"" if stream is None else stream.read(most))


def _shown(sample: Sample) -> str:
    return ", ".join(f".{ending}" for ending in sample.parts)
