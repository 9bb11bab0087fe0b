"""What is kept of a training run: the weights as they load, the facts without a word of this machine."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from adrgd.models import load_model
from adrgd.training import Training, train_and_keep


@pytest.mark.filterwarnings("ignore:.*has no test images")
def test_weights_and_facts(tmp_path: Path) -> None:
    training = Training(
        model="mnist-convnext", data="bundled:mnist", test="bundled:mnist", attack="fgsm-rs", eps=0.1, epochs=1,
        batch_size=32, limit=64, test_limit=16,
    )  # fmt: skip
    run, weights = tmp_path / "run", tmp_path / "kept" / "net.safetensors"
    facts = train_and_keep(training, run, weights)
    assert load_model(f"mnist-convnext?weights={weights}").classes == 10
    text = weights.with_suffix(".json").read_text()
    assert json.loads(text) == facts
    assert str(tmp_path) not in text
    assert facts["config"]["attack"] == "fgsm-rs"
    first = load_file(weights)
    weights.unlink()
    train_and_keep(training, run, weights)  # finished before: only what was kept is made again
    again = load_file(weights)
    assert all(torch.equal(first[name], again[name]) for name in first)
