"""Attacks on networks of other tasks, against the optima of linear ones; their folders and the command."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from adrgd import load_data
from adrgd.attacks.checking import check_examples
from adrgd.attacks.task import Answer, TaskAttack, attack_task
from adrgd.attacks.task_run import run_task
from adrgd.attacks.threat import Threat
from adrgd.cli import run
from adrgd.data import Images
from adrgd.errors import AdrgdError

EPS = 0.1
THREAT = Threat(eps=EPS)


@pytest.fixture
def x() -> Tensor:
    return torch.rand(6, 1, 4, 4, generator=torch.Generator().manual_seed(1)) * 0.4 + 0.3


class Flat(nn.Module):
    """A linear network of the flattened image, whose outputs have a given shape."""

    def __init__(self, *shape: int) -> None:
        super().__init__()
        torch.manual_seed(2)
        self.shape, self.linear = shape, nn.Linear(16, int(np.prod(shape)))
        self.eval().requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        answer: Tensor = self.linear(x.flatten(1)).reshape(len(x), *self.shape)
        return answer


def attack(task: Any, **more: Any) -> TaskAttack:
    return TaskAttack(task=task, threat=THREAT, solver="pgd", steps=10, **more)  # type: ignore[arg-type]


def test_labels_of_a_linear_network(x: Tensor) -> None:
    net = Flat(3)
    net.linear.bias -= net(x).mean(0)
    labels = (net(x) > 0).long()
    found = attack_task(net, x, labels, attack("multilabel"))
    reach = EPS * net.linear.weight.abs().sum(1)
    assert torch.equal(found.success, (net(x).abs() < reach).any(1)), "any label that can be turned is"
    assert (found.before == 0).all()
    assert torch.equal(found.after > 0, found.success)


def test_a_number_leaves_its_band_when_it_can(x: Tensor) -> None:
    """From the middle too, where the slopes towards both ends cancel out."""
    net = Flat(1)
    label = net(x)[:, 0]
    reach = float(EPS * net.linear.weight.abs().sum())
    near = attack_task(net, x, label, attack("regression", band=0.9 * reach))
    assert near.success.all()
    far = attack_task(net, x, label, attack("regression", band=1.1 * reach))
    assert not far.success.any()
    torch.testing.assert_close((far.after - far.before).abs(), torch.full((6,), reach).double(), rtol=1e-4, atol=0)


def test_a_map_of_a_pixelwise_network(x: Tensor) -> None:
    """Each pixel's class is whether it is brighter than one half: those within eps of it can be turned."""

    class Bright(nn.Module):
        def forward(self, x: Tensor) -> dict[str, Tensor]:
            return {"out": torch.cat([0.5 - x, x - 0.5], 1)}

    labels = (x[:, 0] > 0.5).long()
    labels[:, 0, 0] = 255
    found = attack_task(Bright().eval(), x, labels, attack("segmentation", share=0.3))
    close = ((x[:, 0] - 0.5).abs() < EPS) & (labels != 255)
    most = close.flatten(1).double().mean(1) * 16 / 15
    assert torch.equal(found.success, most >= 0.3)
    assert (found.after[found.success] >= 0.3).all()
    assert (found.before == 0).all()
    overlap = found.overlap
    assert overlap is not None
    assert torch.equal(overlap[:, 0, :, 0], overlap[:, 0, :, 1]), "all agree before"


