"""The model that counts: passes, broken queries, loss curves."""

import pytest
import torch

from adrgd.attacks.case import Case
from adrgd.attacks.matrix.watched import POINTS, Watched

from .problems import Problem


@pytest.fixture
def case(problem: Problem) -> Case:
    return problem.case(eps=0.06)


def test_rows_are_counted_in_both_directions(case: Case) -> None:
    model = Watched(case)
    x = case.clean[:7].clone().requires_grad_(True)
    logits = model(x)
    for column in range(3):
        torch.autograd.grad(logits[:, column].sum(), x, retain_graph=True)
    with torch.no_grad():
        model(case.clean)
    assert (model.forwards, model.backwards) == (47, 21)
    assert model.each(model.forwards).sum() == 47
    assert model.each(model.forwards).unique().tolist() == [1, 2]


def test_it_answers_like_the_model_and_stays_in_eval_mode(case: Case) -> None:
    model = Watched(case)
    assert torch.equal(model(case.clean), case.logits)
    assert not model.train().training
    assert next(model.parameters()).device == case.clean.device


def test_broken_queries_are_remembered(case: Case) -> None:
    model = Watched(case)
    right = case.logits.argmax(1) == case.labels
    model(case.clean)
    assert torch.equal(model.first, torch.where(right, -1, 1))
    model(case.clean + 1)  # outside: whatever it breaks does not count
    assert torch.equal(model.first, torch.where(right, -1, 1))


def test_the_loss_curve_never_falls_and_is_unknown_where_queries_are_not_recognised(case: Case) -> None:
    model = Watched(case)
    torch.manual_seed(0)
    for _ in range(20):
        model((case.clean + 0.06 * torch.rand_like(case.clean).sign()).clamp(0, 1))
    history = model.history()
    assert history.shape == (40, POINTS)
    assert (history.diff(dim=1) >= 0).all()
    for _ in range(20):
        model(case.clean[:20])
    assert model.history().isnan().all()
