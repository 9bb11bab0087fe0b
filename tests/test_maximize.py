"""The loop: what it returns, what it counts, what it refuses, and what changes nothing."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from adrgd import (
    PGD,
    Box,
    GraduatedADR,
    LinfBall,
    Misclassify,
    ModelError,
    NonFiniteError,
    Output,
    Score,
    Status,
    Steepest,
    UsageError,
    maximize,
)
from adrgd.errors import DomainError
from adrgd.solvers import SOLVERS, make_solver

BOX = Box(-1.0, 1.0)


@pytest.fixture
def x0() -> Tensor:
    return torch.rand(6, 5, generator=torch.Generator().manual_seed(2)) * 2 - 1


def peak(x: Tensor) -> Tensor:
    return -(x - 0.3).abs().sum(1)


@pytest.mark.parametrize("name", SOLVERS)
def test_value_belongs_to_the_point_and_the_point_to_the_domain(name: str, mlp: nn.Module, x0: Tensor) -> None:
    objective = Output(mlp, 1)
    solution = maximize(objective, x0, domain=LinfBall(x0, 0.2, BOX), solver=make_solver(name), steps=15)
    assert torch.allclose(objective(solution.x), solution.value, atol=1e-6)
    assert LinfBall(x0, 0.2, BOX).bind(x0).contains(solution.x).all()
    assert (solution.value >= objective(x0)).all()


def test_a_network_of_one_output_is_an_objective(mlp: nn.Module, x0: Tensor) -> None:
    one = nn.Sequential(mlp, nn.Linear(3, 1)).eval()
    found, same = (maximize(value, x0, domain=BOX, steps=5) for value in (one, lambda x: one(x)[:, 0]))
    assert torch.equal(found.x, same.x)
    assert found.value.shape == (6,)


def test_the_best_point_is_returned_not_the_last() -> None:
    """A constant step of .7 radii jumps back and forth over the peak and ends away from it."""
    points: list[Tensor] = []

    def watched(x: Tensor) -> Tensor:
        points.append(peak(x).detach())
        return peak(x)

    solver = PGD(step=Steepest(length=0.7, schedule="constant"))
    solution = maximize(watched, torch.zeros(1, 1), domain=BOX, solver=solver, steps=7, check=False, history=True)
    values = torch.stack(points)[:, 0]
    assert solution.value.item() == values.max() > values[-1]
    assert solution.history is not None
    assert torch.equal(solution.history[:, 0], values.cummax(0).values)


@pytest.mark.parametrize("name", SOLVERS)
def test_same_seed_same_bits(name: str, mlp: nn.Module, x0: Tensor) -> None:
    def run(seed: int) -> Tensor:
        return maximize(Output(mlp), x0, domain=BOX, solver=make_solver(name), steps=10, restarts=2, seed=seed).x

    assert torch.equal(run(3), run(3))


def test_other_seeds_start_elsewhere(mlp: nn.Module, x0: Tensor) -> None:
    solver = PGD(random_start=True)
    first, second = (maximize(Output(mlp), x0, domain=BOX, solver=solver, steps=1, seed=seed).x for seed in (0, 1))
    assert not torch.allclose(first, second)


@pytest.mark.parametrize("name", SOLVERS)
def test_rows_do_not_depend_on_their_batch(name: str, mlp: nn.Module, x0: Tensor) -> None:
    network = mlp.double()
    solver, settings = make_solver(name), {"domain": BOX, "steps": 12, "restarts": 3}
    x0 = x0.double()
    whole = maximize(Output(network), x0, solver=solver, identity=torch.arange(10, 16), **settings)
    part = maximize(Output(network), x0[2:4], solver=solver, identity=torch.arange(12, 14), **settings)
    assert torch.allclose(whole.x[2:4], part.x, atol=1e-9)
    assert torch.equal(whole.forwards[2:4], part.forwards)


@pytest.mark.parametrize("name", ["graduated", "adr", "perturbed-gd", "occupation-gd"])
def test_rows_that_finish_leave_the_others_alone(name: str, mlp: nn.Module, x0: Tensor) -> None:
    labels = mlp(x0).argmax(1)
    objective = Misclassify(mlp, labels)
    settings = {"domain": LinfBall(x0, 0.8), "solver": make_solver(name), "steps": 25}
    dropped = maximize(objective, x0, **settings)
    kept = maximize(objective, x0, stop_at_goal=False, **settings)
    assert dropped.reached.any()
    assert torch.equal(dropped.reached, kept.reached)
    assert torch.equal(dropped.first_reached, kept.first_reached)
    standing = ~dropped.reached
    assert torch.allclose(dropped.x[standing], kept.x[standing], atol=1e-5)
    assert (dropped.backwards[dropped.reached] < kept.backwards[dropped.reached]).all()


def test_a_group_is_dropped_together() -> None:
    """Row 1 reaches its goal at iteration 2 and takes row 0 of its group with it; row 2 goes on alone."""
    seen: list[list[int]] = []

    def objective(x: Tensor, rows: Tensor) -> Score:
        seen.append(rows.tolist())
        return Score(x.sum(1), (rows == 1) & (x[:, 0] > 0.3))

    solution = maximize(
        objective, torch.zeros(3, 1), domain=Box(-1.0, 1.0), solver=PGD(step=Steepest(length=0.2, schedule="constant")),
        steps=4, group=torch.tensor([7, 7, 2]), check=False,
    )  # fmt: skip
    assert seen == [[0, 1, 2]] * 3 + [[2]] * 2
    assert solution.reached.tolist() == [False, True, False]
    assert solution.forwards.tolist() == [3, 3, 5]


def test_a_finished_row_stops_costing() -> None:
    """Row 0 is at its goal from the start, row 1 never; the network sees row 0 once."""
    sizes: list[int] = []

    def objective(x: Tensor, rows: Tensor) -> Score:
        sizes.append(len(x))
        return Score(x.sum(1), rows == 0)

    solution = maximize(objective, torch.zeros(2, 3), domain=BOX, solver=PGD(), steps=4, check=False)
    assert sizes == [2, 1, 1, 1, 1]
    assert solution.forwards.tolist() == [1, 5]
    assert solution.backwards.tolist() == [1, 4]
    assert solution.first_reached.tolist() == [0, -1]
    assert solution.status.tolist() == [Status.REACHED, Status.SPENT]


def test_restarts_are_a_batch_axis_and_stop_together() -> None:
    sizes: list[int] = []

    def objective(x: Tensor, rows: Tensor) -> Score:
        sizes.append(len(x))
        return Score(x.sum(1), (x.sum(1) > 0) & (rows == 0))

    x0 = torch.full((2, 4), -0.9)
    solution = maximize(objective, x0, domain=BOX, solver=PGD(), steps=3, restarts=5, check=False)
    assert sizes[0] == 10
    assert sizes[-1] == 5
    assert solution.reached.tolist() == [True, False]
    assert torch.equal(solution.x[1], torch.ones(4))


def test_restarts_of_few_labelled_rows(mlp: nn.Module, x0: Tensor) -> None:
    """Each run of a row is asked for under the row's own position, in the check as well."""
    objective = Misclassify(mlp, mlp(x0[:2]).argmax(1))
    assert maximize(objective, x0[:2], domain=BOX, steps=5, restarts=9).reached.all()


