"""Balls in other norms, ellipsoids, patches and several inputs: known answers, brute force, optima, errors."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from adrgd import (
    Box,
    Discrete,
    DomainError,
    Ellipsoid,
    LinfBall,
    LpBall,
    Misclassify,
    Patch,
    Product,
    UsageError,
    maximize,
)
from adrgd.rows import RowRandom

ZERO = torch.zeros(1, 3, dtype=torch.float64)
IMAGES = torch.full((2, 3, 4, 5), 0.5)
UNIT = Box(0.0, 1.0)


def best_of_random(gradient: Tensor, size: Any, eps: float, count: int = 10_000) -> float:
    moves = RowRandom.seeded(0, torch.arange(count)).normal((gradient.shape[1],), "m", dtype=torch.float64)
    moves = moves * eps / size(moves)[:, None]
    return float((moves @ gradient[0]).max())


@pytest.mark.parametrize("p", [1.0, 1.3, 2.0, 4.0, float("inf")])
def test_the_steepest_step_of_any_norm(p: float) -> None:
    gradient = torch.tensor([[1.0, -2.0, 0.3]], dtype=torch.float64)
    step = LpBall(ZERO, 2.0, p=p).bind(ZERO).steepest(gradient)
    assert float(torch.linalg.vector_norm(step, p)) == pytest.approx(2.0)
    found = float((step * gradient).sum())
    dual = 1.0 if p == float("inf") else float("inf") if p == 1 else p / (p - 1)
    assert found == pytest.approx(2 * float(torch.linalg.vector_norm(gradient, dual)))
    assert found >= best_of_random(gradient, lambda m: torch.linalg.vector_norm(m, p, dim=1), 2.0)


def test_samples_fill_a_ball_of_order_three_evenly() -> None:
    """Uniform in n dimensions: the size to the n-th power is uniform."""
    centre = torch.zeros(2000, 3, dtype=torch.float64)
    found = LpBall(centre, 2.0, p=3).bind(centre).sample(RowRandom.seeded(0, torch.arange(2000)))
    counts = torch.histc((torch.linalg.vector_norm(found, 3, dim=1) / 2) ** 3, 10, 0, 1)
    assert ((counts - 200).square() / 200).sum() < 27.9  # chi squared, 9 degrees of freedom, once in 1000


def test_an_ellipsoid_is_a_ball_in_its_own_axes() -> None:
    covariance = torch.tensor([[2.0, 0.5, 0.0], [0.5, 1.0, 0.2], [0.0, 0.2, 0.5]], dtype=torch.float64)
    bound = Ellipsoid(ZERO, 1.5, covariance=covariance).bind(ZERO)
    gradient = torch.tensor([[1.0, -2.0, 0.3]], dtype=torch.float64)
    step = bound.steepest(gradient)

    def size(moves: Tensor) -> Tensor:
        return (moves @ torch.linalg.inv(covariance) * moves).sum(1).sqrt()

    assert float(size(step)) == pytest.approx(1.5)
    assert float((step * gradient).sum()) == pytest.approx(1.5 * float((gradient @ covariance @ gradient.T).sqrt()))
    assert float((step * gradient).sum()) >= best_of_random(gradient, size, 1.5)
    torch.testing.assert_close(bound.distance(step), size(step))


@pytest.mark.parametrize("covariance", [torch.tensor([4.0, 1.0, 0.25]), torch.diag(torch.tensor([4.0, 1.0, 0.25]))])
def test_variances_alone_and_their_matrix_are_the_same(covariance: Tensor) -> None:
    x = torch.tensor([[3.0, 3.0, 3.0]], dtype=torch.float64)
    for box in (None, Box(-0.6, 0.6)):
        found = Ellipsoid(ZERO, 1.0, box, covariance=covariance).bind(x).project(x)
        known = Ellipsoid(ZERO, 1.0, box, covariance=torch.tensor([4.0, 1.0, 0.25])).bind(x).project(x)
        torch.testing.assert_close(found, known, rtol=0, atol=1e-5)


def test_a_patch_goes_where_most_is_to_be_gained() -> None:
    gradient = torch.zeros_like(IMAGES)
    gradient[0, :, 2:4, 1:3], gradient[0, 0, 0, 4], gradient[1, 1, 0, 0] = 1.0, 5.0, -1.0
    bound = Patch(IMAGES, 2, UNIT).bind(IMAGES)
    step = bound.steepest(gradient)
    assert step[0].nonzero()[:, 1:].unique(dim=0).tolist() == [[2, 1], [2, 2], [3, 1], [3, 2]]
    assert step[1].nonzero().tolist() == [[1, 0, 0]]
    assert float(step[1].sum()) == -0.5
    found = bound.project(IMAGES + gradient)
    assert bound.contains(found).all()
    assert torch.equal(bound.project(found), found)
    assert not bound.contains(IMAGES + gradient * 0.1)[0], "two places changed"


@pytest.mark.parametrize("seed", range(4))
def test_a_patch_against_all_places(seed: int) -> None:
    x = RowRandom.seeded(seed, torch.arange(2)).normal((3, 4, 5), "x") * 0.4 + 0.5
    bound = Patch(IMAGES, 3, UNIT, eps=0.3).bind(x)
    found, kept = bound.project(x), x.clamp(0.2, 0.8)
    least = torch.full((2,), torch.inf)
    for top in range(2):
        for left in range(3):
            trial = IMAGES.clone()
            trial[:, :, top : top + 3, left : left + 3] = kept[:, :, top : top + 3, left : left + 3]
            least = least.minimum((x - trial).flatten(1).norm(dim=1))
    torch.testing.assert_close((x - found).flatten(1).norm(dim=1), least)
    assert bound.contains(found).all()
    assert bound.contains(bound.sample(RowRandom.seeded(seed, torch.arange(2)))).all()


def test_a_patch_of_a_linear_classifier_is_the_best_one() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(60, 1)).eval().requires_grad_(False)
    solution = maximize(lambda x: net(x)[:, 0], IMAGES, domain=Patch(IMAGES, 2, UNIT), solver="pgd", steps=20)
    gain = net[1].weight.view(3, 4, 5).abs().sum(0) * 0.5
    best = max(float(gain[i : i + 2, j : j + 2].sum()) for i in range(3) for j in range(4))
    torch.testing.assert_close(solution.value, net(IMAGES)[:, 0] + best, rtol=1e-4, atol=1e-5)


class Two(nn.Module):
    """A network of an image and a table."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.image, self.table = nn.Linear(4, 3), nn.Linear(2, 3)

    def forward(self, image: Tensor, table: Tensor) -> Tensor:
        logits: Tensor = self.image(image.flatten(1)) + self.table(table)
        return logits


