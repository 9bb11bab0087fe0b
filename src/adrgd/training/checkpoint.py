"""What a training run needs to go on, in one file that is whole or absent."""

from __future__ import annotations

import pickle
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from adrgd.errors import RunFolderError
from adrgd.files import write_with


@dataclass
class State:
    """Where a run stands.

    Attributes:
        step: updates made.
        running: sum of the losses of the present epoch.
        losses: mean loss of each finished epoch.
        seconds: spent so far.
    """

    step: int = 0
    running: float = 0.0
    losses: list[float] = field(default_factory=list)
    seconds: float = 0.0


def save(path: Path, state: State, module: torch.nn.Module, optimiser: torch.optim.Optimizer) -> None:
    """Write a checkpoint.

    Raises:
        RunFolderError: it cannot be written; the one before is still there.
    """
    content = {"state": asdict(state), "module": module.state_dict(), "optimiser": optimiser.state_dict()}
    try:
        write_with(path, lambda file: torch.save(content, file))
    except (OSError, RuntimeError) as error:  # torch reports a full disk as the latter
        raise RunFolderError(
            f"cannot write {path} ({str(error).splitlines()[0]}); make room and go on with --resume"
        ) from error


def load(path: Path, module: torch.nn.Module, optimiser: torch.optim.Optimizer) -> State:
    """Put a checkpoint's parameters into place; a new state when there is no checkpoint.

    Raises:
        RunFolderError: the file is damaged.
    """
    if not path.exists():
        return State()
    try:
        content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        module.load_state_dict(content["module"])
        optimiser.load_state_dict(content["optimiser"])
        return State(**content["state"])
    except (OSError, EOFError, RuntimeError, KeyError, TypeError, ValueError, pickle.UnpicklingError) as error:
        raise RunFolderError(f"{path} is damaged ({type(error).__name__}); delete it to start again") from error
