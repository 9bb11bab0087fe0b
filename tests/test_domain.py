"""Projection, sampling and steepest moves of every domain: known answers and errors. Properties: test_domain_laws."""

from __future__ import annotations

import math

import pytest
import torch
from networks import normal
from torch import Tensor

from adrgd.domain import BoundDomain, Box, Domain, L2Ball, LinfBall
from adrgd.errors import DomainError, UsageError
from adrgd.rows import RowRandom, take

X = torch.tensor([[0.2, 0.5, 0.9], [0.0, 1.0, 0.5]])


def domains() -> dict[str, Domain]:
    eps = torch.tensor([0.3, 0.1], dtype=torch.float64)
    return {
        "box": Box(0.0, torch.tensor([0.5, 1.0, 2.0])),
        "linf": LinfBall(X, 0.2),
        "linf in a box": LinfBall(X, eps, Box(0, 1)),
        "l2": L2Ball(X, eps),
        "l2 in a box": L2Ball(X, 0.4, Box(0, 1)),
    }


@pytest.fixture(params=domains())
def domain(request: pytest.FixtureRequest) -> Domain:
    return domains()[request.param]


def test_box_clips() -> None:
    box = Box(torch.tensor([0.0, -1.0, 0.0]), 0.5).bind(X)
    assert torch.equal(
        box.project(torch.tensor([[-3.0, -3.0, 0.25], [9.0, 0.5, 0.75]])), torch.tensor([[0, -1, 0.25], [0.5] * 3])
    )
    assert box.contains(torch.tensor([[0.0, -1.0, 0.0], [0.0, -1.0001, 0.0]])).tolist() == [True, False]
    torch.testing.assert_close(box.scale[0], torch.tensor([0.25, 0.75, 0.25]))


def test_linf_ball_in_a_box_clips_to_both() -> None:
    ball = LinfBall(X, 0.3, Box(0, 1)).bind(X)
    assert ball.project(X + 9)[0].tolist() == pytest.approx([0.5, 0.8, 1.0])
    assert ball.project(X - 9)[1].tolist() == pytest.approx([0.0, 0.7, 0.2])
    assert torch.equal(ball.scale, torch.full_like(X, 0.3))


def test_eps_of_each_row() -> None:
    eps = torch.tensor([0.1, 0.4])
    assert (LinfBall(X, eps).bind(X).project(X + 9) - X).amax(1).tolist() == pytest.approx([0.1, 0.4])
    assert (L2Ball(X, eps).bind(X).project(X + 9) - X).norm(dim=1).tolist() == pytest.approx([0.1, 0.4])


def test_l2_ball_pulls_towards_its_centre() -> None:
    ball = L2Ball(torch.zeros(1, 2), 5.0).bind(torch.zeros(1, 2))
    assert ball.project(torch.tensor([[30.0, 40.0]]))[0].tolist() == pytest.approx([3, 4])
    assert torch.equal(ball.project(torch.tensor([[1.5, -2.0]])), torch.tensor([[1.5, -2.0]]))


def dykstra(x: Tensor, centre: Tensor, eps: float, low: float, high: float) -> Tensor:
    """The nearest points of ball and box, slowly: alternating projections with corrections."""
    p, q = torch.zeros_like(x), torch.zeros_like(x)
    for _ in range(3000):
        y = (x + p).clamp(low, high)
        p = x + p - y
        away = y + q - centre
        x = centre + away * (eps / away.norm(dim=1, keepdim=True)).clamp_max(1)
        q = away + centre - x
    return x


