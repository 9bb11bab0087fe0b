"""What a training run needs to go on: the model with its optimisers, the replay buffer, and what was measured.

All of it is one file, written in one piece, so that a kill or a full disk leaves the last one as it was. It holds
numbers and tensors alone, so that reading one from anywhere runs no code: Stable-Baselines3's own files hold pickles.

    note.json       settings, counters, and the records
    NAME.pth        state dicts: the policy, its optimisers
    NAME.npy        the replay buffer
"""

from __future__ import annotations

import io
import itertools
import json
import zipfile
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from stable_baselines3.common.noise import NormalActionNoise

from adrgd.errors import RunFolderError
from adrgd.files import limits, reading
from adrgd.rl.config import RefineConfig
from adrgd.runs import Run
from adrgd.runs.verify import verify

CHECKPOINT = "checkpoint.zip"

BUFFER = ("observations", "next_observations", "actions", "rewards", "dones", "timeouts")

ARGUMENTS = (
    "learning_rate", "buffer_size", "learning_starts", "batch_size", "tau", "gamma", "gradient_steps", "policy_kwargs",
    "seed",
)  # fmt: skip
"""Of a model, which are plain, as it was made with them."""

STATE = (
    "num_timesteps", "_total_timesteps", "_num_timesteps_at_start", "_episode_num", "_n_updates",
    "_current_progress_remaining", "refined", "gained", "policy_delay", "target_noise_clip", "target_policy_noise",
)  # fmt: skip
"""Of a model, which are plain, as they stand."""

M = TypeVar("M")


def save(folder: Run, model: Any, rows: list[dict[str, Any]]) -> None:
    """Write the checkpoint; `rows` is any list of plain records.

    Raises:
        RunFolderError: it cannot be written; the one before is still there.
    """
    buffer = model.replay_buffer
    used = buffer.buffer_size if buffer.full else buffer.pos
    note = {"pos": buffer.pos, "full": bool(buffer.full), "rows": rows, "model": _plain(model)}
    with folder.write(CHECKPOINT) as stream, zipfile.ZipFile(stream, "w") as file:
        file.writestr("note.json", json.dumps(note))
        for name, state in model.get_parameters().items():
            file.writestr(f"{name}.pth", _bytes(state))
        for name in BUFFER:
            with file.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, getattr(buffer, name)[:used], allow_pickle=False)


def load(
    folder: Run, algorithm: type[M], env: Any, refine: RefineConfig | None = None, device: str = "cpu"
) -> tuple[M, list[dict[str, Any]]]:
    """The model with its replay buffer, and the records.

    Raises:
        RunFolderError: the file is damaged.
    """

    def put(path: Path) -> tuple[M, list[dict[str, Any]]]:
        with zipfile.ZipFile(path) as file:
            note = _note(file)
            model: Any = _model(file, note["model"], algorithm, env, refine, device)
            buffer = model.replay_buffer
            for name in BUFFER:
                with file.open(f"{name}.npy") as member:
                    stored = np.lib.format.read_array(member, allow_pickle=False)
                getattr(buffer, name)[: len(stored)] = stored
            buffer.pos, buffer.full = int(note["pos"]), bool(note["full"])
        return model, note["rows"]

    return folder.read(CHECKPOINT, put)


def load_model(folder: Path, algorithm: type[M], env: Any) -> M:
    """The model alone, to act with.

    Raises:
        RunFolderError: there is no such checkpoint, or it is damaged.
    """
    path = folder / CHECKPOINT
    try:
        with reading.open_regular(path) as stream:
            reading.check_zip(stream, "arrays")
            with zipfile.ZipFile(stream) as file:
                verify(folder, CHECKPOINT)
                return _model(file, _note(file)["model"] | {"buffer_size": 1}, algorithm, env, None, "cpu")
    except RunFolderError:
        raise
    except Exception as error:  # each part has errors of its own
        raise RunFolderError(
            f"{path} cannot be read ({type(error).__name__}); expected the checkpoint of `adrgd rl train`"
        ) from error


def _note(file: zipfile.ZipFile) -> dict[str, Any]:
    if "model.zip" in file.namelist():
        raise RunFolderError(
            "the checkpoint is one of an earlier version, which holds pickled objects and is not loaded; begin the run "
            "again in another folder"
        )
    note: dict[str, Any] = reading.read_json(file.read("note.json"))
    return note


def _plain(model: Any) -> dict[str, Any]:
    noise, often = model.action_noise, model.train_freq
    return {name: getattr(model, name) for name in (*ARGUMENTS, *STATE)} | {
        "train_freq": [often.frequency, often.unit.value],
        "noise": None if noise is None else [noise._mu.tolist(), noise._sigma.tolist()],
        "coins": model.coins.bit_generator.state,
    }


def _model(
    file: zipfile.ZipFile, plain: dict[str, Any], algorithm: type[M], env: Any, refine: RefineConfig | None, device: str
) -> M:
    layers = [int(size) for size in plain["policy_kwargs"]["net_arch"]]
    limits.check("network", 16 * sum(a * b for a, b in itertools.pairwise(layers)))
    row = 2 * _length(env.observation_space) + _length(env.action_space)
    limits.check("arrays", 8 * int(plain["buffer_size"]) * row)
    noise = plain["noise"]
    model: Any = algorithm(
        "MlpPolicy", env, device=device, refine=refine, train_freq=tuple(plain["train_freq"]),
        action_noise=None if noise is None else NormalActionNoise(*map(np.array, noise)),
        **{name: plain[name] for name in ARGUMENTS},
    )  # type: ignore[call-arg]  # fmt: skip
    states = {
        name.removesuffix(".pth"): torch.load(io.BytesIO(file.read(name)), map_location="cpu", weights_only=True)
        for name in file.namelist()
        if name.endswith(".pth")
    }
    model.set_parameters(states, exact_match=True)
    for name in STATE:
        if type(plain[name]) not in (int, float):
            raise ValueError(f"{name} is no number")
        setattr(model, name, plain[name])
    model.coins.bit_generator.state = plain["coins"]
    return model  # type: ignore[no-any-return]


def _length(space: Any) -> int:
    return int(np.prod(space.shape or ()))


def _bytes(state: Any) -> bytes:
    stream = io.BytesIO()
    torch.save(state, stream)
    return stream.getvalue()
