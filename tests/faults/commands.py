"""One tiny run of every command that can be resumed, and the bits that it comes to."""

from __future__ import annotations

import io
import json
import tempfile
import warnings
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any
from unittest import mock

import pyarrow.parquet as pq
import torch
from torch import nn

from adrgd.attacks import Attack, Threat
from adrgd.attacks.matrix import Own, run_matrix
from adrgd.attacks.run import run_attack
from adrgd.attacks.smallest.minimum import Minimum
from adrgd.attacks.smallest.run import run_minimum
from adrgd.data import Images
from adrgd.runs import ASIDE

SECONDS = ("seconds", "load_seconds", "search_seconds", "passes", "rounds")  # and what a search does in them

Work = Callable[[Path, bool], object]
"""Fills a folder, or goes on with what is there."""


@dataclass(frozen=True)
class Command:
    """A command, and how its results are compared.

    Attributes:
        different: names of files whose bits hold times or names of processes; they are compared by content.
    """

    name: str
    work: Work
    different: dict[str, Callable[[Path], object]]
    skipped: tuple[str, ...] = ()

    def run(self, out: Path, *, resume: bool) -> None:
        """Work, with clocks that stand still and pages without curves, which take most of the time."""
        with _without_time():
            self.work(out, resume)

    def results(self, out: Path) -> dict[str, object]:
        """What is in the folder, in such a form that the same is equal."""
        found: dict[str, object] = {}
        for file in sorted(out.rglob("*")):
            name = file.relative_to(out).as_posix()
            if file.is_file() and not name.startswith((ASIDE, *self.skipped)):
                found[name] = self.different[file.name](file) if file.name in self.different else file.read_bytes()
        return found


@contextmanager
def _without_time() -> Iterator[None]:
    pages = ("attacks.report", "attacks.smallest.run", "attacks.matrix.report", "latent.report")
    with mock.patch("time.perf_counter", return_value=0.0):
        patches = [mock.patch(f"adrgd.{page}.chart", return_value="") for page in pages]
        for patch in patches:
            patch.start()
        try:
            yield
        finally:
            for patch in patches:
                patch.stop()


@lru_cache(maxsize=1)
def _problem() -> tuple[nn.Module, Images]:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 4)).eval().requires_grad_(False)
    images = torch.rand(4, 1, 4, 4)
    return net, Images(images, net(images).argmax(1), torch.arange(4), None, "test")


def _attack(out: Path, resume: bool) -> None:
    net, images = _problem()
    config = {
        "model": "test", "data": "test", "steps": 2, "restarts": 1, "seed": 0, "solver": {"name": "graduated"},
        "threat": {"norm": "linf", "eps": 0.1, "target": None},
    }  # fmt: skip
    attack = Attack(threat=Threat(eps=0.1), steps=2)
    run_attack(net, images, attack, out, config=config, batch_size=2, resume=resume)


def _minimum(out: Path, resume: bool) -> None:
    net, images = _problem()
    config = {
        "model": "test", "data": "test", "norm": "l2", "passes": 18, "seed": 0, "solver": {"name": "graduated"},
        "threat": {"norm": "l2", "target": None},
    }  # fmt: skip
    run_minimum(net, images, Minimum(passes=18, steps=2), out, config=config, batch_size=2, resume=resume)


def _evaluate(out: Path, resume: bool) -> None:
    net, images = _problem()
    entrants = (Own.named("pgd", Attack(steps=2)),)
    run_matrix({"net": net}, images, entrants, out, eps=(0.1,), batch_size=4, config={"data": "test"}, resume=resume)


def _train(out: Path, resume: bool) -> None:
    from adrgd.training import Training, train

    training = Training(
        model="faults.commands:small", data="bundled:mnist", test="bundled:mnist", attack="fgsm", eps=0.1, steps=1,
        epochs=1, batch_size=4, limit=8, test_limit=2,
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "bundled:mnist has no test images")
        train(training, out, every=0.0, resume=resume)


def small() -> nn.Module:
    """A network to be trained."""
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 4), nn.ReLU(), nn.Linear(4, 10))


def _reconstruct(out: Path, resume: bool) -> None:
    from adrgd.latent.operators import parse_operator
    from adrgd.latent.run import Setting, run_reconstruct
    from adrgd.latent.targets import Targets

    torch.manual_seed(0)
    generator = nn.Sequential(nn.Linear(3, 64), nn.Sigmoid(), nn.Unflatten(1, (1, 8, 8))).eval().requires_grad_(False)
    targets = Targets(torch.rand(2, 1, 8, 8), ("first", "second"))
    setting = Setting(operator=parse_operator("identity"), solvers=("adam",), steps=2, code=3, batch_size=1)
    config = {"generator": "test", "data": "test", "operator": "identity", "steps": 2, "restarts": 1, "seed": 0}
    run_reconstruct(generator, targets, setting, out, config=config, resume=resume)


