"""What a check has found, and how it is said."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor

ROUNDED = "rounding"  # how a fault ends that is none
NAMED = 5  # images that a sentence names


@dataclass
class Examples:
    """What was found in one attack's folder.

    Attributes:
        images: how many were looked at.
        broken: how many of them the attack has recorded as broken.
        findings: what is wrong, in sentences.
        notes: what depends on rounding, or could not be done.
    """

    images: int = 0
    broken: int = 0
    findings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class Faults:
    """Images by what is wrong with them; what ends with "rounding" is no fault."""

    def __init__(self, what: str) -> None:
        self.what, self.images = what, dict[str, list[int]]()

    def add(self, sentence: str, index: Tensor, rows: Tensor) -> None:
        """Those of the images index (B,) for which it holds."""
        if rows.any():
            self.images.setdefault(sentence, []).extend(index[rows].tolist())

    def into(self, found: Examples) -> None:
        """Say them."""
        for sentence, indices in self.images.items():
            kind = found.notes if sentence.endswith(ROUNDED) else found.findings
            kind.append(f"{len(indices)} {self.what} {sentence} (images {_named(indices)})")


def _named(indices: list[int]) -> str:
    more = f" and {len(indices) - NAMED} more" if len(indices) > NAMED else ""
    return ", ".join(map(str, indices[:NAMED])) + more
