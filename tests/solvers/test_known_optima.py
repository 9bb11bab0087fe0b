"""Every solver on problems whose optimum is known in closed form: how close each comes."""

import dataclasses

import pytest
import torch
from torch import Tensor

from adrgd import Box, L2Ball, LinfBall, maximize
from adrgd.solvers import SOLVERS, Normalised, make_solver

SLOPES = torch.tensor([3.0, -2.0, 0.5, 1.0, -0.25])
CENTRE = torch.tensor([[0.5, 0.41, 0.6, 0.45, 0.55], [0.2, 0.9, 0.5, 0.5, 0.1]])
PEAK = torch.tensor([0.3, 0.7, 0.55, 0.45, 0.6])

DOMAINS = {
    "box": (Box(-1.0, 2.0), lambda: (0.5 * SLOPES + 1.5 * SLOPES.abs()).sum().expand(2)),
    "linf": (LinfBall(CENTRE, 0.3), lambda: CENTRE @ SLOPES + 0.3 * SLOPES.abs().sum()),
    "l2": (L2Ball(CENTRE, 0.3), lambda: CENTRE @ SLOPES + 0.3 * SLOPES.norm()),
    "linf in box": (
        LinfBall(CENTRE, 0.3, Box(0.0, 1.0)),
        lambda: torch.where(SLOPES > 0, (CENTRE + 0.3).clamp_max(1), (CENTRE - 0.3).clamp_min(0)) @ SLOPES,
    ),
}

# The share of the way from the start to the optimum that may be missing after 200 iterations.
LINEAR_GAP = dict.fromkeys(SOLVERS, 0.0) | {
    "normalised-gd": 0.02, "perturbed-gd": 0.02, "noisy-gd": 0.02, "occupation-gd": 0.02, "adr": 0.02, "fgsm": 1.0,
}  # fmt: skip
PEAK_GAP = {
    "graduated": 0.03, "graduated-secant": 0.03, "graduated-momentum": 0.03, "pgd": 0.03,
    "leaky": 0.03, "sigmoid": 0.03, "fgsm": 1.0, "gd": 0.4, "normalised-gd": 0.4,
    "perturbed-gd": 0.4, "noisy-gd": 0.4, "occupation-gd": 0.4, "adr": 0.9,
}  # fmt: skip


def linear(x: Tensor) -> Tensor:
    """c x, written with ReLUs so that there are gates to search."""
    return (torch.relu(x) - torch.relu(-x)) @ SLOPES


def tent(x: Tensor) -> Tensor:
    """-sum |x - peak|: concave, largest at the peak, where it is zero."""
    return -(torch.relu(x - PEAK) + torch.relu(PEAK - x)).sum(1)


@pytest.mark.parametrize("name", SOLVERS)
@pytest.mark.parametrize("where", DOMAINS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_linear_function(name: str, where: str, dtype: torch.dtype) -> None:
    domain, best = DOMAINS[where]
    x0 = CENTRE.to(dtype)

    def objective(x: Tensor) -> Tensor:
        return linear(x.float()).to(dtype) if dtype == torch.float32 else linear64(x)

    solution = maximize(objective, x0, domain=domain, solver=make_solver(name), steps=200)
    optimum, start = best().to(dtype), objective(x0)
    missing = (optimum - solution.value) / (optimum - start)
    assert solution.x.dtype == dtype
    assert (missing <= LINEAR_GAP[name] + 1e-5).all(), missing
    assert (missing >= -1e-5).all(), "no solver may pass the optimum"


def linear64(x: Tensor) -> Tensor:
    return (torch.relu(x) - torch.relu(-x)) @ SLOPES.double()


@pytest.mark.parametrize("name", SOLVERS)
def test_concave_tent(name: str) -> None:
    solver = make_solver(name)
    if name == "adr":  # the paper's step of length 1 jumps over a peak .3 away
        solver = dataclasses.replace(solver, step=Normalised(length=0.05))
    solution = maximize(tent, CENTRE, domain=LinfBall(CENTRE, 0.6), solver=solver, steps=200)
    missing = solution.value / tent(CENTRE)
    assert (missing <= PEAK_GAP[name]).all(), missing
    assert (missing >= 0).all()


def test_fgsm_solves_linear_problems_on_boxes_in_one_step() -> None:
    solution = maximize(linear, CENTRE, domain=LinfBall(CENTRE, 0.3), solver=make_solver("fgsm"), steps=200)
    assert torch.allclose(solution.value, CENTRE @ SLOPES + 0.3 * SLOPES.abs().sum())
    assert (solution.backwards == 1).all()


def test_graduated_gates_see_past_the_nearest_ridge() -> None:
    """relu(x) + relu(-3 x - 1.5) on [-1, 1]: uphill from .1 leads to 1 (value 1); the best is at -1 (value 1.5)."""

    def ridges(x: Tensor) -> Tensor:
        return (torch.relu(x) + torch.relu(-3 * x - 1.5)).mean(1)

    x0 = torch.full((4, 32), 0.1)
    local = maximize(ridges, x0, domain=Box(-1.0, 1.0), solver=make_solver("pgd"), steps=100)
    graduated = maximize(ridges, x0, domain=Box(-1.0, 1.0), solver=make_solver("graduated"), steps=100)
    assert torch.allclose(local.value, torch.tensor(1.0))
    assert (graduated.value > 1.25).all()
