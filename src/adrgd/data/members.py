"""Many pictures with a name and a label each, wherever they lie, as the arrays of a data set."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Self

import numpy as np

from adrgd.data.images import Array, Raw
from adrgd.data.picture import Form, UnreadableImageError, check_size, decode
from adrgd.errors import DataError, warn
from adrgd.files import reading

NAMED = 5  # skipped members that a warning names; the others it counts


@dataclass(frozen=True)
class Member:
    """One picture: what it is called, its class, and how its bytes are got."""

    name: str
    label: int
    opened: Callable[[], IO[bytes]]

    @classmethod
    def file(cls, path: Path, label: int) -> Self:
        """A file of its own."""
        return cls(str(path), label, partial(reading.open_regular, path))

    @classmethod
    def held(cls, content: bytes, name: str, label: int) -> Self:
        """Bytes that were read already."""
        return cls(name, label, partial(io.BytesIO, content))


def gather(members: Sequence[Member], form: Form, where: str, names: tuple[str, ...] | None = None) -> Raw:
    """Decode members. Damaged ones are passed over, with a warning that names them.

    Args:
        where: what they lie in, for sentences.
        names: the classes' names.

    Raises:
        DataError: none can be read, or they have several sizes or more than 8 bits.
    """
    images: list[Array] = []
    kept: list[int] = []
    skipped: list[str] = []
    for at, member in enumerate(members):
        try:
            images.append(decode(member.opened, member.name, form))
        except UnreadableImageError as error:
            if len(skipped) + 1 == len(members):
                raise
            skipped.append(str(error))
            continue
        kept.append(at)
        check_size(len(members) * images[-1].nbytes, "arrays", f"all of {where!r}")
        if images[-1].shape != images[0].shape:
            raise DataError(
                f"expected images of one size, found {_pixels(images[0])} in {members[kept[0]].name!r} and "
                f"{_pixels(images[-1])} in {member.name!r}; add ?size=N to bring them to N x N pixels"
            )
    if skipped:
        warn(f"{len(skipped)} of {len(members)} images are skipped: {_named(skipped)}")
    labels = np.array([members[at].label for at in kept], dtype=np.int64)
    return Raw(np.stack(images), labels, names=names, cut=True, kept=tuple(kept), skipped=tuple(skipped))


def _named(skipped: list[str]) -> str:
    more = len(skipped) - NAMED
    return "; ".join(skipped[:NAMED]) + (f"; and {more} more" if more > 0 else "")


def _pixels(image: Array) -> str:
    return f"{image.shape[2]} x {image.shape[1]}"
