"""Our solvers as an evasion attack of the Adversarial Robustness Toolbox."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from adrgd import DataError, ModelError, UsageError

from .conftest import Case


@pytest.fixture(scope="module")
def art(library: Callable[[str], ModuleType]) -> ModuleType:
    return library("art.estimators.classification")


@pytest.fixture(scope="module")
def adrgd(art: ModuleType) -> Any:
    from adrgd.integrations.art import Adrgd

    return Adrgd


@pytest.fixture(scope="module")
def wrap(art: ModuleType, case: Case) -> Callable[..., Any]:
    def classifier(net: nn.Module = case.net, **settings: Any) -> Any:
        settings = {"clip_values": (0.0, 1.0), "device_type": "cpu"} | settings
        return art.PyTorchClassifier(
            net, loss=nn.CrossEntropyLoss(), input_shape=(1, 28, 28), nb_classes=10, **settings
        )

    return classifier


@pytest.mark.parametrize(("norm", "ours", "eps"), [(np.inf, "linf", 0.3), ("inf", "linf", 0.3), (2, "l2", 2.0)])
def test_generate_is_one_of_our_attacks(case: Case, adrgd: Any, wrap: Any, norm: Any, ours: str, eps: float) -> None:
    x, y = case.images.numpy(), case.labels.numpy()
    before = x.copy()
    found = adrgd(wrap(), norm=norm, eps=eps, steps=15).generate(x, y)
    assert found.dtype == np.float32
    assert np.array_equal(found, case.attack(eps, ours).adversarial.numpy())
    assert np.array_equal(x, before)


def test_labels_of_every_form(case: Case, adrgd: Any, wrap: Any) -> None:
    x, y = case.images.numpy(), case.labels.numpy()
    attack = adrgd(wrap(), eps=0.3, steps=5)
    found = attack.generate(x=x, y=y)
    assert np.array_equal(attack.generate(x, y[:, None]), found)
    assert np.array_equal(attack.generate(x, np.eye(10)[y]), found)
    predicted = case.predictions(case.images).numpy()
    assert np.array_equal(attack.generate(x), attack.generate(x, predicted))


def test_batches_change_rounding_only(case: Case, adrgd: Any, wrap: Any) -> None:
    """A random start depends on the image's place; a sign may differ where the gradient is next to zero."""
    x, y = case.images.numpy(), case.labels.numpy()
    settings = {"eps": 0.3, "steps": 1, "restarts": 2, "stop_at_success": False}
    whole, parts = (adrgd(wrap(), batch_size=size, **settings).generate(x, y) for size in (128, 5))
    assert np.isclose(whole, parts, atol=1e-5).mean() > 0.99


def test_targets(case: Case, adrgd: Any, wrap: Any, shifted: Callable[[Tensor], Tensor]) -> None:
    from art.utils import compute_success, to_categorical

    x, targets = case.images.numpy(), shifted(case.labels).numpy()
    attack = adrgd(wrap(), eps=0.4, steps=15, targeted=True)
    found = attack.generate(x, targets)
    assert compute_success(wrap(), x, to_categorical(targets, 10), found, targeted=True) > 0
    with pytest.raises(UsageError, match="needs the targets"):
        attack.generate(x)
    attack.set_params(targeted=False)
    assert np.array_equal(attack.generate(x, case.labels.numpy()), case.attack(0.4).adversarial.numpy())


