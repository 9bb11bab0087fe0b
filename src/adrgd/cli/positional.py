"""Which of a command's fields have no flag."""

from __future__ import annotations

import dataclasses
from typing import Any


def positionals(options: Any) -> list[str]:
    """The names of a command's fields that are given without a flag, in their order."""
    return [field.name for field in dataclasses.fields(options) if "Positional" in str(field.type)]
