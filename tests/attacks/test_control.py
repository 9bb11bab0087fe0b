"""Runs whose ball follows what they find: how radii change, and what that leads to."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from adrgd.attacks.smallest.control import control, next_radius
from adrgd.attacks.smallest.shrinking import Clearly
from adrgd.rows import RowRandom
from adrgd.solvers import GraduatedADR

from .problems import Problem


@pytest.mark.parametrize("counted", [True, False])
@pytest.mark.parametrize("share", [0.05, 0.001])
def test_a_radius_stays_below_the_best_distance_and_falls_below_a_broken_point(counted: bool, share: float) -> None:
    best = torch.tensor([9.0, 9.0, 9.0, 9.0], dtype=torch.float64)
    size = torch.tensor([9.0, 12.0, 7.0, 3.0], dtype=torch.float64)
    broken = torch.tensor([True, True, False, False])
    eps = torch.tensor([9.0, 12.0, 7.0, 8.0], dtype=torch.float64)
    found = next_radius(eps, best, size, broken, share, counted)
    assert (found < best).all()
    assert found[2] > eps[2]
    assert not counted or torch.equal(found, found.round())


@pytest.mark.parametrize("norm", ["l2", "l1", "l0"])
def test_a_run_from_the_clean_image_shortens_what_is_known(problem: Problem, norm: str) -> None:
    case = problem.case(norm=norm, eps=1)
    rows = (~case.broken(case.logits.argmax(1))).nonzero()[:, 0]
    whole = torch.full((len(rows),), 16.0, dtype=torch.float64)
    best, kept = whole.clone(), case.clean[rows].clone()

    def keep(x: Tensor, broken: Tensor) -> Tensor:
        size = case.threat.distance(x, case.clean[rows])
        nearer = broken & (size < best)
        best[nearer], kept[nearer] = size[nearer], x[nearer]
        return best

    spent = control(
        case, rows, Clearly(case, rows), case.clean[rows], whole, keep, gates=GraduatedADR().gates, steps=40,
        random=RowRandom.seeded(0, rows), fresh=True,
    )  # fmt: skip
    found = best < whole
    assert found.float().mean() > 0.8
    assert (problem.net(kept[found]).argmax(1) != case.labels[rows][found]).all()
    assert spent.backwards == 40 < spent.forwards
