"""Ctrl-C and SIGTERM: one line and the exit code, at any moment.

A handler that raises an exception can raise it anywhere: inside an import, where it becomes a traceback of somebody
else's, or inside a callback, where it is lost. What a command has on disk is whole at every moment, so that there is
nothing to unwind: the process says how to go on, and ends.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

WORDS = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}

_SHOW = "\r\x1b[2K\x1b[?25h"  # a bar hides the cursor, and would stay

_advice = ""


def install() -> None:
    """Take both signals, unless whoever started the process has them ignored (as nohup and a script's & do)."""
    if threading.current_thread() is threading.main_thread():
        for number in WORDS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, _end)


def leave() -> None:
    """Let both signals pass from here on: all is done and written, and what is left is Python's own end.

    That takes most of a second after torch, and in it the interpreter takes handlers back, so that a signal would turn
    a finished command into a failed one.
    """
    if threading.current_thread() is threading.main_thread():
        for number in WORDS:
            if signal.getsignal(number) is _end:
                signal.signal(number, signal.SIG_IGN)


@contextmanager
def advised(sentence: str) -> Iterator[None]:
    """How to go on after an interruption, as long as the block lasts."""
    global _advice
    before, _advice = _advice, f"; {sentence}"
    try:
        yield
    finally:
        _advice = before


def _end(number: int, frame: Any) -> None:
    shown = _SHOW if os.isatty(2) else ""
    os.write(2, f"{shown}{WORDS[signal.Signals(number)]}{_advice}\n".encode())
    if "multiprocessing" in sys.modules:
        import multiprocessing

        for child in multiprocessing.active_children():
            child.kill()
    os._exit(128 + number)