@pytest.mark.parametrize("name", SOLVERS)
def test_networks_may_work_in_place(name: str, x0: Tensor) -> None:
    def shifted(x: Tensor) -> Tensor:
        return torch.relu_(x.sub_(0.25)).sum(1)

    solution = maximize(shifted, x0, domain=BOX, solver=make_solver(name), steps=5)
    assert torch.equal(shifted(solution.x.clone()), solution.value)


def test_restarts_begin_at_random_points_of_the_domain() -> None:
    starts: list[Tensor] = []

    def objective(x: Tensor) -> Tensor:
        starts.append(x.detach())
        return x.sum(1)

    maximize(objective, torch.zeros(1, 50), domain=BOX, solver=PGD(), steps=1, restarts=3, check=False)
    first, second, third = starts[0]
    assert torch.equal(first, torch.zeros(50))
    assert second.abs().max() > 0.5
    assert not torch.allclose(second, third)


def test_more_restarts_never_do_worse(mlp: nn.Module, x0: Tensor) -> None:
    one, many = (maximize(Output(mlp), x0, domain=BOX, steps=15, restarts=r).value for r in (1, 8))
    assert (many >= one - 1e-6).all()


def test_a_success_beats_any_failure() -> None:
    """The goal is reached only where the value is low, and is not given up for the higher value later."""

    def objective(x: Tensor) -> Score:
        return Score(x.sum(1), x.sum(1) < 0.5)

    solution = maximize(objective, torch.zeros(1, 1), domain=BOX, solver=PGD(), steps=5, stop_at_goal=False)
    assert solution.reached.all()
    assert solution.value.item() < 0.5


def test_flat_objectives_are_named() -> None:
    solution = maximize(lambda x: (0 * x).sum(1), torch.zeros(2, 3), domain=BOX, solver=PGD(), steps=3)
    assert solution.status.tolist() == [Status.FLAT, Status.FLAT]
    assert "flat" in Status.FLAT.sentence


def test_float64_in_float64_out(mlp: nn.Module, x0: Tensor) -> None:
    solution = maximize(Output(mlp.double()), x0.double(), domain=BOX, steps=5)
    assert solution.x.dtype == solution.value.dtype == torch.float64


def test_on_iteration_sees_the_best_so_far(mlp: nn.Module, x0: Tensor) -> None:
    seen: list[Tensor] = []
    solution = maximize(Output(mlp), x0, domain=BOX, steps=6, on_iteration=lambda t, s: seen.append(s.value))
    assert len(seen) == 7
    assert torch.equal(torch.stack(seen).cummax(0).values, torch.stack(seen))
    assert torch.equal(seen[-1], solution.value)


