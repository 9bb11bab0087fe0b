"""Our PGD against another library's, from the same start with the same steps."""

import importlib
import warnings
from types import ModuleType

import pytest
import torch
from torch import Tensor

from adrgd import PGD, Box, LinfBall, Misclassify, Steepest, maximize
from adrgd.solvers.solver import TrueGates

from .problems import Problem


@pytest.fixture(scope="module")
def torchattacks() -> ModuleType:
    with warnings.catch_warnings():  # the package is from 2023
        warnings.simplefilter("ignore")
        try:
            return importlib.import_module("torchattacks")
        except ImportError:
            pytest.skip("needs torchattacks; make test installs it")


@pytest.mark.parametrize(("eps", "alpha"), [(0.06, 0.01), (0.3, 0.05)])
def test_pgd_agrees_with_torchattacks(problem: Problem, torchattacks: ModuleType, eps: float, alpha: float) -> None:
    """Its last iterate, after 10 constant steps, is the last point that ours evaluates; our result is no worse."""
    peer = torchattacks.PGD(problem.net, eps=eps, alpha=alpha, steps=10, random_start=False)
    theirs = peer(problem.images, problem.labels)
    visited: list[Tensor] = []

    def watched(x: Tensor) -> Tensor:
        visited.append(x.detach())
        logits: Tensor = problem.net(x)
        return logits

    objective = Misclassify(watched, problem.labels)
    solution = maximize(
        objective, problem.images, domain=LinfBall(problem.images, eps, Box(0.0, 1.0)), steps=10, check=False,
        solver=PGD(gates=TrueGates(), step=Steepest(length=alpha / eps, schedule="constant")), stop_at_goal=False,
    )  # fmt: skip
    assert torch.allclose(visited[-1], theirs, atol=1e-6)
    assert (solution.reached | ~(problem.net(theirs).argmax(1) != problem.labels)).all()
