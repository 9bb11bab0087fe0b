"""Attacks of the Adversarial Robustness Toolbox, as peers."""

from __future__ import annotations

import importlib
import math
from typing import Any

import torch
from torch import Tensor, nn

from adrgd.attacks.case import Case
from adrgd.attacks.matrix.watched import Watched
from adrgd.rows import column

NORMS = {"linf": math.inf, "l2": 2, "l1": 1}


class _Single(nn.Module):
    """Takes what comes in double precision, as ART's own noise does, in the type of the images."""

    def __init__(self, model: Watched) -> None:
        super().__init__()
        self.model, self.dtype = model, model.case.clean.dtype
        self.training = False

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.model(x.to(self.dtype))
        return logits


def run_art(model: Watched, case: Case, make: Any, options: dict[str, Any], norm: float) -> Tensor:
    """What an attack of ART finds; one that knows no eps looks for the nearest input, which counts within eps.

    Args:
        make: its class.
        options: arguments besides those that the threat decides.
        norm: as ART has it.
    """
    estimators: Any = importlib.import_module("art.estimators.classification")
    classifier = estimators.PyTorchClassifier(
        _Single(model), loss=torch.nn.CrossEntropyLoss(), input_shape=tuple(case.clean.shape[1:]),
        nb_classes=case.logits.shape[1], clip_values=case.threat.range,
        device_type="cpu" if case.clean.device.type == "cpu" else "gpu",
    )  # fmt: skip
    given = {
        "eps": case.threat.eps, "norm": norm, "batch_size": len(case.clean), "verbose": False,
        "targeted": case.target is not None,
    }  # fmt: skip
    known = make.attack_params
    attack = make(classifier, **{key: value for key, value in given.items() if key in known} | options)
    found = torch.from_numpy(attack.generate(x=case.clean.cpu().numpy(), y=case.goal.cpu().numpy())).to(case.clean)
    if "eps" in known:
        return found
    return torch.where(column(case.threat.distance(found, case.clean) <= case.threat.eps, found), found, case.clean)
