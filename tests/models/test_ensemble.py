"""Several models as one."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from adrgd import Attack, Ensemble, Misclassify, ModelError, Standard, Threat, UsageError, attack_batch, maximize
from adrgd.attacks import Minimum, smallest_changes
from adrgd.domain import LinfBall


@pytest.fixture
def nets() -> list[nn.Sequential]:
    torch.manual_seed(0)
    made = [nn.Sequential(nn.Flatten(), nn.Linear(16, 20), nn.ReLU(), nn.Linear(20, 4)) for _ in range(3)]
    for net in made:
        net.eval().requires_grad_(False)
        net[-1].bias -= net(torch.rand(400, 1, 4, 4)).mean(0)
    return made


@pytest.fixture
def images(nets: list[nn.Sequential]) -> tuple[torch.Tensor, torch.Tensor]:
    """Images on which all agree."""
    x = torch.rand(400, 1, 4, 4, generator=torch.Generator().manual_seed(1))
    classes = torch.stack([net(x).argmax(1) for net in nets])
    same = (classes == classes[0]).all(0)
    return x[same][:12], classes[0][same][:12]


def test_means_are_those_of_logits_and_probabilities(nets: list[nn.Sequential]) -> None:
    x = torch.rand(5, 1, 4, 4)
    each = torch.stack([net(x) for net in nets])
    assert torch.allclose(Ensemble(nets)(x), each.mean(0), atol=1e-6)
    assert torch.allclose(Ensemble(nets, "probabilities")(x).exp(), each.softmax(2).mean(0), atol=1e-6)


@pytest.mark.parametrize("target", [None, "next"])
@pytest.mark.parametrize("solver", ["pgd", "graduated", Standard(budget=900)])
def test_by_worst_what_is_broken_is_broken_for_all(
    nets: list[nn.Sequential], images: tuple[torch.Tensor, torch.Tensor], solver: object, target: str | None
) -> None:
    x, labels = images
    steps = {} if isinstance(solver, Standard) else {"steps": 20}
    attack = Attack(threat=Threat(eps=0.5, target=target), solver=solver, **steps)  # type: ignore[arg-type]
    found = attack_batch(Ensemble(nets, "worst"), x, labels, attack)
    wrong = torch.stack([net(found.adversarial).argmax(1) for net in nets])
    all_of_them = (wrong == found.target).all(0) if target else (wrong != labels).all(0)
    assert torch.equal(found.success, all_of_them)
    assert 0 < int(found.success.sum())
    assert ((found.forward_passes + found.backward_passes) % 3 == 0).all(), "each member's passes are counted"


def test_the_smallest_change_by_worst_breaks_all(
    nets: list[nn.Sequential], images: tuple[torch.Tensor, torch.Tensor]
) -> None:
    x, labels = images
    found = smallest_changes(Ensemble(nets, "worst"), x, labels, Minimum(norm="l2", passes=600, steps=20))
    single = smallest_changes(nets[0], x, labels, Minimum(norm="l2", passes=600, steps=20))
    assert found.success.all()
    assert all(bool((net(found.adversarial).argmax(1) != labels).all()) for net in nets)
    assert found.distance.mean() > single.distance.mean()


def test_maximize_takes_it(nets: list[nn.Sequential], images: tuple[torch.Tensor, torch.Tensor]) -> None:
    x, labels = images
    found = maximize(Misclassify(Ensemble(nets, "worst"), labels), x, domain=LinfBall(x, 0.5), steps=10)
    assert found.reached.any()


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda nets: Ensemble([]), UsageError, "at least one model"),
        (lambda nets: Ensemble(nets, "votes"), UsageError, "found 'votes'"),
        (lambda nets: Ensemble([nets[0].train()]), ModelError, "train mode"),
        (
            lambda nets: Ensemble([nets[0], nn.Flatten().eval()])(torch.zeros(2, 1, 4, 4)),
            UsageError,
            "the same classes",
        ),
    ],
)
def test_what_makes_no_sense_is_one_sentence(
    make: Callable[[list[nn.Sequential]], object], error: type[Exception], words: str, nets: list[nn.Sequential]
) -> None:
    with pytest.raises(error, match=words):
        make(nets)
