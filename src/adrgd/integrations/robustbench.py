"""`robustbench.benchmark` with our solvers in the place of AutoAttack.

    with attacking(solver="standard"):
        clean, robust = robustbench.benchmark(model, dataset="cifar10", threat_model="Linf", eps=8 / 255)

RobustBench loads the images, and counts the clean and the robust accuracy, as ever. Its leaderboards are AutoAttack's:
the figure of another attack is no entry for them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from adrgd.attacks.ensemble.standard import Standard
from adrgd.domain import as_norm
from adrgd.errors import UsageError
from adrgd.integrations.perturb import Method, perturb
from adrgd.models.zoos import quiet
from adrgd.models.zoos.robustbench_zoo import imported
from adrgd.solvers import Solver

with quiet():
    imported()


class Adrgd:
    """Our solvers with the manners of AutoAttack, as RobustBench makes and calls it.

    Args:
        model: returns logits (B, C) of images in [0, 1].
        norm: "Linf", "L2" or "L1".
        eps: the largest perturbation.
        device: where batches are attacked; the images' own unless given.
        method: solver, steps, restarts, loss and seed.
        others: what AutoAttack takes besides (version, log_path, verbose, ...), which says nothing here.
    """

    def __init__(
        self, model: Any, norm: str = "Linf", eps: Any = 8 / 255, *, device: Any = None, method: Method, **others: Any
    ) -> None:
        del others
        self.model, self.norm, self.eps, self.device, self.method = model, as_norm(norm), eps, device, method

    def run_standard_evaluation(
        self, x_orig: Tensor, y_orig: Tensor, bs: int = 250, state_path: Path | None = None, **others: Any
    ) -> Tensor:
        """The inputs found (B, ...), on the images' device.

        Raises:
            UsageError: a file for the state of an evaluation that was stopped; `adrgd attack --resume` has that.
        """
        del others
        if state_path is not None:
            raise UsageError(
                "aa_state_path is AutoAttack's own, found one for another attack; leave it out, and use `adrgd attack` "
                "with --resume for evaluations that can be stopped"
            )
        found: list[Tensor] = []
        for start in range(0, len(x_orig), bs):
            x, y = x_orig[start : start + bs], y_orig[start : start + bs]
            device = self.device or x.device
            made = perturb(
                self.model, x.to(device), y.to(device), self.method, eps=self.eps, norm=self.norm, bounds=(0.0, 1.0),
                targeted=False, first=start, network=self.model,
            )  # fmt: skip
            found.append(made.to(x.device))
        return torch.cat(found)


@contextmanager
def attacking(
    solver: str | Solver | Standard = "standard", *, steps: int = 100, restarts: int = 1,
    loss: str = "cross-entropy", seed: int = 0,
) -> Iterator[None]:  # fmt: skip
    """Within this block `robustbench.benchmark` attacks with our solver; see `adrgd.attacks.Attack` for the settings.

    Raises:
        UsageError: unknown solver or loss.
    """
    method = Method(solver=solver, steps=steps, restarts=restarts, loss=loss, seed=seed)

    def make(model: Any, **settings: Any) -> Adrgd:
        return Adrgd(model, method=method, **settings)

    module: Any = import_module("robustbench.eval")
    before = module.AutoAttack
    module.AutoAttack = make
    try:
        yield
    finally:
        module.AutoAttack = before
