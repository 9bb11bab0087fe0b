"""What stays of a training run that made a network for others: its weights, and the facts beside them."""

from __future__ import annotations

import json
import shutil
from functools import partial
from pathlib import Path
from typing import Any

from adrgd.files import write_text, write_with
from adrgd.training.config import Training
from adrgd.training.loop import Advance, train


def train_and_keep(
    training: Training, run: Path, weights: Path, *, device: str = "cpu", advance: Advance | None = None
) -> dict[str, Any]:
    """Train in the folder `run`, or go on there; then write `weights` (.safetensors) and the facts beside them (.json).

    The facts name no folder, so that the same training writes the same ones on another machine, times aside.

    Raises:
        AdrgdError: see `train`.
    """
    facts = train(training, run, device=device, resume=run.exists(), advance=advance)
    facts["config"] = {key: value for key, value in facts["config"].items() if key not in ("data", "test")}
    del facts["out"]
    weights.parent.mkdir(parents=True, exist_ok=True)
    write_with(weights, partial(shutil.copyfile, run / "model.safetensors"))
    write_text(weights.with_suffix(".json"), json.dumps(facts, indent=2) + "\n")
    return facts
