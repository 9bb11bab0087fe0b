"""Our solvers as Foolbox attacks."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

from adrgd import ModelError, UsageError
from adrgd.attacks import Standard

from .conftest import Case

EPSILONS = [0.0, 0.1, 0.3]


@pytest.fixture(scope="module")
def foolbox(library: Callable[[str], ModuleType]) -> ModuleType:
    return library("foolbox")


@pytest.fixture(scope="module")
def ours(foolbox: ModuleType) -> Any:
    from adrgd.integrations import foolbox as adapter

    return adapter


@pytest.fixture(scope="module")
def fmodel(case: Case, foolbox: ModuleType) -> Any:
    return foolbox.PyTorchModel(case.net, bounds=(0, 1), device="cpu")


def test_each_epsilon_is_one_of_our_attacks(case: Case, ours: Any, fmodel: Any) -> None:
    raw, clipped, is_adv = ours.LinfAdrgd(steps=15)(fmodel, case.images, case.labels, epsilons=EPSILONS)
    assert (len(raw), len(clipped), is_adv.shape) == (3, 3, (3, 16))
    assert torch.equal(raw[0], case.images)
    for found, eps in zip(raw[1:], EPSILONS[1:], strict=True):
        assert torch.equal(found, case.attack(eps).adversarial)
    for found, cut, adversarial in zip(raw, clipped, is_adv, strict=True):
        assert torch.allclose(found, cut, atol=1e-6)
        assert torch.equal(adversarial, case.predictions(cut) != case.labels)
    assert is_adv[0].sum() < is_adv[2].sum()


def test_the_ensemble(case: Case, ours: Any, fmodel: Any) -> None:
    raw, _, _ = ours.LinfAdrgd(solver=Standard(budget=120))(fmodel, case.images, case.labels, epsilons=0.25)
    assert torch.equal(raw, case.attack(0.25, steps=100, solver=Standard(budget=120)).adversarial)


def test_one_epsilon_gives_tensors(case: Case, ours: Any, fmodel: Any) -> None:
    raw, clipped, is_adv = ours.L2Adrgd(steps=15)(fmodel, case.images, case.labels, epsilons=2.0)
    assert raw.shape == clipped.shape == case.images.shape
    assert is_adv.shape == (16,)
    assert torch.equal(raw, case.attack(2.0, "l2").adversarial)


def test_targets(case: Case, ours: Any, fmodel: Any, foolbox: ModuleType, shifted: Callable[[Tensor], Tensor]) -> None:
    targets = shifted(case.labels)
    criterion = foolbox.criteria.TargetedMisclassification(targets)
    _, clipped, is_adv = ours.LinfAdrgd(steps=15)(fmodel, case.images, criterion, epsilons=0.4)
    assert is_adv.any()
    assert torch.equal(is_adv, case.predictions(clipped) == targets)


def test_bounds_and_preprocessing_belong_to_the_model(case: Case, ours: Any, foolbox: ModuleType) -> None:
    """The same network seen through other bounds: inputs and perturbations are twice as large."""
    wide = foolbox.PyTorchModel(
        case.net, bounds=(-1, 1), device="cpu", preprocessing={"mean": torch.tensor(-1.0), "std": torch.tensor(2.0)}
    )
    raw, _, is_adv = ours.LinfAdrgd(steps=15)(wide, case.images * 2 - 1, case.labels, epsilons=0.6)
    result = case.attack(0.3)
    assert torch.equal(is_adv, result.success)
    assert torch.allclose((raw + 1) / 2, result.adversarial, atol=1e-4)


def test_eager_tensors_stay_eager(case: Case, ours: Any, fmodel: Any) -> None:
    import eagerpy

    x, y = eagerpy.astensor(case.images), eagerpy.astensor(case.labels)
    raw, _, is_adv = ours.LinfAdrgd(steps=2)(fmodel, x, y, epsilons=0.1)
    assert isinstance(raw, eagerpy.PyTorchTensor)
    assert isinstance(is_adv, eagerpy.PyTorchTensor)


def test_repeat_means_restarts(ours: Any) -> None:
    attack = ours.LinfAdrgd(steps=7, restarts=2, solver="pgd").repeat(3)
    assert (attack.steps, attack.restarts, attack.solver) == (7, 6, "pgd")
    assert "steps=7" in repr(attack)


@pytest.mark.parametrize("count", [0, 4])
@pytest.mark.parametrize("epsilons", [None, [None], [0.1, None], []], ids=str)
def test_no_epsilon_is_no_size(case: Case, ours: Any, fmodel: Any, epsilons: Any, count: int) -> None:
    with pytest.raises(UsageError, match="expected a number or numbers as epsilons, found .*smallest_changes"):
        ours.LinfAdrgd(steps=2)(fmodel, case.images[:count], case.labels[:count], epsilons=epsilons)


def test_what_cannot_be_attacked(case: Case, ours: Any, fmodel: Any, foolbox: ModuleType) -> None:
    attack = ours.LinfAdrgd(steps=2)
    both = foolbox.criteria.Misclassification(case.labels) & foolbox.criteria.Misclassification(case.labels)
    with pytest.raises(UsageError, match="expected Misclassification"):
        attack(fmodel, case.images, both, epsilons=0.1)
    with pytest.raises(ModelError, match="expected a model of Foolbox, found Sequential; wrap it in PyTorchModel"):
        attack(case.net, case.images, case.labels, epsilons=0.1)
    with pytest.raises(UsageError, match="expected labels or a criterion, found None"):
        attack(fmodel, case.images, None, epsilons=0.1)
    with pytest.raises(TypeError, match="unexpected keyword argument 'step'"):
        attack(fmodel, case.images, case.labels, epsilons=0.1, step=3)
    with pytest.raises(ModelError, match="images of torch"):
        attack.run(fmodel, case.images.numpy(), case.labels, epsilon=0.1)
    with pytest.raises(UsageError, match="unknown solver"):
        ours.LinfAdrgd(solver="magic")
    with pytest.raises(UsageError, match="steps"):
        ours.LinfAdrgd(steps=0)