@lru_cache(maxsize=1)
def _instances() -> tempfile.TemporaryDirectory[str]:
    """A property that is violated, and one that cannot be read."""
    from falsify.problems import SUM_AND_DIFFERENCE, save_linear, vnnlib

    folder = tempfile.TemporaryDirectory()
    home = Path(folder.name)
    save_linear(home / "net.onnx", SUM_AND_DIFFERENCE)
    for name, text in (("yes", vnnlib("(>= Y_0 1)")), ("bad", "(assert (>= Y_0")):
        (home / f"{name}.vnnlib").write_text(text)
    (home / "instances.csv").write_text("net.onnx,yes.vnnlib,30\nnet.onnx,bad.vnnlib,30\n")
    return folder


def _falsify(out: Path, resume: bool) -> None:
    from adrgd.falsify import batch
    from adrgd.falsify.instances import read_instances
    from adrgd.falsify.workers import Done

    def here(jobs: Any, work: Any, **settings: Any) -> Iterator[Done[Any]]:
        yield from (Done(place, work(job), "", 0.0) for place, job in enumerate(jobs))

    with mock.patch.object(batch, "run_jobs", here):
        listed = read_instances(Path(_instances().name) / "instances.csv")
        run = batch.Batch(listed, out, seed=0, tolerance=0.0, config={}, resume=resume)
        for _ in run.run():
            pass
        run.finish()


def _rl(out: Path, resume: bool) -> None:
    from rl.worlds import REACH, quick

    from adrgd.rl.training import Training, train

    training = Training(
        env=REACH, steps=20, evaluate_every=10, episodes=1, learning_starts=5, update_every=5, batch_size=4, net=(4,),
        refine=quick(steps=2),
    )  # fmt: skip
    train(training, out, resume=resume)


def _rows(file: Path) -> object:
    rows = pq.read_table(file).to_pylist()
    return [{name: value for name, value in row.items() if name not in SECONDS} for row in rows]


def _part(file: Path) -> object:
    return {name: value for name, value in json.loads(file.read_text()).items() if name not in SECONDS}


def _names(file: Path) -> object:
    return sorted(line.split("  ")[1] for line in file.read_text().splitlines() if "  " in line)


def _checkpoint(file: Path) -> object:
    found = torch.load(file, weights_only=True)
    return {key: repr(found[key]) for key in ("state", "module", "optimiser")}


def _agent(file: Path) -> object:
    with zipfile.ZipFile(file) as packed:
        names = [name for name in packed.namelist() if name.endswith(".pth")]
        states = {name: torch.load(io.BytesIO(packed.read(name)), weights_only=True) for name in names}
    return repr(states)


@lru_cache(maxsize=1)
def _policy() -> tempfile.TemporaryDirectory[str]:
    """A folder of `adrgd rl train`."""
    folder = tempfile.TemporaryDirectory()
    _rl(Path(folder.name) / "run", False)
    return folder


def _siege(out: Path, resume: bool) -> None:
    from rich.progress import Progress
    from rl.worlds import REACH

    from adrgd.cli.folders import Run
    from adrgd.cli.rl_attack import Siege, besiege

    options = Siege(
        policy=Path(_policy().name) / "run", env=REACH, eps=0.1, solver="fgsm", budget=4, episodes=2, side_by_side=2,
        episode_steps=3, run=Run(resume=resume),
    )  # fmt: skip
    besiege(options, out, Progress(disable=True))


def _there(file: Path) -> object:
    return None


COMMANDS = {
    command.name: command
    for command in (
        Command("attack", _attack, {}),
        Command("attack --minimum", _minimum, {}),
        Command("evaluate", _evaluate, {}),
        Command("train", _train, {"checkpoint.pt": _checkpoint, "checksums.sha256": _names}),
        Command("reconstruct", _reconstruct, {}),
        Command(
            "falsify", _falsify,
            {"results.parquet": _rows, "summary.md": _there, "report.html": _there, "checksums.sha256": _names},
        ),
        Command(
            "rl train", _rl, {"checkpoint.zip": _agent, "checksums.sha256": _there}, skipped=("tensorboard",),
        ),
        Command("rl attack", _siege, {}),
    )
}  # fmt: skip

NEEDS = {"falsify": "onnxruntime", "reconstruct": "skimage", "rl train": "stable_baselines3",
         "rl attack": "stable_baselines3"}  # fmt: skip
"""What a command imports that may not be installed."""
