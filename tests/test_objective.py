"""Losses against their formulas, goals, and what an objective does with its rows."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from networks import normal
from torch import Tensor

from adrgd.errors import UsageError
from adrgd.objective import (
    LOSSES,
    Classify,
    Misclassify,
    Output,
    cross_entropy,
    dlr,
    find_loss,
    margin,
    normalised_cross_entropy,
    targeted_cross_entropy,
    targeted_dlr,
    targeted_margin,
    targeted_normalised_cross_entropy,
)

LOGITS = 3 * normal(200, 6)
LABELS = torch.arange(200) % 6


def log_softmax(z: Tensor, k: int) -> Tensor:
    return z[k] - z.exp().sum().log()


def best_other(z: Tensor, k: int) -> Tensor:
    return max(z[i] for i in range(len(z)) if i != k)


def descending(z: Tensor) -> list[Tensor]:
    return sorted(z, reverse=True)


FORMULAS: dict[Callable[[Tensor, Tensor], Tensor], Callable[[Tensor, int], Tensor]] = {
    cross_entropy: lambda z, k: -log_softmax(z, k),
    targeted_cross_entropy: log_softmax,
    margin: lambda z, k: best_other(z, k) - z[k],
    targeted_margin: lambda z, k: z[k] - best_other(z, k),
    dlr: lambda z, k: (best_other(z, k) - z[k]) / (descending(z)[0] - descending(z)[2]),
    targeted_dlr: lambda z, k: (
        (z[k] - best_other(z, k)) / (descending(z)[0] - (descending(z)[2] + descending(z)[3]) / 2)
    ),
    normalised_cross_entropy: lambda z, k: -log_softmax(z / z.square().sum().sqrt(), k),
    targeted_normalised_cross_entropy: lambda z, k: log_softmax(z / z.square().sum().sqrt(), k),
}


@pytest.fixture(params=FORMULAS, ids=lambda loss: loss.__name__)
def loss(request: pytest.FixtureRequest) -> Callable[[Tensor, Tensor], Tensor]:
    return request.param


def test_formula(loss: Callable[[Tensor, Tensor], Tensor]) -> None:
    expected = [FORMULAS[loss](z, k) for z, k in zip(LOGITS, LABELS.tolist(), strict=True)]
    found = loss(LOGITS, LABELS)
    assert found.shape == (200,)
    torch.testing.assert_close(found, torch.stack(expected))


def test_known_values() -> None:
    logits, label = torch.tensor([[1.0, 4.0, 2.0, 0.0]]), torch.tensor([2])
    assert margin(logits, label).item() == 2
    assert targeted_margin(logits, label).item() == -2
    assert dlr(logits, label).item() == pytest.approx(2 / 3)
    assert targeted_dlr(logits, label).item() == pytest.approx(-2 / 3.5)
    assert cross_entropy(torch.zeros(1, 4), label).item() == pytest.approx(1.386294)


@pytest.mark.parametrize("loss", [loss for loss in FORMULAS if "dlr" not in loss.__name__])
def test_losses_grow_as_the_label_falls(loss: Callable[[Tensor, Tensor], Tensor]) -> None:
    """All are to be maximised: the gradient on the class's logit points away from a label and towards a target."""
    logits = LOGITS.clone().requires_grad_(True)
    (gradient,) = torch.autograd.grad(loss(logits, LABELS).sum(), logits)
    own = gradient.gather(1, LABELS[:, None])
    assert (own > 0).all() if "targeted" in loss.__name__ else (own < 0).all()


@pytest.mark.parametrize("away", [margin, dlr])
def test_positive_exactly_when_misclassified(away: Callable[[Tensor, Tensor], Tensor]) -> None:
    wrong = LOGITS.argmax(1) != LABELS
    assert torch.equal(away(LOGITS, LABELS) > 0, wrong)
    assert 0 < wrong.sum() < 200


@pytest.mark.parametrize("towards", [targeted_margin, targeted_dlr])
def test_positive_exactly_when_the_target_is_predicted(towards: Callable[[Tensor, Tensor], Tensor]) -> None:
    assert torch.equal(towards(LOGITS, LABELS) > 0, LOGITS.argmax(1) == LABELS)


@pytest.mark.parametrize("scaled", [dlr, targeted_dlr])
def test_dlr_forgets_scale_and_shift(scaled: Callable[[Tensor, Tensor], Tensor]) -> None:
    for scale in (1e-6, 1e3):
        torch.testing.assert_close(scaled(scale * LOGITS, LABELS), scaled(LOGITS, LABELS))
    torch.testing.assert_close(scaled(LOGITS + 7, LABELS), scaled(LOGITS, LABELS))