def test_a_row_whose_value_is_not_finite_ends_alone() -> None:
    def objective(x: Tensor) -> Tensor:
        return torch.where(x.sum(1) > 1.5, torch.nan, x.sum(1))

    x0 = torch.tensor([[-1.0, -1.0], [0.5, 0.9]])
    solver = PGD(step=Steepest(length=0.1, schedule="constant"))
    solution = maximize(objective, x0, domain=BOX, solver=solver, steps=10)
    assert solution.status.tolist() == [Status.SPENT, Status.NOT_FINITE]
    assert torch.equal(solution.x[1], x0[1])
    assert solution.forwards.tolist() == [11, 2]
    assert torch.allclose(solution.value[0], torch.tensor(0.0), atol=1e-6)


def test_a_row_whose_gradient_is_not_finite_ends_alone() -> None:
    x0 = torch.tensor([[0.0, 0.0], [0.1, 0.2]])
    solution = maximize(lambda x: x.abs().sqrt().sum(1), x0, domain=BOX, solver=PGD(), steps=3)
    assert solution.status.tolist() == [Status.NOT_FINITE, Status.SPENT]
    assert solution.value[1] > 1.9


def test_no_finite_value_at_all_is_an_error() -> None:
    with pytest.raises(NonFiniteError, match="row 0 at iteration 0") as caught:
        maximize(lambda x: x.sum(1) + torch.nan, torch.zeros(2, 3), domain=BOX, solver=PGD(), steps=3)
    assert (caught.value.row, caught.value.iteration) == (0, 0)


def test_the_true_gradient_stands_in_where_softened_ones_overflow() -> None:
    """Soft gates let a gradient through the closed ReLU of row 0, where the root behind it has an infinite slope."""

    def objective(x: Tensor) -> Tensor:
        return torch.where(x[:, 0] < 0, 0.0, F.relu(x[:, 0])).sqrt() + x[:, 1]

    x0 = torch.tensor([[-0.2, 0.0], [0.5, 0.0]])
    solution = maximize(objective, x0, domain=LinfBall(x0, 0.1), solver=GraduatedADR(), steps=10)
    assert solution.status.tolist() == [Status.SPENT, Status.SPENT]


@pytest.mark.parametrize("name", ["pgd", "graduated", "adr"])
def test_parts_in_train_mode_are_refused_before_they_run(name: str, x0: Tensor) -> None:
    network = nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 2)).requires_grad_(False)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    with pytest.raises(ModelError, match=r"BatchNorm1d in train mode; call \.eval\(\)"):
        maximize(Output(network), x0, domain=BOX, solver=make_solver(name), steps=2)
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


@pytest.mark.parametrize("wrong", ["dtype", "shape"])
def test_an_objective_that_cannot_take_x_is_one_sentence(wrong: str, mlp: nn.Module, x0: Tensor) -> None:
    x0 = x0.double() if wrong == "dtype" else x0[:, :3]
    with pytest.raises(UsageError, match=r"the objective cannot take x of shape .* pass x0 as"):
        maximize(Output(mlp), x0, domain=BOX, steps=2)


def test_random_objectives_are_refused(x0: Tensor) -> None:
    with pytest.raises(ModelError, match="random"):
        maximize(lambda x: F.dropout(x, 0.5).sum(1), x0, domain=BOX, steps=2)


def test_batch_statistics_are_refused(x0: Tensor) -> None:
    with pytest.raises(ModelError, match="mixes the rows"):
        maximize(lambda x: (x - x.mean(0)).square().sum(1), x0, domain=BOX, steps=2)


@pytest.mark.parametrize(
    ("objective", "sentence"),
    [
        (lambda x: x, "one floating-point number a row"),
        (lambda x: x.sum(), "one floating-point number a row"),
        (lambda x: x.sum(1).long(), "one floating-point number a row"),
        (lambda x: x.detach().sum(1), "does not depend on x"),
    ],
)
def test_malformed_objectives(objective: object, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        maximize(objective, torch.zeros(2, 3), domain=BOX, solver=PGD(), steps=2)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"x0": torch.zeros(2, 3, dtype=torch.int64)}, UsageError),
        ({"x0": torch.zeros(3)}, UsageError),
        ({"x0": torch.zeros(0, 3)}, UsageError),
        ({"x0": torch.full((2, 3), torch.nan)}, DomainError),
        ({"steps": 0}, UsageError),
        ({"restarts": 0}, UsageError),
        ({"identity": torch.arange(3)}, UsageError),
        ({"group": torch.arange(3)}, UsageError),
        ({"domain": Box(1.0, -1.0)}, DomainError),
    ],
)
def test_malformed_requests(change: dict[str, object], error: type[Exception]) -> None:
    request = {"x0": torch.zeros(2, 3), "domain": BOX, "steps": 2} | change
    with pytest.raises(error):
        maximize(peak, **request)  # type: ignore[arg-type]


def test_graduated_is_the_default(mlp: nn.Module, x0: Tensor) -> None:
    default = maximize(Output(mlp), x0, domain=BOX, steps=10)
    named = maximize(Output(mlp), x0, domain=BOX, steps=10, solver=GraduatedADR())
    assert torch.equal(default.x, named.x)
