"""The table of what people pass in a notebook, one line a case: it works as they would expect, or is one sentence.

`FINE` holds what works, with what is said about it; `WRONG` the sentences. All of it is looked at before an iteration.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from adrgd import (
    AdrgdError,
    AdrgdWarning,
    Box,
    Classify,
    L2Ball,
    LinfBall,
    Misclassify,
    maximize,
)
from adrgd.attacks import Attack, Standard, Threat, attack_batch
from adrgd.attacks.matrix import Own, run_matrix
from adrgd.attacks.smallest.minimum import Minimum, smallest_changes
from adrgd.data import Images


class Net(nn.Module):
    """A small convolutional network on (B, 1, 6, 6), behind something that is done to its inputs or logits."""

    def __init__(self, before: Callable[[Tensor], Tensor] | None = None, after: Any = None) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64, 5)).requires_grad_(False)
        self.before, self.after, self.calls = before or (lambda x: x), after or (lambda z: z), 0
        self.eval()

    def forward(self, x: Tensor) -> Any:
        self.calls += 1
        return self.after(self.body(self.before(x)) * 3)


@dataclass
class Given:
    """What a case starts from: a network, eight images and their labels."""

    net: Net
    x: Tensor
    y: Tensor
    minimum: bool = False  # let `attack` look for the smallest changes

    def attack(self, x: Any = None, y: Any = None, net: Any = None, **settings: Any) -> Tensor:
        threat = Threat(**{name: settings.pop(name) for name in list(settings) if name in THREAT} or {"eps": 0.2})
        call = {name: settings.pop(name) for name in list(settings) if name in ("index", "output")}
        if self.minimum:
            x, y = self.x if x is None else x, self.y if y is None else y
            found = smallest_changes(net or self.net, x, y, Minimum(passes=24, steps=3, **settings), **call)
            return found.adversarial
        attack = Attack(threat=threat, **({"steps": 3} | settings))
        x, y = self.x if x is None else x, self.y if y is None else y
        return attack_batch(net or self.net, x, y, attack, **call).adversarial

    def search(self, objective: Any = None, x: Any = None, domain: Any = None, **settings: Any) -> Tensor:
        x = self.x if x is None else x
        domain = LinfBall(x, 0.2, Box(0, 1)) if domain is None else domain
        objective = objective or Misclassify(self.net, self.y)
        return maximize(objective, x, domain=domain, **({"steps": 3} | settings)).x


THREAT = ("eps", "norm", "lower", "upper", "target")


@pytest.fixture
def given() -> Given:
    x = torch.rand(8, 1, 6, 6, generator=torch.Generator().manual_seed(1))
    net = Net()
    return Given(net, x, net(x).argmax(1))


def changing() -> Net:
    """Its logits depend on how often it was called."""
    net = Net()
    net.after = lambda z: z + 0.1 * net.calls * torch.arange(5)
    return net


def _read_only(x: Any) -> Any:
    x.flags.writeable = False
    return x


def _nested(x: Tensor) -> Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.nested.nested_tensor(list(x))


def squares(net: Net) -> Callable[[Tensor], Tensor]:
    """A network for segmentation: a class for each of 16 squares."""
    return lambda x: net(x)[:, :, None, None].expand(-1, -1, 4, 4)


def per_pixel(net: Net, y: Tensor) -> Callable[[Tensor], Tensor]:
    target = y[:, None, None].expand(-1, 4, 4)
    return lambda x: F.cross_entropy(squares(net)(x), target, reduction="none").mean((1, 2))


def per_pixel_with_rows(net: Net, y: Tensor) -> Callable[[Tensor, Tensor], Tensor]:
    target = y[:, None, None].expand(-1, 4, 4)
    return lambda x, rows: F.cross_entropy(squares(net)(x), target[rows], reduction="none").mean((1, 2))


Case = Callable[[Given], Any]

FINE: dict[str, tuple[Case, str]] = {
    # labels
    "labels of an objective as a list": (lambda g: g.search(Misclassify(g.net, g.y.tolist())), ""),
    "labels of an objective (B, 1)": (lambda g: g.search(Misclassify(g.net, g.y[:, None])), ""),
    "labels of an objective in NumPy": (lambda g: g.search(Misclassify(g.net, g.y.numpy().astype(np.int32))), ""),
    "labels of an objective, one-hot": (lambda g: g.search(Misclassify(g.net, F.one_hot(g.y, 5))), "are one-hot"),
    "targets of an objective as floats": (lambda g: g.search(Classify(g.net, (g.y + 1).float() % 5)), ""),
    # images
    "images in NumPy": (lambda g: g.attack(g.x.numpy()), ""),
    "points in NumPy, centre too": (lambda g: g.search(x=g.x.numpy()), ""),
    "images in channels_last": (lambda g: g.attack(g.x.contiguous(memory_format=torch.channels_last)), ""),
    "images that are not contiguous": (lambda g: g.attack(g.x.transpose(2, 3)), ""),
    "images with a graph": (lambda g: g.attack(g.x.clone().requires_grad_()), ""),
    "images in float64": (lambda g: g.attack(g.x.double()), "the images are float64: they are converted"),
    "images in float16": (lambda g: g.attack(g.x.half()), "float16: they are searched and returned in float32"),
    "images in bfloat16": (lambda g: g.attack(g.x.bfloat16()), "searched and returned in float32"),
    "images that cannot be written to": (lambda g: g.attack(_read_only(g.x.numpy().copy())), ""),
    "read-only images": (lambda g: g.attack(np.broadcast_to(g.x.numpy()[:1], g.x.shape)), ""),
    "one-hot truth values": (lambda g: g.attack(y=F.one_hot(g.y, 5).bool()), "labels are one-hot"),
    "labels in uint64": (lambda g: g.attack(y=g.y.numpy().astype(np.uint64)), ""),
    "an output by index": (lambda g: g.attack(net=Net(after=lambda z: [z, -z]), output=-1), ""),
    "an output by a function": (lambda g: g.attack(net=Net(after=lambda z: [z, -z]), output=lambda z: z[0]), ""),
    "one image": (lambda g: g.attack(g.x[:1], g.y[:1]), ""),
    "images of inference_mode": (lambda g: g.attack(torch.inference_mode()(lambda: g.x.clone())()), ""),
    "grey levels without a box": (lambda g: g.search(domain=LinfBall(255 * g.x, 2), x=255 * g.x), r"box=Box\(0, 255\)"),
    "points of a small range without a box": (lambda g: g.search(domain=LinfBall(g.x, 0.2)), ""),
    # models
    "a function": (lambda g: g.attack(net=lambda x: g.net(x)), ""),
    "logits in float64": (lambda g: g.attack(net=Net(after=lambda z: z.double())), ""),
    "an objective of a tuple": (lambda g: g.search(Misclassify(Net(after=lambda z: (z,)), g.y)), "taken as its logits"),
    "an objective of one logit": (lambda g: g.search(Misclassify(Net(after=lambda z: z[:, 0]), g.y % 2)), "of class 1"),
    "probabilities by softmax": (lambda g: g.attack(net=Net(after=lambda z: z.softmax(1))), "as after a softmax"),
    "probabilities by sigmoid": (lambda g: g.attack(net=Net(after=lambda z: z.sigmoid())), "as after a sigmoid"),
    "log-probabilities": (lambda g: g.attack(net=Net(after=lambda z: z.log_softmax(1))), ""),
    "inputs that are quantised": (lambda g: g.attack(net=Net(before=lambda x: (8 * x).round() / 8)), ""),
    "inputs that are clamped away": (lambda g: g.attack(net=Net(before=lambda x: x.clamp(2, 3))), ""),
    # radii and norms
    "eps in NumPy": (lambda g: g.attack(eps=np.float32(0.2)), ""),
    "eps as a tensor": (lambda g: g.attack(eps=torch.tensor([0.2])), ""),
    "eps for each row": (lambda g: g.search(domain=LinfBall(g.x, torch.linspace(0.1, 0.3, 8), Box(0, 1))), ""),
    "eps for each row in NumPy": (lambda g: g.search(domain=L2Ball(g.x, np.linspace(0.1, 0.3, 8), Box(0, 1))), ""),
    "eps for each row as a list": (lambda g: g.search(domain=LinfBall(g.x, [0.2] * 8, Box(0, 1))), ""),
    "a box as a pair": (lambda g: g.search(domain=LinfBall(g.x, 0.2, (0, 1))), ""),
    "a box of arrays": (lambda g: g.search(domain=Box(np.zeros((1, 6, 6)), np.ones((1, 6, 6)))), ""),
    "the norm as infinity": (lambda g: g.attack(eps=0.2, norm=np.inf), ""),
    "the norm with a capital": (lambda g: g.attack(eps=0.5, norm="L2"), ""),
    "eps of the whole range": (lambda g: g.search(domain=LinfBall(g.x, 8, Box(0, 1))), "across the whole range of 1"),
    "eps of the whole range in L2": (lambda g: g.attack(eps=8, norm="l2"), "across the whole range of 6"),
    "eps of some pixels": (lambda g: g.attack(eps=8, norm="l0", solver="pgd"), ""),
    "a target in NumPy": (lambda g: g.attack(eps=0.2, target=np.int64(1)), ""),
    # settings
    "steps in NumPy": (lambda g: g.attack(steps=np.int32(3)), ""),
    "positions as a list": (lambda g: g.attack(index=list(range(8))), ""),
    "inside no_grad": (lambda g: torch.no_grad()(g.attack)(), ""),
    "rows by name in a list": (lambda g: g.search(identity=list(range(8)), group=np.arange(8) // 2), ""),
    "a range of tensors": (lambda g: g.attack(eps=0.2, lower=torch.tensor(0.0), upper=torch.ones(1)), ""),
    # segmentation
    "segmentation with rows": (lambda g: g.search(per_pixel_with_rows(g.net, g.y)), ""),
}

WRONG: dict[str, tuple[Case, str]] = {
    # labels
    "labels as text": (lambda g: g.attack(y=["cat"] * 8), "labels must be whole class numbers, one for each of 8"),
    "labels missing": (lambda g: attack_batch(g.net, g.x, None, Attack()), "found NoneType"),
    "labels without numbers": (lambda g: g.attack(y=g.y.to("meta")), "labels are on the device meta"),
    "too few labels in an objective": (lambda g: g.search(Misclassify(g.net, g.y[:4])), "one label for each of 8"),
    "labels of an objective out of range": (lambda g: g.search(Misclassify(g.net, g.y + 5)), "between 0 and 4"),
    "targets of an objective out of range": (lambda g: g.search(Classify(g.net, g.y - 5)), "targets must lie between"),
    "labels of squares": (lambda g: g.search(Misclassify(squares(g.net), g.y)), "must return logits of shape (8, clas"),
    "labels beyond 64 bits": (lambda g: g.attack(y=[2**70] * 8), "labels must be whole class numbers"),
    # images
    "no images": (lambda g: g.attack(g.x[:0], g.y[:0]), "expected at least one image, found shape (0, 1, 6, 6)"),
    "no points": (lambda g: g.search(x=g.x[:0]), "x0 must be a floating-point tensor of one row a problem"),
    "images with the channels last": (lambda g: g.attack(g.x.permute(0, 2, 3, 1)), "images.permute(0, 3, 1, 2)"),
    "points with the channels last": (
        lambda g: g.search(lambda x: g.net(x)[:, 0], x=g.x.permute(0, 2, 3, 1)), "images.permute(0, 3, 1, 2)",
    ),
    "a single image": (lambda g: g.attack(g.x[0], g.y[:1]), "needs a batch dimension, images[None]"),
    "images in complex numbers": (lambda g: g.attack(g.x.to(torch.complex64)), "found complex64"),
    "images as objects": (lambda g: g.attack(np.array([[None]] * 8)), "images must be numbers, found an array of obje"),
    "sparse images": (lambda g: g.attack(g.x.to_sparse()), "images must be dense"),
    "sparse points": (lambda g: g.search(x=g.x.to_sparse(), domain=Box(0, 1)), "x0 must be a dense tensor"),
    "points without numbers": (lambda g: g.search(x=g.x.to("meta"), domain=Box(0, 1)), "on meta"),
    "images that are flat": (lambda g: g.attack(g.x.flatten(1)), "takes a batch of shape (8, 36)"),
    "nested images": (lambda g: g.attack(_nested(g.x)), "images must be dense, found a nested tensor"),
    "nested points": (lambda g: g.search(x=_nested(g.x), domain=Box(0, 1)), "that holds numbers, found a nested"),
    "images of another device": (lambda g: g.attack(net=Net().to("meta")), "and the model on meta; move one of them"),
    "images by NaN": (lambda g: g.attack(g.x * torch.nan), "images must be finite numbers, found NaN or infinite"),
    # models
    "a model by its name": (lambda g: g.attack(net="bundled:mnist-pgd"), "must be a module or a function of a batch"),
    "a class of models": (lambda g: g.attack(net=Net), "found the class Net; make one of it"),
    "a model that divides by zero": (lambda g: g.attack(net=Net(after=lambda z: 1 // 0)), "found that it fails (int"),
    "a model without a part": (lambda g: g.attack(net=Net(after=lambda z: z.part)), "has no attribute 'part'"),
    "an objective that divides by zero": (lambda g: g.search(lambda x: 1 // 0), "cannot take x of shape (8, 1, 6, 6)"),
    "goals that are no truth values": (lambda g: g.search(lambda x: (x.sum((1, 2, 3)),) * 2), "reached their goal"),
    "goals without rows": (lambda g: g.search(lambda x: (x.sum((1, 2, 3)), True)), "as truth values of shape (8,)"),
    "an output of one tensor": (lambda g: g.attack(output=0), "the model returns one tensor; leave output out"),
    "no model": (lambda g: attack_batch(None, g.x, g.y, Attack()), "found None; load it first"),  # type: ignore[arg-type]
    "a random model": (lambda g: g.attack(net=Net(after=lambda z: z + torch.rand_like(z))), "remove the randomness"),
    "dropout left on": (lambda g: g.attack(net=Net(before=lambda x: F.dropout(x, 0.5))), "the same logits from two c"),
    "a model that counts": (lambda g: g.attack(net=changing()), "expected the same logits from two calls"),
    "an objective that counts": (lambda g: g.search(Misclassify(changing(), g.y)), "the objective is random"),
    "a batch that is fixed": (lambda g: g.attack(net=Net(lambda x: x.reshape(8, 1, 6, 6))), "batches of any size"),
    "an objective of a fixed batch": (
        lambda g: g.search(Misclassify(Net(lambda x: x.reshape(8, 1, 6, 6)), g.y)), "must not fix its batch",
    ),
    "rows that mix": (lambda g: g.attack(net=Net(lambda x: x - x.mean(0))), "not to depend on the rest of its batch"),
    "NaN in some rows": (
        lambda g: g.attack(net=Net(after=lambda z: z.masked_fill(z > 1, torch.nan))), "are not finite for row",
    ),
    "a graph that is cut": (lambda g: g.attack(net=Net(lambda x: x.detach()), solver="pgd"), "does not depend on x"),
    "a model under no_grad": (lambda g: g.attack(net=torch.no_grad()(Net()), solver="pgd"), "does not depend on x"),
    "classes instead of logits": (lambda g: g.attack(net=Net(after=lambda z: z.argmax(1)), y=g.y % 2), "floating"),
    "logits of squares": (lambda g: g.attack(net=squares(g.net)), "must return logits of shape (8, classes)"),
    "two logits of one shape": (lambda g: g.attack(net=Net(after=lambda z: (z, z))), "say which of them with output="),
    "a model in train mode": (lambda g: g.attack(net=Net().train()), "call .eval() on the model"),
    # radii and norms
    "no room": (lambda g: g.attack(eps=0), "eps must be positive and finite, found 0"),
    "no room in a row": (lambda g: g.search(domain=LinfBall(g.x, torch.linspace(0, 1, 8))), "positive and finite"),
    "a radius of none": (lambda g: LinfBall(g.x, None), "expected a number or a fraction such as 8/255"),
    "eps for each image": (lambda g: g.attack(eps=torch.linspace(0.1, 0.3, 8)), "eps must be one number for all"),
    "a range for each pixel": (lambda g: g.attack(eps=0.1, lower=torch.zeros(36)), "lower must be one number for all"),
    "another norm": (lambda g: g.attack(eps=0.1, norm=3), "unknown norm 3; expected linf, l2, l1 or l0"),
    "a centre as text": (lambda g: LinfBall("x", 0.1), "centre must be a tensor or an array, found str"),
    "bounds as text": (lambda g: g.search(domain=Box("0", "1")), "lower must be a number or numbers, found '0'"),
    "a box that is none": (lambda g: LinfBall(g.x, 0.1, 1), "must be a Box such as Box(0, 1), found 1"),
    "a class of domains": (lambda g: g.search(domain=Box), "domain must be a Box"),
    "targets as a list": (lambda g: g.attack(eps=0.1, target=[1] * 8), "expected a class number, next, random"),
    "a target out of range": (lambda g: g.attack(eps=0.1, target=7), "target class 7 is out of range"),
    # settings
    "half a step": (lambda g: g.attack(steps=2.5), "steps must be a whole number, found 2.5"),
    "no steps": (lambda g: g.search(steps=0), "steps must be at least 1, found 0"),
    "no runs": (lambda g: g.attack(restarts=0), "restarts must be at least 1, found 0"),
    "no seed": (lambda g: g.search(seed=None), "seed must be a whole number, found None"),
    "a radius as a threat": (lambda g: Attack(threat=0.3), "threat must be a Threat such as"),  # type: ignore[arg-type]
    "half a run": (lambda g: g.search(first_restart=2.5), "first_restart must be a whole number"),
    "a run before the first": (lambda g: g.search(first_restart=-1), "first_restart must be at least 0"),
    "rows by text": (lambda g: g.search(identity="x"), "identity must be whole numbers, one for each of 8 rows"),
    "groups of too few rows": (lambda g: g.search(group=[0, 1]), "expected one group for each of 8 rows"),
    "yes and no in words": (lambda g: g.attack(stop_at_success="no"), "stop_at_success must be True or False"),
    "a flag in words": (lambda g: g.search(history="no"), "history must be True or False, found 'no'"),
    "a callback that is none": (lambda g: g.search(on_iteration=3), "on_iteration must be a function"),
    "a budget in words": (lambda g: Standard(budget="much"), "budget must be a whole number"),  # type: ignore[arg-type]
    "no smallest change": (lambda g: smallest_changes(g.net, g.x, g.y, None), "must be a Minimum"),  # type: ignore[arg-type]
    "too few passes": (lambda g: Minimum(passes=10), "for one run of 25 steps at least, that is 69, found 10"),
    "no attack": (lambda g: attack_batch(g.net, g.x, g.y, None), "attack must be an Attack"),  # type: ignore[arg-type]
    "an objective that is none": (lambda g: g.search(3), "the objective must be a function of x"),
    "too few positions": (lambda g: g.attack(index=[1, 2]), "expected one index for each of 8 images"),
    "inside inference_mode": (lambda g: torch.inference_mode()(g.attack)(), "attack_batch needs gradients and runs"),
    "points inside inference_mode": (lambda g: torch.inference_mode()(g.search)(), "maximize needs gradients and runs"),
    # segmentation
    "segmentation without rows": (lambda g: g.search(per_pixel(g.net, g.y)), "objective(x, rows)"),
    "a mean over the batch": (lambda g: g.search(lambda x: F.cross_entropy(g.net(x), g.y)), "one floating-point num"),
}  # fmt: skip


BOTH = (
    "labels as", "labels miss", "labels in", "labels beyond", "one-hot", "images", "read-only", "nested i", "sparse i",
    "one image", "no images", "a single", "a function", "logits", "an output", "prob", "a model", "a class of m",
    "no mod", "a random", "dropout", "a batch", "rows that", "NaN", "classes", "two logits", "positions",
    "too few pos", "inside",
)  # fmt: skip
"""How cases begin that are the same for the smallest changes."""


def in_both(cases: dict[str, Any]) -> Any:
    found = [(case, False) for case in cases] + [(case, True) for case in cases if case.startswith(BOTH)]
    return pytest.mark.parametrize(("case", "minimum"), found, ids=[f"{case}{' again' * both}" for case, both in found])


@in_both(FINE)
def test_what_works(case: str, minimum: bool, given: Given) -> None:
    run, said = FINE[case]
    given.minimum = minimum
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        found = run(given)
    assert found.isfinite().all()
    assert found.shape[1:] == (1, 6, 6)
    words = [str(one.message) for one in heard]
    assert len(words) == bool(said), words
    if said:
        assert issubclass(heard[0].category, AdrgdWarning)
        assert re.search(said, words[0])


@in_both(WRONG)
@pytest.mark.filterwarnings("ignore:the model returns one number a row")
def test_what_is_one_sentence(case: str, minimum: bool, given: Given) -> None:
    run, sentence = WRONG[case]
    given.minimum = minimum
    sentence = sentence.replace("attack_batch", "smallest_changes") if minimum else sentence
    with pytest.raises(AdrgdError) as refused:
        run(given)
    words = str(refused.value)
    assert sentence in words
    assert "\n" not in words
    assert "?" not in words, "the command line's spec syntax is no advice here"
    assert "--" not in words


SIGNS: dict[str, tuple[Callable[[], Net], set[str]]] = {
    "sound": (lambda: Net(), set()),
    "softmax": (lambda: Net(after=lambda z: z.softmax(1)), {"probabilities as logits"}),
    "sigmoid": (lambda: Net(after=lambda z: z.sigmoid()), {"probabilities as logits"}),
    "log-softmax": (lambda: Net(after=lambda z: z.log_softmax(1)), set()),
    "clamped": (lambda: Net(before=lambda x: x.clamp(2, 3)), {"zero gradients"}),
    "quantised": (lambda: Net(before=lambda x: (64 * x).round() / 64), {"zero gradients"}),
    "quantised, pretending": (lambda: Net(before=lambda x: 2 * x.detach() - x), {"masked gradients"}),
}


@pytest.mark.parametrize("kind", SIGNS)
def test_evaluations_name_what_is_wrong_with_a_model(kind: str, given: Given, tmp_path: Path) -> None:
    """Nothing but the library is asked: no data set has a name here."""
    make, signs = SIGNS[kind]
    net = make()
    images = Images(given.x, net(given.x).argmax(1), torch.arange(8), None, "")
    said = pytest.warns(AdrgdWarning, match="gradient was zero") if "zero gradients" in signs else nullcontext()
    with said:
        summary = run_matrix({"net": net}, images, [Own.named("pgd", Attack(steps=20))], tmp_path / "run", eps=[0.02])
    seen = {sign["name"] for sign in summary["indicators"] if sign["triggered"]}
    assert seen & {"probabilities as logits", "zero gradients", "masked gradients"} == signs
    named = [sign["finding"] for sign in summary["indicators"] if sign["name"] == "probabilities as logits"]
    assert ("log-probabilities" in named[0]) == (kind == "log-softmax")