def test_l2_ball_in_a_box_against_dykstra() -> None:
    x = 1.5 * normal(100, 6)
    centre = torch.rand(100, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    found = L2Ball(centre, 0.7, Box(0, 1)).bind(x).project(x)
    torch.testing.assert_close(found, dykstra(x, centre, 0.7, 0.0, 1.0), rtol=0, atol=1e-7)


@pytest.mark.parametrize("far", [1e3, 1e6, 1e9])
@pytest.mark.parametrize(("start", "expected"), [((0.5, 0.5), (0.65, 0.7)), ((0.5, 0.95), (0.5 + 0.06**0.5, 1.0))])
def test_l2_ball_in_a_box_is_precise_from_far_away(
    start: tuple[float, float], expected: tuple[float, float], far: float
) -> None:
    """Along (3, 4) the ray either leaves the ball inside the box, or slides along the box until it does."""
    centre, direction = torch.tensor([[*start], [3.0, 4.0]], dtype=torch.float64).split(1)
    found = L2Ball(centre, 0.25, Box(0, 1)).bind(centre).project(centre + far * direction)
    assert found[0].tolist() == pytest.approx(expected, rel=1e-6)


def test_steepest_of_known_gradients() -> None:
    gradient = torch.tensor([[3.0, 0.0, -4.0], [0.0, 0.0, 0.0]])
    assert torch.equal(LinfBall(X, 0.25).bind(X).steepest(gradient), torch.tensor([[0.25, 0, -0.25], [0, 0, 0]]))
    torch.testing.assert_close(L2Ball(X, 5.0).bind(X).steepest(gradient), gradient)
    torch.testing.assert_close(Box(0.0, 3.0).bind(X).steepest(gradient)[0], torch.tensor([1.5, 0, -1.5]))


@pytest.mark.parametrize("size", [1e-44, 1e-30, 1e30, 3e38])
def test_steepest_l2_of_tiny_and_huge_gradients(size: float) -> None:
    step = L2Ball(X, 5.0).bind(X).steepest(torch.full_like(X, size))
    torch.testing.assert_close(step, torch.full_like(X, 5 / math.sqrt(3)))


def test_scale_of_the_l2_ball_is_the_radius_of_a_noise_vector() -> None:
    x = torch.zeros(2, 1, 20, 20)
    scale = L2Ball(x, torch.tensor([1.0, 3.0])).bind(x).scale
    noise = RowRandom.seeded(0, torch.arange(2)).normal((1, 20, 20), "a") * scale
    assert noise.flatten(1).norm(dim=1).tolist() == pytest.approx([1.0, 3.0], rel=0.1)


def test_samples_fill_the_ball_evenly() -> None:
    """Uniform in a disc: the squared radius is uniform, and so is the angle; uniform in an interval of a box."""
    rows = torch.arange(4000)
    centre = torch.zeros(4000, 2, dtype=torch.float64)
    disc = L2Ball(centre, 2.0).bind(centre).sample(RowRandom.seeded(0, rows))
    square = LinfBall(centre, 2.0, Box(-1.0, 2.0)).bind(centre).sample(RowRandom.seeded(0, rows))
    shares = [disc.square().sum(1) / 4, (torch.atan2(disc[:, 1], disc[:, 0]) / math.pi + 1) / 2, (square[:, 0] + 1) / 3]
    for share in shares:
        counts = torch.histc(share, 10, 0, 1)
        assert ((counts - 400).square() / 400).sum() < 27.9  # chi squared, 9 degrees of freedom, once in 1000


def test_samples_depend_on_label_and_row_only(domain: Domain) -> None:
    bound, random = domain.bind(X), RowRandom.seeded(0, torch.arange(2))
    assert torch.equal(bound.sample(random), bound.sample(random, "start"))
    assert not torch.equal(bound.sample(random), bound.sample(random, "other"))


def test_take_keeps_rows(domain: Domain) -> None:
    bound: BoundDomain = domain.bind(X)
    index, random = torch.tensor([1, 1, 0]), RowRandom.seeded(0, torch.arange(2))
    kept = take(bound, index)
    far = X + torch.tensor([3.0, -4.0, 0.1])
    assert type(kept) is type(bound)
    assert torch.equal(kept.project(far[index]), bound.project(far)[index])
    assert torch.equal(kept.steepest(far[index]), bound.steepest(far)[index])
    torch.testing.assert_close(kept.sample(take(random, index)), bound.sample(random)[index])
    assert torch.equal(kept.contains(far[index]), bound.contains(far)[index])
    assert torch.equal(kept.scale.expand(3, 3), bound.scale.expand(2, 3)[index])


def test_a_centre_a_hair_outside_its_box_is_clipped() -> None:
    centre = torch.tensor([[-3e-8, 1 + 9e-7, 0.5]])
    for ball in (LinfBall(centre, 0.1, Box(0, 1)), L2Ball(centre, 0.1, Box(0, 1))):
        bound = ball.bind(centre)
        inside = bound.project(centre)
        assert torch.equal(inside, torch.tensor([[0.0, 1.0, 0.5]]))
        assert bound.contains(inside).all()
    assert torch.equal(L2Ball(centre, 0.1, Box(0, 1)).bind(centre).centre, inside)


@pytest.mark.parametrize("ball", [LinfBall, L2Ball])
@pytest.mark.parametrize("value", [-2e-6, 1 + 3e-6, 255.0])
def test_a_centre_outside_its_box(ball: type[LinfBall | L2Ball], value: float) -> None:
    centre = torch.tensor([[0.5, value, 0.5]])
    with pytest.raises(DomainError, match="centre leaves its box by .*expected values between 0 and 1"):
        ball(centre, 0.1, Box(0, 1)).bind(centre)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (Box(1.0, 0.0), "lower 1 above upper 0"),
        (Box(torch.tensor([0.0, 0.0, 0.6]), torch.tensor([1.0, 1.0, 0.5])), "lower 0.6 above upper 0.5"),
        (Box(math.nan, 1.0), "lower holds NaN"),
        (Box(0.0, math.nan), "upper holds NaN"),
        (Box(-math.inf, 0.0), "lower holds NaN or infinite"),
        (Box(0.0, torch.tensor([1.0, math.inf, 1.0])), "upper holds NaN or infinite"),
        (Box(torch.zeros(2), 1.0), r"lower has shape \(2,\).*\(2, 3\)"),
        (Box(0.0, torch.ones(3, 2, 3)), r"upper has shape \(3, 2, 3\)"),
        (Box(0.1, 0.1 + 1e-12), "holds no torch.float32 number"),
    ],
)
def test_wrong_boxes(wrong: Box, message: str) -> None:
    for domain in (wrong, LinfBall(X, 0.1, wrong), L2Ball(X, 0.1, wrong)):
        with pytest.raises(DomainError, match=message):
            domain.bind(X)


