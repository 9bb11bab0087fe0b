"""Attacking one batch: what counts as broken, what is returned, what may not change the result."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from adrgd import DataError, ModelError, UsageError
from adrgd.attacks import Attack, AttackResult, Threat, attack_batch
from adrgd.solvers import make_solver

from .problems import Problem

FIELDS = ("success", "first_success", "adversarial_prediction", "forward_passes", "backward_passes")


def attack(problem: Problem, **settings: object) -> AttackResult:
    return attack_batch(problem.net, problem.images, problem.labels, Attack(**problem.attack | settings))  # type: ignore[arg-type]


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_every_input_found_lies_in_its_ball_and_box(problem: Problem, norm: str) -> None:
    eps = {"linf": 0.1, "l2": 0.15}[norm]
    result = attack(problem, threat=Threat(norm=norm, eps=eps))  # type: ignore[arg-type]
    assert (result.distance <= eps).all()
    assert result.adversarial.min() >= 0
    assert result.adversarial.max() <= 1
    assert 0 < result.success.float().mean() < 1


def test_success_is_judged_by_the_network_itself(problem: Problem) -> None:
    result = attack(problem)
    prediction = problem.net(result.adversarial).argmax(1)
    assert torch.equal(result.adversarial_prediction, prediction)
    assert torch.equal(result.success, prediction != problem.labels)
    assert (result.adversarial_loss >= result.clean_loss - 1e-6)[~result.success].all()


@pytest.mark.parametrize("solver", ["graduated", "pgd"])
def test_sure_logits_are_no_defence(problem: Problem, solver: str) -> None:
    """Logits so large that nothing is left of the cross-entropy: the same images fall."""

    class Sure(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            logits: Tensor = problem.net(x) * 1e6
            return logits

    settings = {"solver": make_solver(solver), "steps": 30}
    sure = attack(replace(problem, net=Sure().eval()), **settings)
    assert (sure.clean_loss[sure.clean_prediction == sure.label] == 0).all()
    assert torch.equal(sure.success, attack(problem, loss="margin", **settings).success)


def test_clean_errors_count_at_iteration_zero_and_are_not_moved(problem: Problem) -> None:
    wrong = problem.net(problem.images).argmax(1) != problem.labels
    assert wrong.any()
    result = attack(problem)
    assert result.success[wrong].all()
    assert (result.first_success[wrong] == 0).all()
    assert (result.distance[wrong] == 0).all()


def test_targets(problem: Problem) -> None:
    strong = {"steps": 40, "threat": Threat(eps=0.5, target="next")}
    result = attack(problem, **strong)
    assert torch.equal(result.target, (problem.labels + 1) % 4)
    assert torch.equal(result.success, result.adversarial_prediction == result.target)
    assert result.success.any()
    least = attack(problem, threat=Threat(eps=0.5, target="least-likely")).target
    assert (least != problem.labels).all()
    drawn = attack(problem, threat=Threat(eps=0.5, target="random")).target
    assert (drawn != problem.labels).all()
    assert len(set(((drawn - problem.labels) % 4).tolist())) == 3
    assert (attack(problem, threat=Threat(eps=0.5, target=2)).target == 2).all()
    with pytest.raises(UsageError, match="target class 4"):
        attack(problem, threat=Threat(eps=0.5, target=4))


@pytest.mark.parametrize("name", ["graduated", "pgd", "adr"])
def test_batches_change_nothing(problem: Problem, name: str) -> None:
    """Few steps in double precision: products of other batches round otherwise, and searched gates magnify that."""
    net, images, labels = problem.net.double(), problem.images.double(), problem.labels
    settings = Attack(**problem.attack | {"steps": 6, "restarts": 4, "solver": make_solver(name)})  # type: ignore[arg-type]
    index = torch.arange(100, 100 + len(images))
    whole = attack_batch(net, images, labels, settings, index=index)
    for rows in torch.arange(len(images)).split(7):
        part = attack_batch(net, images[rows], labels[rows], settings, index=index[rows])
        for name in FIELDS:
            assert torch.equal(getattr(whole, name)[rows], getattr(part, name)), name
        assert torch.allclose(whole.adversarial[rows], part.adversarial, atol=1e-5)


def test_restarts_only_ever_help(problem: Problem) -> None:
    one, many = attack(problem, restarts=1), attack(problem, restarts=10)
    assert (many.success | ~one.success).all()
    assert many.success.sum() > one.success.sum()
    assert torch.equal(many.forward_passes[one.success], one.forward_passes[one.success])


def test_restarts_end_when_every_image_is_broken(problem: Problem) -> None:
    strong = {"threat": Threat(eps=0.9), "steps": 50}
    one, many = attack(problem, restarts=1, **strong), attack(problem, restarts=3, **strong)
    assert one.success.all()
    assert torch.equal(many.forward_passes, one.forward_passes)


def test_keep_going_raises_the_loss_of_broken_images(problem: Problem) -> None:
    stopped, kept = attack(problem), attack(problem, stop_at_success=False)
    assert (kept.success | ~stopped.success).all()
    assert kept.adversarial_loss.mean() > stopped.adversarial_loss.mean()


def test_history_is_the_best_loss_so_far(problem: Problem) -> None:
    result = attack(problem, stop_at_success=False)
    steps = Attack(**problem.attack).steps  # type: ignore[arg-type]
    assert result.history.shape == (len(problem.images), steps + 1)
    assert (result.history.diff(dim=1) >= 0).all() or result.success.any()
    standing = ~result.success
    assert torch.allclose(result.history[standing, -1], result.adversarial_loss[standing], atol=1e-5)


@pytest.mark.parametrize(
    ("images", "labels", "error", "sentence"),
    [
        (torch.full((2, 1, 4, 4), 1.5), torch.tensor([0, 1]), DataError, "found values from 1.5 to 1.5"),
        (torch.full((2, 1, 4, 4), torch.nan), torch.tensor([0, 1]), DataError, "must be finite numbers"),
        (torch.zeros(2, 1, 4, 4), torch.tensor([0, 4]), DataError, "labels must lie between 0 and 3"),
        (torch.zeros(2, 1, 4, 4), torch.tensor([-1, 0]), DataError, "found -1 to 0"),
    ],
)
def test_impossible_data(
    problem: Problem, images: Tensor, labels: Tensor, error: type[Exception], sentence: str
) -> None:
    with pytest.raises(error, match=sentence):
        attack_batch(problem.net, images, labels, Attack())


def test_a_hair_outside_the_range_is_clipped(problem: Problem) -> None:
    images = problem.images.clone()
    images[0, 0, 0, 0] = -3e-8
    result = attack(replace(problem, images=images))
    assert result.adversarial.min() >= 0


def test_logits_that_are_not_finite(problem: Problem) -> None:
    class Broken(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            logits: Tensor = problem.net(x)
            return logits.masked_fill(torch.arange(len(x))[:, None] == 3, torch.nan)

    with pytest.raises(ModelError, match="not finite for row 3"):
        attack_batch(Broken().eval(), problem.images, problem.labels, Attack())


@pytest.mark.parametrize(
    "settings", [{"eps": 0.0}, {"eps": -1.0}, {"eps": float("nan")}, {"norm": "l3"}, {"target": "best"}]
)
def test_impossible_threats(settings: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        Threat(**settings)  # type: ignore[arg-type]