def test_normalised_losses_forget_scale_and_hold_it_constant() -> None:
    torch.testing.assert_close(normalised_cross_entropy(1e4 * LOGITS, LABELS), normalised_cross_entropy(LOGITS, LABELS))
    logits = LOGITS.clone().requires_grad_(True)
    (gradient,) = torch.autograd.grad(normalised_cross_entropy(logits, LABELS).sum(), logits)
    size = LOGITS.norm(dim=1, keepdim=True)
    unit = (LOGITS / size).requires_grad_(True)
    (by_hand,) = torch.autograd.grad(cross_entropy(unit, LABELS).sum(), unit)
    torch.testing.assert_close(gradient, by_hand / size)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_cross_entropy_of_a_sure_network_still_has_a_direction(dtype: torch.dtype) -> None:
    """Where it is below the precision of the numbers; elsewhere nothing is changed, and no value anywhere."""
    logits = torch.tensor([[900.0, 3, 2], [9.0, 3, 2], [60.0, 3, 2]], dtype=dtype, requires_grad=True)
    label = torch.zeros(3, dtype=torch.int64)
    loss = cross_entropy(logits, label)
    plain = torch.nn.functional.cross_entropy(logits, label, reduction="none")
    assert torch.equal(loss, plain)
    (gradient,) = torch.autograd.grad(loss.sum(), logits)
    (before,) = torch.autograd.grad(plain.sum(), logits)
    assert (before[0] == 0).all()
    assert torch.equal(gradient[1], before[1])
    direction = torch.cat([-torch.ones(1, dtype=dtype), torch.tensor([3.0, 2], dtype=dtype).softmax(0)])
    for row in (0, 2):
        torch.testing.assert_close(gradient[row] / torch.finfo(dtype).eps, direction)


@pytest.mark.parametrize(("short", "plain"), [(dlr, margin), (targeted_dlr, targeted_margin)])
@pytest.mark.parametrize("classes", [2, 3])
def test_dlr_below_four_classes_warns_and_is_the_margin(
    short: Callable[[Tensor, Tensor], Tensor], plain: Callable[[Tensor, Tensor], Tensor], classes: int
) -> None:
    logits, labels = normal(5, classes), torch.zeros(5, dtype=torch.int64)
    with pytest.warns(UserWarning, match=f"at least 4 classes, found {classes}"):
        found = short(logits, labels)
    assert torch.equal(found, plain(logits, labels))


def test_equal_logits_are_finite(loss: Callable[[Tensor, Tensor], Tensor]) -> None:
    logits = torch.zeros(2, 5, requires_grad=True)
    value = loss(logits, torch.tensor([0, 3]))
    (gradient,) = torch.autograd.grad(value.sum(), logits)
    assert value.isfinite().all()
    assert gradient.isfinite().all()


def test_losses_by_name() -> None:
    assert set(FORMULAS) == {loss for pair in LOSSES.values() for loss in pair}
    for name, (away, towards) in LOSSES.items():
        assert find_loss(name, targeted=False) is away
        assert find_loss(name, targeted=True) is towards
        assert towards.__name__ == f"targeted_{away.__name__}"
    with pytest.raises(UsageError, match=r"'hinge'.*expected one of cross-entropy, margin"):
        find_loss("hinge", targeted=False)


def test_goals_use_the_rows_they_are_given() -> None:
    labels = torch.tensor([0, 1, 2, 0])
    logits = torch.eye(3)
    rows = torch.tensor([3, 1, 0])  # labels 0, 1, 0 for predictions 0, 1, 2

    def model(x: Tensor) -> Tensor:
        return x

    value, reached = Misclassify(model, labels, margin)(logits, rows)
    assert value.tolist() == [-1, -1, 1]
    assert reached.tolist() == [False, False, True]
    value, reached = Classify(model, labels, targeted_margin)(logits, rows)
    assert value.tolist() == [1, 1, -1]
    assert reached.tolist() == [True, True, False]
    assert torch.equal(Misclassify(model, labels)(logits, rows).value, cross_entropy(logits, labels[rows]))
    assert torch.equal(Classify(model, labels)(logits, rows).value, targeted_cross_entropy(logits, labels[rows]))


def test_output_picks_one_coordinate() -> None:
    x = normal(3, 2, 4)
    flat = x.flatten(1)
    for index in (0, 5, -1, -8):
        assert torch.equal(Output(lambda x: x, index)(x), flat[:, index])
    assert torch.equal(Output(lambda x: x, 2, sign=-1.0)(x), -flat[:, 2])
    assert torch.equal(Output(lambda x: x.sum((1, 2)))(x), x.sum((1, 2)))


@pytest.mark.parametrize("index", [8, -9])
def test_output_out_of_range(index: int) -> None:
    with pytest.raises(UsageError, match=f"index {index} is out of range; the network has 8 outputs"):
        Output(lambda x: x, index)(normal(3, 2, 4))