def test_preprocessing_is_part_of_the_classifier(case: Case, adrgd: Any, wrap: Any) -> None:
    class Undo(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            logits: Tensor = case.net(x * 0.25 + 0.5)
            return logits

    found = adrgd(wrap(Undo(), preprocessing=(0.5, 0.25)), eps=0.3, steps=15).generate(
        case.images.numpy(), case.labels.numpy()
    )
    assert np.allclose(found, case.attack(0.3).adversarial.numpy(), atol=1e-5)


def test_clip_values(case: Case, adrgd: Any, wrap: Any) -> None:
    """None means no bounds; bounds of each feature are taken when they agree."""
    x, y = case.images.numpy(), case.labels.numpy()
    free = adrgd(wrap(clip_values=None), eps=0.3, steps=5, stop_at_success=False).generate(x, y)
    assert free.min() < 0
    assert np.abs(free - x).max() <= np.float32(0.3)
    same = (np.zeros((1, 28, 28), np.float32), np.ones((1, 28, 28), np.float32))
    found = adrgd(wrap(clip_values=same), eps=0.3, steps=15).generate(x, y)
    assert np.array_equal(found, case.attack(0.3).adversarial.numpy())
    other = (same[0], np.linspace(1, 2, 784, dtype=np.float32).reshape(1, 28, 28))
    with pytest.raises(UsageError, match="clip_values of two numbers"):
        adrgd(wrap(clip_values=other)).generate(x, y)


def test_parameters(adrgd: Any, wrap: Any) -> None:
    attack = adrgd(wrap(), steps=3)
    attack.set_params(eps=0.1, solver="pgd", restarts=2)
    assert (attack.eps, attack.solver, attack.restarts, attack.steps) == (0.1, "pgd", 2, 3)
    assert "eps=0.1" in repr(attack)
    assert set(attack.attack_params) >= {"norm", "eps", "targeted", "batch_size"}
    with pytest.raises(ValueError, match="step"):
        attack.set_params(step=3)
    for wrong in (
        {"eps": -1.0},
        {"norm": 3},
        {"solver": "magic"},
        {"batch_size": 0},
        {"batch_size": "a"},
        {"batch_size": 2.5},
        {"targeted": "yes"},
    ):
        with pytest.raises(UsageError):
            adrgd(wrap(), **wrong)


def test_arrays_of_other_forms(case: Case, adrgd: Any, wrap: Any) -> None:
    x, y = case.images.numpy().copy(), case.labels.numpy()
    expected = adrgd(wrap(), eps=0.3, steps=2).generate(x, y)
    x.flags.writeable = False
    assert np.array_equal(adrgd(wrap(), eps=0.3, steps=2, targeted=np.bool_(False)).generate(x, y), expected)
    assert adrgd(wrap()).generate(x[:0]).shape == (0, 1, 28, 28)
    for wrong in (None, 0.5):
        with pytest.raises(DataError, match="images must be"):
            adrgd(wrap()).generate(wrong, y)


def test_eps_zero_changes_nothing(case: Case, adrgd: Any, wrap: Any) -> None:
    x = case.images.numpy()
    assert np.array_equal(adrgd(wrap(), eps=0).generate(x, case.labels.numpy()), x)


def test_what_cannot_be_attacked(case: Case, adrgd: Any, wrap: Any, art: ModuleType) -> None:
    from art.defences.preprocessor import FeatureSqueezing
    from art.exceptions import EstimatorError

    x, y = case.images.numpy(), case.labels.numpy()
    with pytest.raises(EstimatorError):
        adrgd(art.BlackBoxClassifier(lambda x: np.zeros((len(x), 10)), (1, 28, 28), 10))
    with pytest.raises(UsageError, match="a mask is not supported"):
        adrgd(wrap()).generate(x, y, mask=np.ones_like(x))
    squeezed = wrap(preprocessing_defences=FeatureSqueezing(clip_values=(0, 1), bit_depth=4))
    with pytest.raises(ModelError, match="preprocessing that torch can differentiate"):
        adrgd(squeezed).generate(x, y)


def test_the_network_itself_is_left_alone(case: Case, adrgd: Any, wrap: Any) -> None:
    before = [parameter.clone() for parameter in case.net.parameters()]
    adrgd(wrap(), eps=0.3, steps=2).generate(case.images.numpy(), case.labels.numpy())
    assert all(torch.equal(a, b) for a, b in zip(before, case.net.parameters(), strict=True))
    assert not any(parameter.requires_grad for parameter in case.net.parameters())