@pytest.mark.parametrize("ball", [LinfBall, L2Ball])
@pytest.mark.parametrize(
    ("centre", "eps", "message"),
    [
        (X, 0.0, "eps must be positive and finite, found 0"),
        (X, -0.5, "found -0.5"),
        (X, math.nan, "found nan"),
        (X, math.inf, "found inf"),
        (X, torch.tensor([0.1, 0.0]), "found 0"),
        (X, torch.full((3,), 0.1), r"eps has shape \(3,\); expected one number, or one for each of 2 rows"),
        (X, torch.full((2, 4), 0.1), r"eps has shape \(2, 4\)"),
        (torch.zeros(2, 4), 0.1, r"the ball's centre has shape \(2, 4\)"),
        (torch.tensor([[0.0, math.nan, 0.0]]), 0.1, "the ball's centre holds NaN"),
        (torch.zeros(2, 3, dtype=torch.uint8), 0.1, "the ball's centre is torch.uint8"),
    ],
)
def test_wrong_balls(ball: type[LinfBall | L2Ball], centre: Tensor, eps: float | Tensor, message: str) -> None:
    with pytest.raises(DomainError, match=message):
        ball(centre, eps).bind(X)


def test_errors_are_errors_of_use() -> None:
    assert issubclass(DomainError, UsageError)
    assert issubclass(DomainError, ValueError)
