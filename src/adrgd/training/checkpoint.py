"""What a training run needs to go on, in one file that is whole or absent."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from adrgd.files.reading import read_record
from adrgd.runs import Run

CHECKPOINT = "checkpoint.pt"


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


def save(folder: Run, state: State, module: torch.nn.Module, optimiser: torch.optim.Optimizer) -> None:
    """Write the checkpoint.

    Raises:
        RunFolderError: it cannot be written; the one before is still there.
    """
    content = {"state": asdict(state), "module": module.state_dict(), "optimiser": optimiser.state_dict()}
    with folder.write(CHECKPOINT) as stream:
        torch.save(content, stream)


def load(folder: Run, module: torch.nn.Module, optimiser: torch.optim.Optimizer) -> State:
    """Put the checkpoint's parameters into place; a new state when there is none that is sound.

    Raises:
        RunFolderError: it cannot be read.
    """

    def put(file: Path) -> State:
        content: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
        module.load_state_dict(content["module"])
        optimiser.load_state_dict(content["optimiser"])
        return read_record(State, content["state"])

    return folder.read(CHECKPOINT, put) if folder.has(CHECKPOINT) else State()
