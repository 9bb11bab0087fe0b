"""Flips of neurons: which would gain, what is held, and that they go past what stops a gradient."""

import pytest
import torch
from torch import Tensor, nn

from adrgd.attacks import Attack, Standard, Threat, attack_batch
from adrgd.attacks.ensemble.flips import FlippedGates, Gains
from adrgd.attacks.ensemble.reheating import Points, elite
from adrgd.domain import Box
from adrgd.gates import look
from adrgd.maximize import maximize
from adrgd.rows import RowRandom
from adrgd.solvers import Solver, Steepest

from .problems import Problem

ROWS = 6


@pytest.fixture
def valley() -> nn.Module:
    """-x + 4 relu(x - 1) on the first number, and a hinge that only costs on the second: from 0 a flip leads up."""
    net = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
    with torch.no_grad():
        net[0].weight.copy_(torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]))
        net[0].bias.copy_(torch.tensor([5.0, -1.0, -1.0]))
        net[2].weight.copy_(torch.tensor([[-1.0, 4.0, -1.0]]))
        net[2].bias.zero_()
    return net.requires_grad_(False)


def gains_at(net: nn.Module, x: Tensor) -> Gains:
    def value(x: Tensor) -> Tensor:
        return net(x)[:, 0]

    picked = look(value, x[:1]).pick("all", hinges=True)
    random = RowRandom.seeded(0, torch.arange(len(x)))
    return Gains.at(value, picked, x, random, torch.ones_like(x), len(x))


def test_the_gain_is_that_of_the_definition(valley: nn.Module) -> None:
    """Off: the second hinge would raise the output, the third lower it. On: the first lowers it, but lies far off."""
    gains = gains_at(valley, torch.zeros(ROWS, 2))
    assert gains.on.tolist() == [[True, False, False]] * ROWS
    assert (gains.gain[:, 1] > 10 * gains.gain[:, 0]).all()
    assert (gains.gain[:, 2] == 0).all()


def test_what_is_tabu_or_gains_nothing_is_not_chosen(valley: nn.Module) -> None:
    gains = gains_at(valley, torch.zeros(ROWS, 2))
    random = RowRandom.seeded(1, torch.arange(ROWS))
    everything = torch.ones_like(gains.on)
    assert not gains.chosen(random, everything)[:, 2].any()
    assert not gains.chosen(random, everything & torch.tensor([True, False, True]))[:, 1].any()


def test_a_held_neuron_leads_out_of_a_valley(valley: nn.Module) -> None:
    x = torch.zeros(ROWS, 2)
    gains = gains_at(valley, x)
    picked = look(lambda x: valley(x)[:, 0], x[:1]).pick("all", hinges=True)
    chosen = torch.zeros_like(gains.on)
    chosen[: ROWS // 2, 1] = True
    gates = FlippedGates(picked=picked, held=gains.held(chosen))
    solver = Solver(gates=gates, step=Steepest(length=0.5, schedule="power"))
    found = maximize(lambda x: valley(x)[:, 0], x, domain=Box(-2, 2), solver=solver, steps=20)
    assert (found.x[: ROWS // 2, 0] == 2).all()
    assert (found.x[ROWS // 2 :, 0] == -2).all()


def test_the_elite_are_the_best_of_both() -> None:
    def points(*values: float) -> Points:
        count = len(values)
        return Points(
            torch.zeros(1).long(), torch.zeros(1, count).long(), torch.zeros(1, count, 2), torch.tensor([values])
        )

    found = elite(points(1.0, 5.0, 5.0), points(3.0, 7.0, 5.001))
    assert found.value.tolist() == [[7.0, pytest.approx(5.001), 3.0, 1.0]]


def attack(problem: Problem, part: slice, **shares: float) -> tuple[Tensor, Tensor, Tensor]:
    solver = Standard(budget=20_000, **{"walk": 0.0, "branch": 0.0, **shares})  # type: ignore[arg-type]
    found = attack_batch(
        problem.net, problem.images[part], problem.labels[part],
        Attack(threat=Threat(eps=0.05), solver=solver), index=torch.arange(40)[part],
    )  # fmt: skip
    assert (found.distance <= 0.05 + 1e-6).all()
    return found.success, found.forward_passes + found.backward_passes, found.adversarial


def test_flips_keep_to_the_budget_and_to_their_image(problem: Problem) -> None:
    (success, spent, x), (part_success, part_spent, part_x) = (
        attack(problem, part, flip=0.5) for part in (slice(0, 40), slice(20, 30))
    )
    assert (spent <= 20_000).all()
    assert torch.equal(part_success, success[20:30])
    assert torch.equal(part_spent, spent[20:30])
    torch.testing.assert_close(part_x, x[20:30])
