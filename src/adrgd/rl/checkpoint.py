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
from adrgd.runs import Run
from adrgd.verify import verify

CHECKPOINT = "checkpoint.zip"

BUFFER = ("observations", "next_observations", "actions", "rewards", "dones", "timeouts")

M = TypeVar("M")


def save(folder: Run, model: Any, rows: list[dict[str, Any]]) -> None:
    """Write the checkpoint; `rows` is any list of plain records.

    Raises:
        RunFolderError: it cannot be written; the one before is still there.
    """
    buffer = model.replay_buffer
    used = buffer.buffer_size if buffer.full else buffer.pos
    note = {"pos": buffer.pos, "full": bool(buffer.full), "rows": rows}
    with folder.write(CHECKPOINT) as stream, zipfile.ZipFile(stream, "w") as file:
        file.writestr("model.zip", _bytes(model))
        file.writestr("note.json", json.dumps(note))
        for name in BUFFER:
            with file.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, getattr(buffer, name)[:used], allow_pickle=False)


def load(folder: Run, algorithm: type[M], env: Any) -> tuple[M, list[dict[str, Any]]]:
    """The model with its replay buffer, and the records.

    Raises:
        RunFolderError: the file is damaged.
    """

    def put(path: Path) -> tuple[M, list[dict[str, Any]]]:
        with zipfile.ZipFile(path) as file:
            note = json.loads(file.read("note.json"))
            model: Any = algorithm.load(io.BytesIO(file.read("model.zip")), env=env, device="cpu")  # type: ignore[attr-defined]
            buffer = model.replay_buffer
            for name in BUFFER:
                with file.open(f"{name}.npy") as member:
                    stored = np.lib.format.read_array(member, allow_pickle=False)
                getattr(buffer, name)[: len(stored)] = stored
            buffer.pos, buffer.full = note["pos"], note["full"]
        return model, note["rows"]

    return folder.read(CHECKPOINT, put)


def load_model(folder: Path, algorithm: type[M]) -> M:
    """The model alone, to act with.

    Raises:
        RunFolderError: there is no such checkpoint, or it is damaged.
    """
    path = folder / CHECKPOINT
    try:
        with zipfile.ZipFile(path) as file:
            packed = file.read("model.zip")
        verify(folder, CHECKPOINT)
        found: M = algorithm.load(io.BytesIO(packed), device="cpu")  # type: ignore[attr-defined]
    except (OSError, zipfile.BadZipFile, KeyError) as error:
        raise RunFolderError(
            f"{path} cannot be read ({type(error).__name__}); expected the checkpoint of `adrgd rl train`"
        ) from error
    return found


def _bytes(model: Any) -> bytes:
    stream = io.BytesIO()
    model.save(stream)
    return stream.getvalue()
