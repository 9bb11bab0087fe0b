"""Our solvers as a torchattacks attack."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from adrgd import DataError, UsageError

from .conftest import Case


@pytest.fixture(scope="module")
def torchattacks(library: Callable[[str], ModuleType]) -> ModuleType:
    return library("torchattacks")


@pytest.fixture(scope="module")
def adrgd(torchattacks: ModuleType) -> Any:
    from adrgd.integrations.torchattacks import Adrgd

    return Adrgd


@pytest.mark.parametrize(("norm", "eps"), [("Linf", 0.3), ("L2", 2.0)])
def test_a_call_is_one_of_our_attacks(case: Case, adrgd: Any, norm: str, eps: float) -> None:
    found = adrgd(case.net, norm=norm, eps=eps, steps=15)(case.images, case.labels)
    assert torch.equal(found, case.attack(eps, norm.lower()).adversarial)
    assert not found.requires_grad


def test_targeted_modes(case: Case, adrgd: Any, shifted: Callable[[Tensor], Tensor]) -> None:
    attack = adrgd(case.net, eps=0.4, steps=15)
    targets = shifted(case.labels)
    attack.set_mode_targeted_by_function(lambda images, labels: shifted(labels), quiet=True)
    by_function = attack(case.images, case.labels)
    attack.set_mode_targeted_by_label(quiet=True)
    by_label = attack(case.images, targets)
    assert torch.equal(by_function, by_label)
    assert (case.predictions(by_label) == targets).any()
    attack.set_mode_targeted_least_likely(quiet=True)
    assert (attack(case.images, case.labels) != case.images).any()
    attack.set_mode_default()
    assert torch.equal(attack(case.images, case.labels), case.attack(0.4).adversarial)


def test_normalised_inputs_stay_normalised(case: Case, adrgd: Any) -> None:
    """The network is given (x - .5) / .25; images and results are in those units, eps in [0, 1]."""

    class Undo(nn.Module):
        def __init__(self, net: nn.Module) -> None:
            super().__init__()
            self.net = net

        def forward(self, x: Tensor) -> Tensor:
            logits: Tensor = self.net(x * 0.25 + 0.5)
            return logits

    attack = adrgd(Undo(case.net).eval(), eps=0.3, steps=15)
    attack.set_normalization_used(mean=[0.5], std=[0.25])
    found = attack((case.images - 0.5) / 0.25, case.labels) * 0.25 + 0.5
    assert torch.allclose(found, case.attack(0.3).adversarial, atol=1e-5)
    assert (found - case.images).abs().max() <= 0.3 + 1e-6


def test_the_mode_of_the_model_is_put_back(case: Case, adrgd: Any) -> None:
    net = nn.Sequential(case.net, nn.Dropout(0.9)).train()
    found = adrgd(net, eps=0.3, steps=15)(case.images, case.labels)
    assert net.training
    case.net.eval()
    assert torch.equal(found, case.attack(0.3).adversarial)


def test_beside_other_attacks(case: Case, adrgd: Any, torchattacks: ModuleType) -> None:
    ours = adrgd(case.net, eps=0.3, steps=15)
    weak = torchattacks.FGSM(case.net, eps=0.3)
    found = torchattacks.MultiAttack([weak, ours])(case.images, case.labels)
    broken = case.predictions(found) != case.labels
    assert (broken | ~case.attack(0.3).success).all()


def test_a_loader_can_be_saved(case: Case, adrgd: Any) -> None:
    loader = DataLoader(TensorDataset(case.images, case.labels), batch_size=16)
    robust, _, _ = adrgd(case.net, eps=0.3, steps=15).save(loader, verbose=False, return_verbose=True)
    assert robust == pytest.approx(100 * (~case.attack(0.3).success).float().mean().item())


def test_what_it_prints(case: Case, adrgd: Any) -> None:
    text = repr(adrgd(case.net, norm="L2", eps=1.0, solver="pgd"))
    assert text.startswith("Adrgd(")
    assert "solver=pgd" in text


def test_what_cannot_be_attacked(case: Case, adrgd: Any) -> None:
    with pytest.raises(UsageError, match="unknown norm 'L3'; expected linf, l2, l1 or l0"):
        adrgd(case.net, norm="L3")
    with pytest.raises(UsageError, match="unknown loss"):
        adrgd(case.net, loss="magic")
    with pytest.raises(DataError, match="found values from -1"):
        adrgd(case.net)(case.images * 2 - 1, case.labels)
    with pytest.raises(DataError, match="one label for each"):
        adrgd(case.net)(case.images, case.labels[:3])
    attack = adrgd(case.net)
    attack.set_mode_targeted_by_label(quiet=True)
    with pytest.raises(DataError, match="targets must lie between 0 and 9"):
        attack(case.images, case.labels + 5)
