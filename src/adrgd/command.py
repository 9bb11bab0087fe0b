"""The command that is being carried out, so that its page can show how to do so again. Nothing is imported for it."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from contextvars import ContextVar

WORDS: ContextVar[tuple[str, ...]] = ContextVar("WORDS", default=())
"""Command and flags, those of --config among them; nothing where Python called the library."""

LEFT_OUT = ("--resume", "--quiet", "--verbose", "--debug", "--json")


def again() -> str:
    """The command for the same once more, into a folder of its own; empty where there is none."""
    words = [word for word in WORDS.get() if word not in LEFT_OUT]
    for at, word in enumerate(words):
        if word == "--out" and at + 1 < len(words):
            words[at + 1] += "-again"
        elif word.startswith("--out="):
            words[at] += "-again"
    return shlex.join(["adrgd", *words]) if words else ""


def remember(words: Sequence[str]) -> None:
    """Keep the words of the command that begins."""
    WORDS.set(tuple(words))
