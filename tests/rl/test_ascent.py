"""Maximising critics: the closed forms do what the general path does, and what they return can be relied on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

pytest.importorskip("stable_baselines3", reason="needs the extra [rl]")

from adrgd.errors import AdrgdError
from adrgd.rl.ascent import ascend
from adrgd.rl.config import NAMED
from adrgd.solvers import Adam, GraduatedGates, Solver, make_solver

from .worlds import critic

SOLVERS: dict[str, Solver] = NAMED | {
    "pgd": make_solver("pgd"),
    "plain-gd": make_solver("gd"),
    "normalised-gd": make_solver("normalised-gd"),
    "perturbed-gd": make_solver("perturbed-gd"),
    "fgsm": make_solver("fgsm"),
    "graduated-wide": make_solver("graduated"),
    "graduated-adam": Solver(gates=GraduatedGates(), step=Adam()),
    "adr-fast": replace(NAMED["adr"], gates=replace(make_solver("adr:paper").gates, T_p=2, delta=10.0, probe_every=3)),
}
HOW = ("first", "mean", "min")


def setting(rows: int = 4, dtype: torch.dtype = torch.float64) -> dict[str, Any]:
    torch.manual_seed(5)
    return {
        "networks": [critic(0, dtype=dtype), critic(1, dtype=dtype)],
        "features": torch.randn(rows, 3, dtype=dtype),
        "proposal": (2 * torch.rand(rows, 2, dtype=dtype) - 1).clamp(-0.98, 0.98),
    }


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("name", SOLVERS)
def test_closed_forms_agree_with_maximize(name: str, how: str) -> None:
    steps = 10  # the searched gates' steep sigmoid magnifies rounding without end, here to 1e-8
    options = {"how": how, "solver": SOLVERS[name], "steps": steps, "radius": 0.5, "seed": 3}
    closed = ascend(**setting(), **options)  # type: ignore[arg-type]
    general = ascend(**setting(), **options, closed_form=False)  # type: ignore[arg-type]
    for one, other in zip(closed, general, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-6)


def paper_sized(dtype: torch.dtype) -> dict[str, Any]:
    torch.manual_seed(0)
    return {
        "networks": [critic(0, 23, (400, 300), dtype)], "features": torch.randn(1, 17).to(dtype),
        "proposal": (2 * torch.rand(1, 6) - 1).to(dtype), "how": "first", "radius": 0.5,
    }  # fmt: skip


@pytest.mark.parametrize(("dtype", "steps", "off"), [(torch.float32, 3, 1e-3), (torch.float64, 5, 1e-8)])
@pytest.mark.parametrize("name", ["graduated", "adr", "gd"])
def test_a_paper_sized_critic(name: str, dtype: torch.dtype, steps: int, off: float) -> None:
    """A few steps only: searched gates magnify rounding up to a hundred times a step, and CPUs round differently."""
    given = paper_sized(dtype) | {"solver": NAMED[name], "steps": steps}
    closed, general = ascend(**given), ascend(**given, closed_form=False)
    for one, other in zip(closed, general, strict=True):
        assert one.dtype == dtype
        torch.testing.assert_close(one, other, rtol=off, atol=off)


@pytest.mark.parametrize("closed_form", [True, False])
@pytest.mark.parametrize("name", ["graduated", "adr", "gd"])
def test_single_precision_reports_what_the_critic_says(name: str, closed_form: bool) -> None:
    """After any number of steps, against the critic in double precision."""
    given = paper_sized(torch.float32)
    found = ascend(**given, solver=NAMED[name], steps=30, closed_form=closed_form)
    exact = paper_sized(torch.float64)["networks"][0]
    for x, value in ((found.x, found.value), (given["proposal"], found.before)):
        entry = torch.cat([given["features"], x], 1).double()
        torch.testing.assert_close(exact(entry)[:, 0], value.double(), rtol=0, atol=1e-5)
    assert (found.value > found.before).all()


@pytest.mark.parametrize("closed_form", [True, False])
@pytest.mark.parametrize("radius", [0.05, 0.5, None])
@pytest.mark.parametrize("name", ["graduated", "adr", "gd", "plain-gd"])
def test_never_worse_than_the_proposal_and_never_outside(name: str, radius: float | None, closed_form: bool) -> None:
    given = setting(rows=16)
    found = ascend(
        **given, how="min", solver=SOLVERS[name], steps=10, radius=radius, closed_form=closed_form
    )  # fmt: skip
    assert (found.value >= found.before).all()
    assert (found.x.abs() <= 1).all()
    if radius is not None:
        assert ((found.x - given["proposal"]).abs() <= radius).all()
    entry = torch.cat([given["features"], found.x], 1)
    values = torch.stack([network(entry)[:, 0] for network in given["networks"]]).amin(0)
    torch.testing.assert_close(values, found.value)


def test_no_move_where_the_proposal_is_the_best() -> None:
    network = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 1)).double()
    with torch.no_grad():  # -|a_1| - |a_2|
        network[0].weight[:] = torch.tensor([[0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]])
        network[0].bias.zero_()
        network[2].weight.fill_(-1)
        network[2].bias.zero_()
    proposal = torch.zeros(1, 2, dtype=torch.float64)
    found = ascend([network], torch.ones(1, 1).double(), proposal, how="first", solver=NAMED["graduated"], steps=20)
    assert torch.equal(found.x, proposal)
    assert found.value == found.before == 0


@pytest.mark.parametrize("name", ["graduated", "gd"])
def test_a_known_maximum_is_found(name: str) -> None:
    """Q = -|a_1 - .3| - |a_2 + .4|, from a corner of the box."""
    network = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 1)).double()
    with torch.no_grad():
        network[0].weight[:] = torch.tensor([[0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]])
        network[0].bias[:] = torch.tensor([-0.3, 0.3, 0.4, -0.4])
        network[2].weight.fill_(-1)
        network[2].bias.zero_()
    found = ascend(
        [network], torch.ones(1, 1).double(), torch.ones(1, 2).double(), how="first", solver=NAMED[name], steps=100
    )
    torch.testing.assert_close(found.x, torch.tensor([[0.3, -0.4]]).double(), atol=0.01, rtol=0)


@pytest.mark.parametrize("name", ["graduated", "adr", "gd"])
def test_rows_are_independent(name: str) -> None:
    given = setting(rows=6)
    options = {"how": "mean", "solver": NAMED[name], "steps": 15, "radius": 0.5}
    together = ascend(**given, **options)  # type: ignore[arg-type]
    alone = ascend(given["networks"], given["features"][4:5], given["proposal"][4:5], **options)  # type: ignore[arg-type]
    torch.testing.assert_close(alone.x[0], together.x[4])
    torch.testing.assert_close(alone.value[0], together.value[4])


@pytest.mark.parametrize("first", [nn.Tanh(), nn.LeakyReLU()])
def test_other_networks_take_the_general_path(first: nn.Module) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(5, 8), first, nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 1)).double()
    given = setting() | {"networks": [network]}
    found = ascend(**given, how="first", solver=NAMED["graduated"], steps=10)
    assert (found.value > found.before).any()


@pytest.mark.parametrize("name", ["graduated", "adr", "gd"])
@pytest.mark.parametrize("closed_form", [True, False])
def test_a_critic_that_diverged_is_an_error(name: str, closed_form: bool) -> None:
    given = setting()
    given["networks"][0][2].bias[3] = float("nan")
    with pytest.raises(AdrgdError, match="not finite"):
        ascend(**given, how="mean", solver=NAMED[name], steps=5, closed_form=closed_form)
