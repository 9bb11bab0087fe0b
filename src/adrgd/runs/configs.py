"""A run's settings as a file, read back without trust in what it has become."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from adrgd.errors import RunFolderError
from adrgd.files import reading

CONFIG = "config.yaml"


class _Plain(yaml.SafeDumper):
    """Repeats what comes twice, so that a file of ours has no aliases."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def dump(config: dict[str, Any]) -> str:
    """The text of config.yaml."""
    return yaml.dump(config, Dumper=_Plain, sort_keys=False)


def parse(file: Path) -> dict[str, Any]:
    """The settings in a config.yaml.

    Raises:
        RunFolderError: it cannot be read, or holds something else.
    """
    try:
        config = reading.read_yaml(reading.read_text(file, "config"))
    except (OSError, ValueError) as error:
        raise RunFolderError(f"{file} cannot be read ({error}); the run cannot go on, choose another --out") from error
    if not isinstance(config, dict) or not all(isinstance(key, str) for key in config):
        raise RunFolderError(f"{file} holds no settings; the run cannot go on, choose another --out")
    return config


def compare(old: dict[str, Any], new: dict[str, Any], path: Path) -> None:
    """See to it that the settings of a folder are those that are asked for; one that is missing is None.

    Raises:
        RunFolderError: they are not.
    """
    new = reading.read_yaml(dump(new))  # the same types that a file brings back
    different = [key for key in sorted(old.keys() | new.keys()) if not _same(old.get(key), new.get(key))]
    if different:
        what = "; ".join(f"{key}: {_short(old.get(key))} there, {_short(new.get(key))} here" for key in different[:3])
        raise RunFolderError(f"{path} holds a run with other settings ({what}); use the same ones, or another --out")


def _same(one: Any, other: Any) -> bool:
    """Equal, and of the same type all the way down: yaml tells 1, 1.0 and true apart, and so do we."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return bool(one == other) or (one != one and other != other)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:200]}..."