@pytest.mark.filterwarnings("ignore::adrgd.errors.AdrgdWarning")
@pytest.mark.parametrize(
    ("task", "shape", "labels", "more", "rule", "figures"),
    [
        ("binary", (1,), lambda y: (y[:, 0] > 0).astype(np.int64), [], None, None),
        ("multilabel", (3,), lambda y: (y > 0).astype(np.int64), ["--share", "1"], "1 of an image", "labels_wrong"),
        ("segmentation", (3, 4, 4), lambda y: y.argmax(1), ["--share", "0.5"], "0.5 of an image's pixels", "mean_iou"),
        ("regression", (1,), lambda y: y[:, 0], ["--band", "0.01"], "0.01 or more away", "mean_shift"),
    ],
)  # fmt: skip
def test_the_command(
    x: Tensor, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, task: str,
    shape: tuple[int, ...], labels: Any, more: list[str], rule: str | None, figures: str | None,
) -> None:  # fmt: skip
    monkeypatch.syspath_prepend(str(Path(__file__).parent.parent))
    (tmp_path / "nets.py").write_text(
        "from attacks.test_task import Flat\n\ndef make(shape):\n    return Flat(*map(int, str(shape).split('x')))\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    np.savez(tmp_path / "data.npz", images=x.numpy(), labels=labels(Flat(*shape)(x).numpy()))
    name = f"nets:make?shape={'x'.join(map(str, shape))}"
    words = [
        "attack",
        "--model",
        name,
        "--data",
        f"npz:{tmp_path}/data.npz?layout=NCHW",
        "--task",
        task,
        "--eps",
        "0.1",
    ]
    words += ["--solver", "pgd", "--steps", "5", *more, "--out", str(tmp_path / "run")]
    assert run([*words, "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["images"] == 6
    assert (tmp_path / "run" / "report.html").exists()
    if figures is not None and rule is not None:
        assert rule in summary["rule"]
        assert figures in summary["figures"]
        assert run([*words, "--resume"]) == 0
        assert "success rate" in capsys.readouterr().out
    assert run(["check", str(tmp_path / "run"), "--trust"]) == 0
    assert "6 images looked at again" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("task", "shape", "labels", "more"),
    [
        ("multilabel", (3,), lambda y: (y > 0).long(), {}),
        ("segmentation", (3, 4, 4), lambda y: y.argmax(1), {"share": 0.5}),
        ("regression", (1,), lambda y: y[:, 0], {"band": 0.1}),
    ],
)
def test_examples_are_judged_again_by_the_rule_of_their_task(
    x: Tensor, tmp_path: Path, task: Any, shape: tuple[int, ...], labels: Any, more: dict[str, float]
) -> None:
    """What is broken for sure under one network stands under another, whose answer is the labels."""
    net = Flat(*shape)
    answer = net(x)
    asked = TaskAttack(task=task, threat=Threat(eps=0.5), solver="pgd", steps=20, **more)  # type: ignore[arg-type]
    images = Images(x, labels(answer), torch.arange(6), None, "")
    config = {"model": "m", "data": "d", "seed": 0, "threat": asked.threat.settings(), "solver": {"name": "pgd"}}
    assert run_task(net, images, asked, tmp_path, config=config)["success_rate"] > 0
    sound = check_examples(tmp_path, asked.threat, images, Answer(net), None, None, asked)
    assert not sound.findings
    assert sound.broken > 0
    still = check_examples(tmp_path, asked.threat, images, lambda x: answer, None, None, asked)
    assert any("recorded as broken are not so" in one for one in still.findings)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda x: attack_task(Flat(3), x, torch.zeros(6, 2), attack("multilabel")), r"labels of shape \(6, 3\)"),
        (lambda x: attack_task(Flat(3), x, torch.zeros(6), attack("regression", band=1.0)), "one number a row"),
        (lambda x: attack_task(Flat(3, 4, 4), x, torch.full((6, 4, 4), 3), attack("segmentation")), "between 0 and 2"),
        (lambda x: attack_task(Flat(3), x, torch.full((6, 3), 7), attack("multilabel")), "must be 0 or 1, found 7"),
        (lambda x: attack_task(Flat(3), x, ["a"] * 6, attack("multilabel")), "numbers in the form of the task"),
        (lambda x: attack_task(Flat(3), x, None, attack("multilabel")), "numbers in the form of the task"),
        (lambda x: attack_task(Flat(1), x, torch.full((6,), float("nan")), attack("regression", band=1.0)), "NaN"),
        (lambda x: attack_task(Flat(3), x * 255, torch.ones(6, 3), attack("multilabel")), "images must lie in"),
        (lambda x: attack_task(Flat(3), x / 0, torch.ones(6, 3), attack("multilabel")), "images must be finite"),
        (lambda x: TaskAttack(task="multilabel", threat="linf"), "threat must be a Threat"),
        (lambda x: attack("regression"), "needs a band"),
        (lambda x: attack("multilabel", band=1.0), "it alone, needs a band"),
        (lambda x: attack("multilabel", share=0.0), "share of labels or pixels"),
        (lambda x: attack("classification"), "expected one of the tasks"),
        (lambda x: TaskAttack(task="multilabel", threat=Threat(target=1)), "a target is a class"),
        (lambda x: load_data((x, torch.zeros(6, 3)), task="segmentation"), "a map of labels for each of the 6"),
        (lambda x: load_data((x, torch.full((6, 3), 2)), task="multilabel"), "labels of 0 and 1"),
    ],
)  # fmt: skip
def test_errors_are_sentences(x: Tensor, make: Any, sentence: str) -> None:
    with pytest.raises(AdrgdError, match=sentence):
        make(x)
