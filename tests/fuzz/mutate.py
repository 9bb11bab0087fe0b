"""Small damage, drawn at random: to bytes, to words, and to numbers."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from random import Random

NUMBERS = (0, 1, 2, 127, 128, 255, 256, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1, 2**62, 2**63 - 1, 2**64 - 1)

WORDS = (
    "", "0", "-1", "1e999", "nan", "inf", "1e-400", "9" * 400, "\u00fc", "\x00", "(", ")", "[", "]", "{", "}", "&", "*",
    "?", ":", "=", "true", "null", "None", "../../etc/passwd", "/dev/zero", "a" * 3000, "\n", "\r", "\ufeff", ";", "#",
)  # fmt: skip


def in_bytes(draw: Random, content: bytes) -> bytes:
    """Up to eight changes anywhere."""
    data = bytearray(content)
    for _ in range(draw.choice((1, 1, 1, 2, 3, 5, 8))):
        if not data:
            return bytes(draw.randrange(256) for _ in range(draw.randrange(50)))
        draw.choice(CHANGES)(draw, data, draw.randrange(len(data)))
    return bytes(data)


def _flip(draw: Random, data: bytearray, at: int) -> None:
    data[at] ^= 1 << draw.randrange(8)


def _put(draw: Random, data: bytearray, at: int) -> None:
    width = draw.choice((1, 2, 4, 8))
    number = (draw.choice(NUMBERS) % 256**width).to_bytes(width, draw.choice(("little", "big")))
    data[at : at + width] = number


def _drop(draw: Random, data: bytearray, at: int) -> None:
    del data[at : at + draw.choice((1, 2, 4, 16, 100))]


def _repeat(draw: Random, data: bytearray, at: int) -> None:
    data[at:at] = data[at : at + draw.choice((1, 4, 16, 64))] * draw.choice((1, 2, 50))


def _insert(draw: Random, data: bytearray, at: int) -> None:
    data[at:at] = bytes(draw.randrange(256) for _ in range(draw.choice((1, 4, 16))))


def _cut(draw: Random, data: bytearray, at: int) -> None:
    del data[at:]


def _blank(draw: Random, data: bytearray, at: int) -> None:
    data[at:] = bytes(len(data) - at)


def _swap(draw: Random, data: bytearray, at: int) -> None:
    other = draw.randrange(len(data))
    data[at : at + 8], data[other : other + 8] = data[other : other + 8], data[at : at + 8]


CHANGES: Sequence[Callable[[Random, bytearray, int], None]] = (
    _flip, _flip, _put, _put, _drop, _repeat, _insert, _cut, _blank, _swap
)  # fmt: skip


def in_words(draw: Random, text: str) -> str:
    """Up to six words, brackets or signs changed for others."""
    words = re.findall(r"\s+|[\w.+-]+|.", text, re.DOTALL)
    for _ in range(draw.choice((1, 1, 2, 3, 6))):
        at = draw.randrange(len(words) + 1)
        change = draw.randrange(5)
        if change == 0:
            words[at : at + draw.choice((1, 1, 3, 10))] = []
        elif change == 1:
            words[at:at] = words[at : at + draw.choice((1, 4, 30))] * draw.choice((1, 1, 3, 40))
        elif change == 2:
            words[at : at + 1] = [draw.choice(WORDS)]
        elif change == 3:
            words[at : at + 1] = [str(draw.choice((-1, 1)) * draw.choice(NUMBERS))]
        else:
            words[at : at + 1] = [draw.choice(words) if words else "x"]
    return "".join(words)