@pytest.mark.parametrize("named", [True, False])
def test_several_inputs_of_a_linear_network(named: bool) -> None:
    """Each moves in its own domain; the optimum of the sum is the sum of their optima."""
    net = Two().eval().requires_grad_(False)
    image, table = torch.full((2, 1, 2, 2), 0.5), torch.zeros(2, 2)
    domains = [LinfBall(image, 0.1), Discrete(Box(-1.4, 1.4), whole=[0, 1])]
    names = ("image", "table")
    x0: Any = dict(zip(names, (image, table), strict=True)) if named else (image, table)
    domain = Product(dict(zip(reversed(names), reversed(domains), strict=True)) if named else tuple(domains))

    def first(x: Any) -> Tensor:
        return (net(**x) if named else net(*x))[:, 0]

    solution = maximize(first, x0, domain=domain, solver="pgd", steps=20)
    best = net(image, table)[:, 0] + 0.1 * net.image.weight[0].abs().sum() + net.table.weight[0].abs().sum()
    torch.testing.assert_close(solution.value, best, rtol=1e-4, atol=1e-5)
    found = solution.inputs["table"] if named else solution.inputs[1]
    assert torch.equal(found, net.table.weight[0].sign().expand(2, 2))
    assert (solution.inputs["image"] if named else solution.inputs[0]).shape == image.shape


def test_a_classifier_of_several_inputs() -> None:
    net = Two().eval().requires_grad_(False)
    x0 = {"image": torch.full((2, 1, 2, 2), 0.5), "table": torch.zeros(2, 2)}
    labels = net(**x0).argmax(1)
    domain = Product({name: LinfBall(part, 2.0) for name, part in x0.items()})
    assert maximize(Misclassify(net, labels), x0, domain=domain, solver="pgd", steps=20).reached.all()


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: LpBall(ZERO, 1.0, p=0.5), "p of a ball to be 1 or more"),
        (lambda: LpBall(ZERO, 1.0, p="two"), "number from 1 on"),
        (lambda: Ellipsoid(ZERO, 1.0, covariance=torch.ones(2)).bind(ZERO), "expected .3, 3. for rows"),
        (lambda: Ellipsoid(ZERO, 1.0, covariance=torch.ones(3, 3)).bind(ZERO), "not positive definite"),
        (lambda: Ellipsoid(ZERO, 1.0, covariance=torch.ones(3, 3).triu()).bind(ZERO), "not symmetric"),
        (lambda: Patch(IMAGES, 0, UNIT).bind(IMAGES), "from 1 to 4, found 0"),
        (lambda: Patch(IMAGES, 5, UNIT).bind(IMAGES), "from 1 to 4, found 5"),
        (lambda: Patch(IMAGES, "a", UNIT).bind(IMAGES), "from 1 to 4, found 'a'"),
        (lambda: Patch(IMAGES, None, UNIT).bind(IMAGES), "from 1 to 4, found None"),
        (lambda: Patch(ZERO, 1, UNIT).bind(ZERO), "for a patch"),
        (lambda: maximize(lambda x: x, (ZERO, ZERO), domain=UNIT), "need a Product"),
        (lambda: maximize(lambda x: x, (ZERO, ZERO[:, :1].float()), domain=Product((UNIT, UNIT))), "of one type"),
        (lambda: maximize(lambda x: x, (ZERO, ZERO), domain=Product((UNIT,))), "a domain for each of 2"),
        (lambda: maximize(lambda x: x, {"a": ZERO}, domain=Product({"b": UNIT})), "are of b, the inputs are a"),
        (lambda: maximize(lambda x: x, ZERO, domain=Product((UNIT,))), "is for several inputs"),
    ],
)  # fmt: skip
def test_errors_are_sentences(make, sentence: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises((DomainError, UsageError), match=sentence):
        make()
