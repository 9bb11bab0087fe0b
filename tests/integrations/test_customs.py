"""What holds inside every library: range, type and device are kept, labels come in any form, the rest is a sentence."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from fractions import Fraction
from types import ModuleType
from typing import Any, Protocol

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from adrgd import AdrgdError, AdrgdWarning

from .conftest import Case

EPS = 0.3


class Attack(Protocol):
    """One call inside a library: what it makes of images, as a tensor or an array of the images' kind."""

    def __call__(
        self, net: Any, x: Any, y: Any, *, eps: Any = ..., targeted: bool = ..., steps: int = ..., classes: int = ...
    ) -> Any: ...


@pytest.fixture(params=["torchattacks", "foolbox", "art"])
def name(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


@pytest.fixture
def attack(name: str, library: Callable[[str], ModuleType]) -> Attack:
    home = library({"art": "art.estimators.classification"}.get(name, name))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ours = {"torchattacks": _torchattacks, "foolbox": _foolbox, "art": _art}[name]

    def run(
        net: Any, x: Any, y: Any, *, eps: Any = EPS, targeted: bool = False, steps: int = 4, classes: int = 10
    ) -> Any:
        return ours(home, net, x, y, eps, targeted, steps, classes)

    return run


def _torchattacks(home: Any, net: Any, x: Any, y: Any, eps: Any, targeted: bool, steps: int, classes: int) -> Any:
    from adrgd.integrations.torchattacks import Adrgd

    made = Adrgd(net, eps=eps, steps=steps)
    if targeted:
        made.set_mode_targeted_by_label(quiet=True)
    return made(x, y)


def _foolbox(home: Any, net: Any, x: Any, y: Any, eps: Any, targeted: bool, steps: int, classes: int) -> Any:
    from adrgd.integrations.foolbox import LinfAdrgd

    goal = home.criteria.TargetedMisclassification(y) if targeted else y
    with warnings.catch_warnings(record=True):  # Foolbox says by itself, past every filter, that one is in train mode
        model = home.PyTorchModel(net, bounds=(0, 1), device="cpu")
    return LinfAdrgd(steps=steps)(model, x, goal, epsilons=eps)[0]


def _art(home: Any, net: Any, x: Any, y: Any, eps: Any, targeted: bool, steps: int, classes: int) -> Any:
    from adrgd.integrations.art import Adrgd

    made = home.PyTorchClassifier(
        net, loss=nn.CrossEntropyLoss(), input_shape=(1, 28, 28), nb_classes=classes, clip_values=(0.0, 1.0),
        device_type="cpu",
    )  # fmt: skip
    arrays = (x.numpy(), None if y is None else np.asarray(y))
    return torch.from_numpy(Adrgd(made, eps=eps, steps=steps, targeted=targeted).generate(*arrays))


class After(nn.Module):
    """A network with something behind it."""

    def __init__(self, net: nn.Module, after: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.net, self.after = copy.deepcopy(net), after
        self.eval()

    def forward(self, x: Tensor) -> Any:
        return self.after(self.net(x))


TYPES = {
    "float32": (torch.float32, torch.float32),
    "float64": (torch.float64, torch.float64),
    "float16": (torch.float16, torch.float16),
    "float64 for a float32 network": (torch.float64, torch.float32),
    "float16 for a float32 network": (torch.float16, torch.float32),
}


@pytest.mark.parametrize("kind", TYPES)
def test_range_type_and_device_are_kept(case: Case, name: str, attack: Attack, kind: str) -> None:
    images, network = TYPES[kind]
    if name == "foolbox" and images != network:
        pytest.skip("Foolbox itself asks the network, in the images' type")
    x = case.images.to(images)
    before = x.clone()
    found = attack(copy.deepcopy(case.net).to(network), x, case.labels)
    assert (found.dtype, found.shape, found.device) == (x.dtype, x.shape, x.device)
    assert not found.requires_grad
    assert ((found >= 0) & (found <= 1)).all()
    assert ((found.double() - x.double()).abs() <= EPS).all()
    assert (found != x).any()
    assert torch.equal(x, before)


@pytest.mark.parametrize("count", [0, 1])
def test_few_images(case: Case, attack: Attack, count: int) -> None:
    assert len(attack(case.net, case.images[:count], case.labels[:count])) == count


LABELS: dict[str, Callable[[Tensor], Any]] = {
    "int32": lambda y: y.int(),
    "uint8": lambda y: y.to(torch.uint8),
    "float": lambda y: y.float(),
    "(B, 1)": lambda y: y[:, None],
    "one-hot": lambda y: F.one_hot(y, 10),
    "numpy": lambda y: y.numpy(),
    "list": lambda y: y.tolist(),
}


@pytest.mark.parametrize("targeted", [False, True])
@pytest.mark.parametrize("form", LABELS)
@pytest.mark.filterwarnings("ignore:.*one-hot")
def test_labels_and_targets_in_any_form(case: Case, name: str, attack: Attack, form: str, targeted: bool) -> None:
    goal = (case.labels + targeted) % 10
    if name == "foolbox" and form not in ("int32", "uint8", "float"):
        with pytest.raises((AdrgdError, ValueError)):  # a list of targets is refused by Foolbox itself
            attack(case.net, case.images, LABELS[form](goal), targeted=targeted)
        return
    found = attack(case.net, case.images, LABELS[form](goal), targeted=targeted)
    assert torch.equal(found, attack(case.net, case.images, goal, targeted=targeted))


def test_targets_are_reached(case: Case, attack: Attack) -> None:
    targets = (case.labels + 1) % 10
    found = attack(case.net, case.images, targets, targeted=True, eps=0.4, steps=20)
    loss = [F.cross_entropy(case.net(x), targets).item() for x in (case.images, found)]
    assert loss[1] < loss[0]
    assert (case.predictions(found) == targets).any()


RADII = {"NumPy": np.float32(0.25), "a tensor": torch.tensor(0.25), "a fraction": Fraction(1, 4), "a text": "1/4"}


@pytest.mark.parametrize("form", RADII)
def test_radii_in_any_form(case: Case, attack: Attack, form: str) -> None:
    found = attack(case.net, case.images, case.labels, eps=RADII[form])
    assert torch.equal(found, attack(case.net, case.images, case.labels, eps=0.25))


def test_no_radius_changes_nothing(case: Case, attack: Attack) -> None:
    assert torch.equal(attack(case.net, case.images, case.labels, eps=0), case.images)


def test_a_function_is_a_model_of_torchattacks(case: Case, library: Any, capsys: pytest.CaptureFixture[str]) -> None:
    found = _torchattacks(library("torchattacks"), lambda x: case.net(x), case.images, case.labels, EPS, False, 4, 10)
    assert torch.equal(found, case.attack(EPS, steps=4).adversarial)
    assert capsys.readouterr().out == ""


def test_one_logit_is_a_binary_classifier(case: Case, name: str, attack: Attack) -> None:
    net = After(case.net, lambda z: z[:, :1])
    labels = (net(case.images)[:, 0] > 0).long()
    with pytest.warns(AdrgdWarning, match="the logit of class 1 against class 0"):
        found = attack(net, case.images, labels, eps=0.5, classes=2, steps=20)
    assert ((net(found)[:, 0] > 0).long() != labels).any()
    with pytest.warns(AdrgdWarning, match="the logit of class 1 against class 0"):
        assert torch.equal(attack(net, case.images, 1 - labels, eps=0.5, classes=2, steps=20, targeted=True), found)
    if name == "art":
        with pytest.warns(AdrgdWarning, match="the logit of class 1 against class 0"):
            assert torch.equal(attack(net, case.images, None, eps=0.5, classes=2, steps=20), found)


@pytest.mark.parametrize("mode", ["random", "least_likely", "by_label", "by_function"])
def test_modes_of_torchattacks(case: Case, library: Any, mode: str) -> None:
    library("torchattacks")
    from adrgd.integrations.torchattacks import Adrgd

    made = Adrgd(case.net, eps=EPS, steps=2)
    more = {"target_map_function": lambda images, labels: (labels + 3) % 10} if mode == "by_function" else {}
    getattr(made, f"set_mode_targeted_{mode}")(quiet=True, **more)
    goal = case.labels + 1 if mode == "by_label" else case.labels
    found = made(case.images, goal % 10)
    assert (found != case.images).any()
    assert ((found - case.images).abs() <= EPS + 1e-7).all()
    made.set_mode_default()
    assert torch.equal(made(case.images, case.labels), case.attack(EPS, steps=2).adversarial)


WRONG: dict[str, tuple[Callable[[Attack, Case], Any], str]] = {
    "too few labels": (lambda a, c: a(c.net, c.images, c.labels[:3]), "expected one label for each of 16 images"),
    "labels out of range": (lambda a, c: a(c.net, c.images, c.labels + 9), "labels must lie between 0 and 9"),
    "targets out of range": (lambda a, c: a(c.net, c.images, c.labels + 9, targeted=True), "targets must lie between"),
    "grey levels": (lambda a, c: a(c.net, 255 * c.images, c.labels), "images must lie in"),
    "negative eps": (lambda a, c: a(c.net, c.images, c.labels, eps=-0.1), "one finite number, not negative"),
    "eps without end": (lambda a, c: a(c.net, c.images, c.labels, eps=np.inf), "eps must be one finite number"),
    "eps for each pixel": (lambda a, c: a(c.net, c.images, c.labels, eps=np.ones((1, 28, 28))), "one finite number"),
    "labels as text": (lambda a, c: a(c.net, c.images, "cat"), "labels must be"),
    "half a step": (lambda a, c: a(c.net, c.images, c.labels, steps=2.5), "steps must be a whole number"),  # type: ignore[arg-type]
    "a random network": (
        lambda a, c: a(After(c.net, lambda z: z + torch.rand_like(z)), c.images, c.labels), "remove the randomness",
    ),
    "batch statistics": (
        lambda a, c: a(After(c.net, nn.BatchNorm1d(10)).train(), c.images, c.labels), "in train mode",
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", WRONG)
def test_what_is_one_sentence(case: Case, name: str, attack: Attack, fault: str) -> None:
    run, sentence = WRONG[fault]
    if name != "foolbox" and fault == "batch statistics":
        pytest.skip("the others set a model to eval mode themselves")
    with pytest.raises(AdrgdError) as refused:
        run(attack, case)
    assert sentence in str(refused.value)
    assert "\n" not in str(refused.value)


def test_probabilities_are_said(case: Case, attack: Attack) -> None:
    with pytest.warns(AdrgdWarning, match="the model's outputs are probabilities, as after a softmax"):
        attack(After(case.net, lambda z: z.softmax(1)), case.images, case.labels)


@pytest.mark.parametrize("kind", [np.uint8, np.int64])
def test_whole_numbers_are_no_images_of_art(case: Case, library: Any, kind: Any) -> None:
    home = library("art.estimators.classification")
    from adrgd.integrations.art import Adrgd

    made = home.PyTorchClassifier(case.net, nn.CrossEntropyLoss(), (1, 28, 28), 10, clip_values=(0, 255))
    with pytest.raises(AdrgdError, match="images must be floating-point numbers"):
        Adrgd(made, eps=8).generate((255 * case.images.numpy()).astype(kind), case.labels.numpy())
