"""RobustBench's own benchmark runs with our attack in the place of AutoAttack, and counts the same."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from adrgd.attacks import Attack, Threat, attack_batch
from adrgd.errors import AdrgdError, UsageError
from adrgd.integrations.perturb import Method


@pytest.fixture
def robustbench() -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from adrgd.integrations import robustbench as room
    except (ImportError, RuntimeError, AdrgdError) as error:
        pytest.skip(f"robustbench cannot be imported: {error}")
    return room


@pytest.fixture
def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 8, 8), nn.ReLU(), nn.Flatten(), nn.Linear(64, 10)).eval()


@pytest.mark.parametrize("norm", ["Linf", "L2"])
def test_the_benchmark(norm: str, robustbench: Any, network: nn.Module, monkeypatch: pytest.MonkeyPatch) -> None:
    images = torch.from_numpy(np.random.default_rng(0).random((6, 3, 32, 32), dtype=np.float32))
    labels = network(images).argmax(1)
    labels[0] = (labels[0] + 1) % 10
    module = __import__("robustbench.eval").eval
    before = module.AutoAttack
    monkeypatch.setattr(module, "load_clean_dataset", lambda *_: (images, labels))
    eps = {"Linf": 0.02, "L2": 0.3}[norm]
    with robustbench.attacking("pgd", steps=10):
        clean, robust = module.benchmark(
            network, n_examples=6, dataset="cifar10", threat_model=norm, eps=eps, batch_size=4
        )
    assert module.AutoAttack is before
    assert clean == pytest.approx(5 / 6)
    asked = Attack(threat=Threat(norm=norm.lower(), eps=eps), solver="pgd", steps=10)  # type: ignore[arg-type]
    ours = attack_batch(network, images, labels, asked)
    assert robust == pytest.approx(1 - float(ours.success.float().mean()))


def test_a_state_file_is_autoattack_s(robustbench: Any, network: nn.Module) -> None:
    attack = robustbench.Adrgd(network, "Linf", 0.1, method=Method(), version="standard", log_path=None)
    with pytest.raises(UsageError, match="aa_state_path"):
        attack.run_standard_evaluation(torch.zeros(1, 3, 32, 32), torch.zeros(1), state_path=Path("state"))
