"""What a training run needs to go on: the model with its optimisers, the replay buffer, and what was measured.

All of it is one file, written in one piece, so that a kill or a full disk leaves the last one as it was.
"""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from adrgd.errors import RunFolderError
from adrgd.files import whole

BUFFER = ("observations", "next_observations", "actions", "rewards", "dones", "timeouts")

M = TypeVar("M")


def save(path: Path, model: Any, rows: list[dict[str, Any]]) -> None:
    """Write a checkpoint; `rows` is any list of plain records.

    Raises:
        RunFolderError: it cannot be written; the one before is still there.
    """
    buffer = model.replay_buffer
    used = buffer.buffer_size if buffer.full else buffer.pos
    note = {"pos": buffer.pos, "full": bool(buffer.full), "rows": rows}
    try:
        with whole(path) as temporary, zipfile.ZipFile(temporary, "w") as file:
            file.writestr("model.zip", _bytes(model))
            file.writestr("note.json", json.dumps(note))
            for name in BUFFER:
                with file.open(f"{name}.npy", "w", force_zip64=True) as member:
                    np.lib.format.write_array(member, getattr(buffer, name)[:used], allow_pickle=False)
    except OSError as error:
        raise RunFolderError(
            f"cannot write the checkpoint {path} ({error.strerror or error}); the one before is kept: make room and go "
            "on with --resume"
        ) from error


def load(path: Path, algorithm: type[M], env: Any) -> tuple[M, list[dict[str, Any]]]:
    """The model with its replay buffer, and the records.

    Raises:
        RunFolderError: the file is damaged.
    """
    try:
        with zipfile.ZipFile(path) as file:
            note = json.loads(file.read("note.json"))
            model: Any = algorithm.load(io.BytesIO(file.read("model.zip")), env=env, device="cpu")  # type: ignore[attr-defined]
            buffer = model.replay_buffer
            for name in BUFFER:
                with file.open(f"{name}.npy") as member:
                    stored = np.lib.format.read_array(member, allow_pickle=False)
                getattr(buffer, name)[: len(stored)] = stored
            buffer.pos, buffer.full = note["pos"], note["full"]
    except (OSError, EOFError, zipfile.BadZipFile, KeyError, ValueError) as error:
        raise RunFolderError(
            f"{path} is damaged ({type(error).__name__}); delete it and start the run again"
        ) from error
    return model, note["rows"]


def load_model(path: Path, algorithm: type[M]) -> M:
    """The model alone, to act with.

    Raises:
        RunFolderError: there is no such checkpoint, or it is damaged.
    """
    try:
        with zipfile.ZipFile(path) as file:
            found: M = algorithm.load(io.BytesIO(file.read("model.zip")), device="cpu")  # type: ignore[attr-defined]
            return found
    except (OSError, zipfile.BadZipFile, KeyError) as error:
        raise RunFolderError(
            f"{path} cannot be read ({type(error).__name__}); expected the checkpoint of `adrgd rl train`"
        ) from error


def _bytes(model: Any) -> bytes:
    stream = io.BytesIO()
    model.save(stream)
    return stream.getvalue()
