"""Folders of runs that can be resumed: each says what decides its results, and takes no other run's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from adrgd.errors import RunFolderError
from adrgd.files import write_text


def open_run(path: Path, config: dict[str, Any], *, resume: bool) -> None:
    """Make a folder for a run with its config.yaml, or see to it that the folder holds that same run.

    Args:
        path: created when missing.
        config: everything that decides the results.
        resume: go on with what is there instead of refusing it.

    Raises:
        RunFolderError: the folder holds another run, or a damaged one, or anything at all without `resume`.
    """
    file = path / "config.yaml"
    if path.exists() and not path.is_dir():
        raise RunFolderError(f"{path} is a file; expected a folder for the run's results")
    if path.exists() and any(path.iterdir()):
        if not resume:
            raise RunFolderError(f"{path} is not empty; choose another --out, or go on with that run by --resume")
        if not file.exists():
            raise RunFolderError(f"{path} holds no config.yaml, so that it is not a run's folder; choose another --out")
        _compare(_read(file), config, path)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunFolderError(f"cannot create {path}: {error.strerror}; choose another --out") from error
    if not file.exists():
        write_text(file, yaml.safe_dump(config, sort_keys=False))


def _read(file: Path) -> dict[str, Any]:
    try:
        config = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise RunFolderError(
            f"{file} cannot be read ({type(error).__name__}); the run cannot go on, choose another --out"
        ) from error
    if not isinstance(config, dict):
        raise RunFolderError(f"{file} holds no settings; the run cannot go on, choose another --out")
    return config


def _compare(old: dict[str, Any], new: dict[str, Any], path: Path) -> None:
    new = yaml.safe_load(yaml.safe_dump(new))  # the same types that a file brings back
    different = [key for key in sorted(old.keys() | new.keys()) if old.get(key) != new.get(key)]
    if different:
        what = "; ".join(f"{key}: {old.get(key)!r} there, {new.get(key)!r} here" for key in different[:3])
        raise RunFolderError(f"{path} holds a run with other settings ({what}); use the same ones, or another --out")
