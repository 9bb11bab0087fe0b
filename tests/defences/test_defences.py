"""Random networks, and the fixed functions that are made of them."""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from adrgd import ModelError, UsageError
from adrgd.defences import DropoutOn, Expected, Noisy, ResizedAndPadded, Rounded, Smoothed
from adrgd.defences.smoothing import lower_bound


class Net(nn.Module):
    """Twelve by twelve pixels, three classes, dropout inside."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.drop, self.last = nn.Conv2d(1, 3, 3), nn.Dropout(0.3), nn.Linear(300, 3)
        self.eval().requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.drop(self.first(x).relu()).flatten(1))


class Jittery(nn.Module):
    """Noise that is drawn in another way."""

    def __init__(self, draw: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.net, self.draw = Net(), draw
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x + 0.1 * self.draw(x))


RANDOM: dict[str, Callable[[], nn.Module]] = {
    "noise": lambda: Noisy(Net(), 0.1),
    "noise inside": lambda: Noisy(Net(), 0.1, at=("first",)),
    "dropout": lambda: DropoutOn(Net()),
    "resizing": lambda: ResizedAndPadded(Net(), 8),
    "smoothing": lambda: Smoothed(Net(), 0.1, draws=3),
    "rand_like": lambda: Jittery(torch.rand_like),
    "randn of a shape": lambda: Jittery(lambda x: torch.randn(x.shape)),
    "rand of sizes": lambda: Jittery(lambda x: torch.rand(*x.shape)),
    "in place": lambda: Jittery(lambda x: torch.empty_like(x).normal_(0, 2)),
    "functional dropout": lambda: Jittery(lambda x: F.dropout(x, 0.5, True)),
    "bernoulli": lambda: Jittery(lambda x: torch.bernoulli(0.5 * torch.ones_like(x))),
    "randint_like": lambda: Jittery(lambda x: torch.randint_like(x, 3)),
    "numpy": lambda: Jittery(lambda x: torch.from_numpy(np.random.randn(*x.shape[1:])).to(x)),
    "python": lambda: Jittery(lambda x: random.random() * torch.ones_like(x)),
}


@pytest.fixture
def x() -> Tensor:
    return torch.rand(5, 1, 12, 12, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("kind", RANDOM)
def test_a_mean_over_draws_is_a_fixed_function_of_each_row(kind: str, x: Tensor) -> None:
    model = RANDOM[kind]()
    assert not torch.equal(model(x), model(x)), "it is random by itself"
    state, mean = torch.random.get_rng_state(), Expected(model, draws=4, seed=3)
    first = mean(x)
    assert torch.equal(first, mean(x))
    assert torch.allclose(first[1:3], mean(x[1:3]), atol=1e-5), "rows do not depend on their batch"
    assert torch.equal(torch.random.get_rng_state(), state), "nobody else's numbers change"
    assert torch.allclose(mean.each(x).mean(0), first, atol=1e-5)
    other = mean.other(4)
    assert not torch.allclose(other(x), first), "those that judge are fresh"
    assert not torch.allclose(Expected(model, draws=4, seed=4)(x), first)


@pytest.mark.parametrize("kind", RANDOM)
def test_its_gradient_is_the_mean_of_the_draws(kind: str, x: Tensor) -> None:
    mean = Expected(RANDOM[kind](), draws=3)
    point = x.clone().requires_grad_(True)
    (whole,) = torch.autograd.grad(mean(point)[:, 0].sum(), [point])
    parts = [torch.autograd.grad(logits[:, 0].sum(), [point])[0] for logits in mean._drawn(point, mean.model)]
    assert whole.abs().max() > 0
    assert torch.allclose(whole, torch.stack(parts).mean(0), atol=1e-6)


def test_many_draws_come_near_the_mean() -> None:
    """A linear network under noise has its own logits as the mean."""
    net = nn.Sequential(nn.Flatten(), nn.Linear(9, 2)).eval()
    x = torch.zeros(2, 1, 3, 3)
    error = (Expected(Noisy(net, 0.5), draws=2000)(x) - net(x)).abs().max()
    assert error < 0.05


def test_dropout_stays_in_eval_mode_and_drops() -> None:
    net = Net()
    model = DropoutOn(net)
    assert not any(part.training for part in model.modules())
    x = torch.rand(3, 1, 12, 12)
    assert not torch.equal(model(x), model(x))
    assert torch.equal(net(x), net(x)), "the model itself is not changed"


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: DropoutOn(nn.Linear(2, 2)), "expected dropout layers"),
        (lambda: Noisy(Net(), 0.0), "positive sigma"),
        (lambda: Noisy(Net(), 0.1, at=("none",)), "found no none; it has first, drop, last"),
        (lambda: ResizedAndPadded(Net(), 0), "sizes of at least 1"),
        (lambda: ResizedAndPadded(Net(), 20)(torch.zeros(1, 1, 12, 12)), "at least 20 pixels"),
        (lambda: Rounded(Net(), 1), "two levels"),
        (lambda: Smoothed(Net(), 0.1, draws=0), "at least one draw"),
        (lambda: Smoothed(Net(), 0.1).certify(torch.zeros(1, 1, 12, 12), alpha=2.0), "0 < alpha < 1"),
        (lambda: Expected(Net(), draws=0), "draws"),
    ],
)
def test_what_makes_no_sense_is_one_sentence(make: Callable[[], object], words: str) -> None:
    with pytest.raises((UsageError, ModelError), match=words):
        make()


def test_smoothing_certifies_what_is_known_of_a_linear_network() -> None:
    """Of a half-space the radius is the distance to its border (Cohen et al. 2019, theorem 2)."""
    net = nn.Linear(2, 2, bias=False)
    net.weight.data = torch.tensor([[1.0, 0.0], [-1.0, 0.0]])
    x = torch.tensor([[0.3, 5.0], [-0.2, 0.0], [0.0, 1.0]])
    torch.manual_seed(0)
    found = Smoothed(net, sigma=0.25).certify(x, draws=4000)
    assert found.label.tolist() == [0, 1, -1], "on the border it abstains"
    assert (found.radius <= torch.tensor([0.3, 0.2, 0.0]) + 1e-9).all()
    assert (found.radius >= torch.tensor([0.25, 0.16, 0.0])).all()


@pytest.mark.parametrize(("hits", "draws"), [(5, 20), (19, 20), (900, 1000), (1000, 1000)])
def test_the_bound_is_that_of_clopper_and_pearson(hits: int, draws: int) -> None:
    stats = pytest.importorskip("scipy.stats")
    assert lower_bound(hits, draws, 0.01) == pytest.approx(stats.beta.ppf(0.01, hits, draws - hits + 1), abs=1e-9)
