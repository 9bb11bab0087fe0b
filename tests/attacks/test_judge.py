"""The judge: box, ball and label of whatever an attack returns."""

import pytest
import torch
from torch import Tensor

from adrgd import AdrgdError
from adrgd.attacks.case import Case
from adrgd.attacks.matrix.judge import judge

from .problems import Problem

EPS = 0.06


@pytest.fixture
def case(problem: Problem) -> Case:
    return problem.case(eps=EPS)


def test_the_clean_images_are_inside_and_their_errors_count(case: Case) -> None:
    verdict = judge(case, case.clean)
    assert torch.equal(verdict.x, case.clean)
    assert torch.equal(verdict.success, case.logits.argmax(1) != case.labels)
    assert not verdict.outside.any()


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -0.1, 1.1])
def test_what_leaves_the_box_does_not_count(case: Case, value: float) -> None:
    found = case.clean.clone()
    found[3] = value
    verdict = judge(case, found)
    assert verdict.outside.nonzero()[:, 0].tolist() == [3]
    assert torch.equal(verdict.x, case.clean)
    assert verdict.prediction[3] == case.logits[3].argmax()


def test_what_leaves_the_ball_does_not_count(case: Case) -> None:
    found = (case.clean + 3 * EPS).clamp(0, 1)
    verdict = judge(case, found)
    assert verdict.outside.all()
    assert torch.equal(verdict.success, case.logits.argmax(1) != case.labels)


def test_rounding_is_pulled_back_in(case: Case) -> None:
    """A hair outside counts as inside, but the network is asked about a point that really is inside."""
    found = (case.clean + EPS * (1 + 1e-6)).clamp(0, 1)
    verdict = judge(case, found)
    assert not verdict.outside.any()
    assert (case.threat.distance(verdict.x, case.clean) <= EPS).all()


def test_claims_are_checked(case: Case) -> None:
    right = case.logits.argmax(1) == case.labels
    verdict = judge(case, case.clean, torch.ones_like(right))
    assert torch.equal(verdict.unconfirmed, right)


def test_another_shape_is_refused(case: Case) -> None:
    with pytest.raises(AdrgdError, match="expected inputs of shape"):
        judge(case, case.clean[:3])


def test_targets(problem: Problem) -> None:
    case = problem.case(eps=EPS, target="next", loss="margin")
    prediction: Tensor = (problem.labels + 1) % 4
    assert torch.equal(case.goal, prediction)
    assert case.broken(prediction).all()
    assert not case.broken(problem.labels).any()
