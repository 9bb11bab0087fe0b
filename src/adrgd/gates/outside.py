"""What a property or a loss chooses is no part of the network: its calls may have gates, and are not counted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_outside: ContextVar[bool] = ContextVar("outside", default=False)


@contextmanager
def outside() -> Iterator[None]:
    """Calls made in here are not the network's own."""
    token = _outside.set(True)
    try:
        yield
    finally:
        _outside.reset(token)


def is_outside() -> bool:
    """Whether a call that is made now is none of the network's."""
    return _outside.get()
