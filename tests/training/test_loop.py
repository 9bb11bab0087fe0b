"""The training loop: what it learns, and that an interruption changes nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from adrgd import Box, LinfBall
from adrgd.data import load_data
from adrgd.errors import AdrgdError, DataError, RunFolderError, RunFolderWarning, UsageError
from adrgd.models import load_model, new_model
from adrgd.training import ATTACKS, Training, train
from adrgd.training.config import parts
from adrgd.training.loop import adversarial, order, rate

HERE = "bundled:mnist"
pytestmark = pytest.mark.filterwarnings("ignore:.*has no test images")
SMALL = Training(
    model="training.tiny:make", data=HERE, test=HERE, attack="pgd", eps=0.1, steps=2, epochs=2, batch_size=32, limit=96,
    test_limit=32,
)  # fmt: skip


def weights(out: Path) -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = load_file(out / "model.safetensors")
    return found


def stop_at(step: int) -> Any:
    def advance(done: int, total: int, loss: float) -> None:
        if done == step:
            raise KeyboardInterrupt

    return advance


@pytest.mark.parametrize("step", [1, 3, 4])
def test_an_interruption_changes_no_bit(tmp_path: Path, step: int) -> None:
    """In the middle of an epoch, at its end, and in the next one."""
    whole = train(SMALL, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        train(SMALL, tmp_path / "cut", every=0.0, advance=stop_at(step))
    resumed = train(SMALL, tmp_path / "cut", resume=True)
    one, other = weights(tmp_path / "whole"), weights(tmp_path / "cut")
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert resumed["losses"] == whole["losses"]
    assert resumed["robust_accuracy"] == whole["robust_accuracy"]


def test_dropout_and_batch_statistics_go_on_to_the_same_bits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "dropping.py").write_text(
        "from torch import nn\n"
        "def make():\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(784, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.5),\n"
        "        nn.Linear(16, 10))\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    training = replace(SMALL, model="dropping:make?mean=0.13&std=0.3", attack="fgsm")
    train(training, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        train(training, tmp_path / "cut", every=0.0, advance=stop_at(2))
    torch.rand(7)  # whatever else draws from the global generator
    train(training, tmp_path / "cut", resume=True)
    one, other = weights(tmp_path / "whole"), weights(tmp_path / "cut")
    assert all(torch.equal(one[name], other[name]) for name in one)
    spec = f"dropping:make?mean=0.13&std=0.3&weights={tmp_path / 'whole' / 'model.safetensors'}"
    assert load_model(spec)(load_data(HERE, limit=2).images).shape == (2, 10)


@pytest.mark.parametrize("attack", ATTACKS)
def test_every_attack_learns(tmp_path: Path, attack: str) -> None:
    summary = train(replace(SMALL, attack=attack, epochs=3, eps=0.02, limit=320), tmp_path)
    assert len(summary["losses"]) == 3
    assert summary["losses"][-1] < summary["losses"][0]
    assert summary["robust_accuracy"] <= summary["clean_accuracy"]
    assert summary["clean_accuracy"] > 0.2
    model = load_model(f"training.tiny:make?weights={tmp_path / 'model.safetensors'}")
    images = load_data(HERE, limit=32)
    right = (model(images.images).argmax(1) == images.labels).float().mean().item()
    assert right == pytest.approx(summary["clean_accuracy"])


@pytest.mark.parametrize("name", [name for name in ATTACKS if name != "none"])
def test_what_is_learnt_from_lies_in_the_ball_and_has_a_higher_loss(name: str) -> None:
    model, images = new_model(SMALL.model), load_data(HERE, limit=8)
    solver = replace(SMALL, attack=name).solver
    assert solver is not None
    found = adversarial(
        model.module, images.images, images.labels, solver, eps=0.1, steps=5, seed=0, identity=images.index
    )  # fmt: skip
    assert LinfBall(images.images, 0.1, Box(0.0, 1.0)).bind(images.images).contains(found.x).all()
    clean = nn.functional.cross_entropy(model(images.images), images.labels, reduction="none")
    assert (found.value > clean).all()
    assert model.module.training
    assert all(parameter.grad is None for parameter in model.module.parameters())


def test_every_image_is_met_once_an_epoch_in_another_order() -> None:
    first, second = order(50, 0, seed=3), order(50, 1, seed=3)
    assert first.sort().values.equal(torch.arange(50))
    assert second.sort().values.equal(torch.arange(50))
    assert not first.equal(second)
    assert first.equal(order(50, 0, seed=3))


def test_the_rate_rises_and_falls() -> None:
    rates = [rate(step, 100, 1.0) for step in range(100)]
    assert max(rates) == pytest.approx(1.0, abs=0.02)
    assert rates.index(max(rates)) in (29, 30)
    assert min(rates) > 0
    assert rates[-1] < 0.01


def test_parts() -> None:
    assert parts("mnist:here") == ("mnist:here?split=train", "mnist:here?split=test")
    assert parts("cifar10:here?split=test") == ("cifar10:here?split=test",) * 2
    assert parts("npz:file.npz") == ("npz:file.npz", "npz:file.npz")


def test_a_damaged_checkpoint_is_named(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(SMALL, tmp_path / "cut", every=0.0, advance=stop_at(1))
    (tmp_path / "cut" / "checkpoint.pt").write_bytes(b"nothing")
    with pytest.warns(RunFolderWarning, match="checkpoint.pt does not match its checksum: it is set aside"):
        train(SMALL, tmp_path / "cut", resume=True)
    train(SMALL, tmp_path / "whole")
    one, other = weights(tmp_path / "whole"), weights(tmp_path / "cut")
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_another_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(SMALL, tmp_path, every=0.0, advance=stop_at(1))
    with pytest.raises(RunFolderError, match="other settings"):
        train(replace(SMALL, seed=1), tmp_path, resume=True)
    with pytest.raises(RunFolderError, match="not empty"):
        train(SMALL, tmp_path)


def test_a_loss_that_explodes_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(AdrgdError, match="finite"):
        train(replace(SMALL, rate=1e30, epochs=4), tmp_path)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"attack": "magic"}, "unknown attack 'magic'"),
        ({"eps": 0.0}, "eps must be positive"),
        ({"eps": float("nan")}, "eps must be positive"),
        ({"rate": 0.0}, "must be positive"),
        ({"warmup": -1.0}, "warmup"),
    ],
)
def test_malformed(change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        replace(SMALL, **change)


def test_model_and_images_must_fit(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="belong together"):
        train(replace(SMALL, model="cifar-vgg-small"), tmp_path)
    assert not list(tmp_path.iterdir())


def test_labels_must_be_classes_of_the_model(tmp_path: Path) -> None:
    np.savez(tmp_path / "nine.npz", images=np.zeros((4, 28, 28), np.uint8), labels=np.arange(4) + 9)
    with pytest.raises(DataError, match="labels must lie between 0 and 9 .* found 9 to 12"):
        train(replace(SMALL, data=f"npz:{tmp_path / 'nine.npz'}", limit=None), tmp_path / "run")
    assert not (tmp_path / "run").exists()
