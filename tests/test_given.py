"""What people pass works as they would expect, or is one sentence."""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from adrgd import (
    PGD,
    AdrgdError,
    AdrgdWarning,
    Box,
    GraduatedADR,
    L2Ball,
    LinfBall,
    Misclassify,
    UsageError,
    maximize,
)
from adrgd.attacks import Attack, Threat, attack_batch
from adrgd.attacks.ensemble.standard import Standard
from adrgd.models.outputs import Logits

ATTACK = Attack(steps=4, threat=Threat(eps=0.3))


@pytest.fixture
def net(mlp: nn.Sequential) -> nn.Sequential:
    return mlp


@pytest.fixture
def images() -> Tensor:
    return torch.rand(6, 5, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def labels(net: nn.Sequential, images: Tensor) -> Tensor:
    return net(images).argmax(1)


LABELS: dict[str, Callable[[Tensor], Any]] = {
    "(B, 1)": lambda y: y[:, None],
    "int32": lambda y: y.int(),
    "uint8": lambda y: y.to(torch.uint8),
    "float": lambda y: y.float(),
    "list": lambda y: y.tolist(),
    "numpy": lambda y: y.numpy(),
    "numpy int32": lambda y: y.numpy().astype(np.int32),
}

WRONG_LABELS: dict[str, tuple[Callable[[Tensor], Any], str]] = {
    "too few": (lambda y: y[:4], "expected one label for each of 6 images, found labels of shape (4,)"),
    "out of range": (lambda y: y + 3, "labels must lie between 0 and 2 for a model of 3 classes"),
    "negative": (lambda y: y - 5, "labels must lie between 0 and 2"),
    "not whole": (lambda y: y + 0.5, "labels must be whole class numbers, found float32"),
    "probabilities": (lambda y: torch.full((6, 3), 1 / 3), "expected one label for each of 6 images"),
    "bool": (lambda y: y > 0, "labels must be whole class numbers, found bool"),
}

IMAGES: dict[str, Callable[[Tensor], Any]] = {
    "numpy": lambda x: x.numpy(),
    "requires_grad": lambda x: x.clone().requires_grad_(True),
    "not contiguous": lambda x: x.T.contiguous().T,
}

WRONG_IMAGES: dict[str, tuple[Callable[[Tensor], Any], str]] = {
    "0..255": (lambda x: 255 * x, "images must lie in [0, 1]"),
    "uint8": (lambda x: (255 * x).to(torch.uint8), "found uint8; convert them, as in images.float() / 255"),
    "no batch": (lambda x: x[0], "must have a batch dimension, found shape (5,)"),
    "a list": (lambda x: [x], "must be a tensor or an array"),
}


@pytest.mark.parametrize("form", LABELS)
def test_labels_in_any_form(form: str, net: nn.Sequential, images: Tensor, labels: Tensor) -> None:
    expected = attack_batch(net, images, labels, ATTACK)
    found = attack_batch(net, images, LABELS[form](labels), ATTACK)
    assert torch.equal(found.adversarial, expected.adversarial)
    assert found.label.dtype == torch.int64


def test_one_hot_labels_are_taken_and_said(net: nn.Sequential, images: Tensor, labels: Tensor) -> None:
    with pytest.warns(AdrgdWarning, match="one-hot"):
        found = attack_batch(net, images, nn.functional.one_hot(labels, 3).float(), ATTACK)
    assert torch.equal(found.label, labels)


@pytest.mark.parametrize("form", WRONG_LABELS)
def test_wrong_labels_are_one_sentence(form: str, net: nn.Sequential, images: Tensor, labels: Tensor) -> None:
    change, sentence = WRONG_LABELS[form]
    with pytest.raises(AdrgdError, match=re.escape(sentence)):
        attack_batch(net, images, change(labels), ATTACK)


@pytest.mark.parametrize("form", IMAGES)
def test_images_in_any_form(form: str, net: nn.Sequential, images: Tensor, labels: Tensor) -> None:
    expected = attack_batch(net, images, labels, ATTACK)
    found = attack_batch(net, IMAGES[form](images), labels, ATTACK)
    assert torch.equal(found.adversarial, expected.adversarial)
    assert not found.adversarial.requires_grad


@pytest.mark.parametrize("form", WRONG_IMAGES)
def test_wrong_images_are_one_sentence(form: str, net: nn.Sequential, images: Tensor, labels: Tensor) -> None:
    change, sentence = WRONG_IMAGES[form]
    with pytest.raises(AdrgdError, match=re.escape(sentence)):
        attack_batch(net, change(images), labels, ATTACK)


OUTPUTS: dict[str, tuple[Callable[[Tensor], Any], Any]] = {
    "a tuple of one": (lambda z: (z,), None),
    "a list of one": (lambda z: [z], None),
    "a dict with logits": (lambda z: {"logits": z, "loss": z.sum()}, None),
    "an object with logits": (lambda z: SimpleNamespace(logits=z, hidden=z[:, :2]), None),
    "logits and a number": (lambda z: (z, z.mean()), None),
    "logits and features, by index": (lambda z: (z, 2 * z), 0),
    "a dict, by name": (lambda z: {"a": 2 * z, "b": z}, "b"),
    "an object, by name": (lambda z: SimpleNamespace(a=2 * z, b=z), "b"),
    "by a function": (lambda z: {"deep": [z]}, lambda answer: answer["deep"][0]),
}


@pytest.mark.parametrize("form", OUTPUTS)
def test_the_logits_among_what_a_model_returns(form: str, net: nn.Sequential, images: Tensor, labels: Tensor) -> None:
    wrap, output = OUTPUTS[form]
    expected = attack_batch(net, images, labels, ATTACK)
    if output is None:
        with pytest.warns(AdrgdWarning, match="is taken as its logits") as said:
            found = attack_batch(lambda x: wrap(net(x)), images, labels, ATTACK)
        assert len(said) == 1
    else:
        found = attack_batch(lambda x: wrap(net(x)), images, labels, ATTACK, output=output)
    assert torch.equal(found.adversarial, expected.adversarial)


@pytest.mark.parametrize(
    ("answer", "output", "sentence"),
    [
        (lambda z: (z, 2 * z), None, r"found tuple of 0 \(6, 3\), 1 \(6, 3\); say which of them with output="),
        (lambda z: {"a": z}, "b", r"expected output='b' .* found dict of a \(6, 3\)"),
        (lambda z: "logits", None, "found str"),
        (lambda z: {"a": "text"}, "a", "expected a tensor as output='a', found str"),
    ],
)
def test_answers_without_obvious_logits_are_one_sentence(
    answer: Callable[[Tensor], Any], output: Any, sentence: str, net: nn.Sequential, images: Tensor, labels: Tensor
) -> None:
    with pytest.raises(AdrgdError, match=sentence):
        attack_batch(lambda x: answer(net(x)), images, labels, ATTACK, output=output)


@pytest.mark.parametrize("shape", ["(B, 1)", "(B,)"])
def test_one_logit_is_a_binary_classifier(shape: str, net: nn.Sequential, images: Tensor) -> None:
    def head(x: Tensor) -> Tensor:
        z = net(x)[:, :1] * 5
        return z if shape == "(B, 1)" else z[:, 0]

    labels = (head(images).reshape(-1) > 0).long()
    with pytest.warns(AdrgdWarning, match="the logit of class 1 against class 0"):
        found = attack_batch(head, images, labels, ATTACK)
    truth = nn.functional.binary_cross_entropy_with_logits(head(images).reshape(-1), labels.float(), reduction="none")
    torch.testing.assert_close(found.clean_loss, truth)
    assert (found.adversarial_loss > found.clean_loss).all()
    assert torch.equal(found.adversarial_prediction, (head(found.adversarial).reshape(-1) > 0).long())


@pytest.mark.parametrize("solver", ["pgd", PGD, PGD()], ids=["a name", "a class", "itself"])
def test_solvers_by_name_and_class(solver: Any, net: nn.Sequential, images: Tensor, labels: Tensor) -> None:
    objective, domain = Misclassify(net, labels), LinfBall(images, 0.2)
    expected = maximize(objective, images, domain=domain, solver=PGD(), steps=3)
    assert torch.equal(maximize(objective, images, domain=domain, solver=solver, steps=3).x, expected.x)
    assert Attack(solver=solver).solver == PGD()


def test_the_ensemble_by_name() -> None:
    assert Attack(solver="standard").solver == Standard() == Attack(solver=Standard).solver


@pytest.mark.parametrize("solver", [3, "fast", dict, None.__class__])
def test_what_is_no_solver(solver: Any, images: Tensor) -> None:
    with pytest.raises(UsageError, match="solver"):
        maximize(lambda x: x.sum(1), images, domain=Box(0, 1), solver=solver)


def test_a_number_is_no_domain(images: Tensor) -> None:
    with pytest.raises(UsageError, match=r"domain must be a Box.* found float; .* LinfBall\(x0, r\)"):
        maximize(lambda x: x.sum(1), images, domain=0.3, solver=PGD())  # type: ignore[arg-type]


@pytest.mark.parametrize("eps", ["8/255", " 8 / 255 ", Fraction(8, 255), np.float32(8 / 255), np.float64(8 / 255)])
def test_eps_in_any_form(eps: Any, images: Tensor) -> None:
    for found in (Threat(eps=eps).eps, LinfBall(images, eps).eps, L2Ball(images, eps).eps):
        assert found == pytest.approx(8 / 255)
        assert type(found) is float
    with pytest.raises(UsageError, match="a fraction such as 8/255"):
        Threat(eps="eight")  # type: ignore[arg-type]


def test_a_radius_of_the_whole_range_is_said(net: nn.Sequential, images: Tensor, labels: Tensor) -> None:
    with pytest.warns(AdrgdWarning, match="reaches across the whole range of 1"):
        attack_batch(net, images, labels, Attack(steps=2, threat=Threat(eps=8)))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_points_are_searched_in_single(dtype: torch.dtype, images: Tensor) -> None:
    def objective(x: Tensor) -> Tensor:
        assert x.dtype == dtype
        return -(x - 0.5).abs().sum(1)

    x0 = images.to(dtype)
    with pytest.warns(AdrgdWarning, match="searched and returned in float32"):
        solution = maximize(objective, x0, domain=LinfBall(x0.float(), 0.1), solver=PGD(), steps=5)
    assert solution.x.dtype == solution.value.dtype == torch.float32


def test_numpy_points(images: Tensor) -> None:
    solution = maximize(lambda x: x.sum(1), images.numpy(), domain=Box(0, 1), solver=PGD(), steps=3)  # type: ignore[arg-type]
    assert torch.equal(solution.x, torch.ones(6, 5))


@pytest.mark.parametrize("solver", ["graduated", "graduated-secant", "pgd", "adr"])
@pytest.mark.parametrize("fixed", ["some", "all"])
def test_coordinates_that_cannot_move(solver: str, fixed: str, net: nn.Sequential, images: Tensor) -> None:
    low, high = torch.zeros(5), torch.ones(5)
    held = slice(None, 2) if fixed == "some" else slice(None)
    low[held] = high[held] = 0.5
    solution = maximize(lambda x: net(x)[:, 0], images, domain=Box(low, high), solver=solver, steps=5)
    assert (solution.x[:, held] == 0.5).all()
    assert solution.value.isfinite().all()
    assert (solution.mended == 0).all()


def test_wrapped_models_stay_what_they_are(net: nn.Sequential) -> None:
    assert not Logits(net).training
    assert isinstance(Attack().solver, GraduatedADR)
