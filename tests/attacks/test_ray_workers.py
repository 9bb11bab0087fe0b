"""Batches on Ray workers: the same results as here, whatever happens to the workers."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from adrgd import AdrgdError, Images, ModelError, NonFiniteError, UsageError, cli, load_data, load_model
from adrgd.attacks import Attack, AttackResult, Minimum, attack_batch, ray_workers, smallest_changes
from adrgd.attacks.batches import Batch, split
from adrgd.attacks.ray_workers import RayWorkers
from adrgd.errors import MissingExtraError

from .problems import Problem
from .test_run import contents, run


def begin(ray: ModuleType) -> None:
    """Ray gives itself half a minute to start, which a busy machine may need twice."""
    for last in (False, False, True):
        try:
            ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
        except Exception as error:
            if last or "timed out during startup" not in str(error):
                raise
            ray.shutdown()
        else:
            return


@pytest.fixture(scope="module")
def ray() -> Iterator[ModuleType]:
    """A session of two processors, whose workers take the classes of this file by value."""
    ray = pytest.importorskip("ray")
    before = os.environ.get("RAY_USAGE_STATS_ENABLED")
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    begin(ray)
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    yield ray
    ray.cloudpickle.unregister_pickle_by_value(sys.modules[__name__])
    ray.shutdown()
    if before is None:
        del os.environ["RAY_USAGE_STATS_ENABLED"]
    else:
        os.environ["RAY_USAGE_STATS_ENABLED"] = before


@pytest.fixture
def batches(problem: Problem) -> list[Batch]:
    images = Images(problem.images, problem.labels, torch.arange(100, 140), None, "test")
    return split(images, 8)


def attack_of(problem: Problem) -> Attack:
    return Attack(**problem.attack | {"restarts": 3})  # type: ignore[arg-type]


def check_same(found: list[tuple[Batch, AttackResult]], problem: Problem, batches: list[Batch]) -> None:
    """Bit for bit what this process finds; the time it took is all that may differ."""
    assert sorted(batch.start for batch, _ in found) == [batch.start for batch in batches]
    for batch, result in found:
        here = attack_batch(problem.net, batch.images, batch.labels, attack_of(problem), index=batch.index)
        for field in fields(here):
            there, own = getattr(result, field.name), getattr(here, field.name)
            if field.name != "seconds":
                assert there is own is None or torch.equal(there, own), field.name


def test_results_are_those_of_one_process(ray: ModuleType, problem: Problem, batches: list[Batch]) -> None:
    check_same(list(RayWorkers()(problem.net, attack_of(problem), batches)), problem, batches)


def test_smallest_changes_are_those_of_one_process(ray: ModuleType, problem: Problem, batches: list[Batch]) -> None:
    minimum = Minimum(passes=120)
    for batch, found in RayWorkers()(problem.net, minimum, batches[:2]):
        here = smallest_changes(problem.net, batch.images, batch.labels, minimum, index=batch.index)
        assert torch.equal(found.adversarial, here.adversarial)


class Deadly(nn.Module):
    """Kills the process that it runs in, the first times that it is called outside of its home."""

    def __init__(self, net: nn.Module, deaths: Path, count: int) -> None:
        super().__init__()
        self.net, self.deaths, self.count, self.home = net, deaths, count, os.getpid()

    def forward(self, x: Tensor) -> Tensor:
        if os.getpid() != self.home:
            for death in range(self.count):
                try:
                    (self.deaths / str(death)).touch(exist_ok=False)
                except FileExistsError:
                    continue
                os.kill(os.getpid(), signal.SIGKILL)
        logits: Tensor = self.net(x)
        return logits


def test_a_killed_worker_changes_nothing(
    ray: ModuleType, problem: Problem, batches: list[Batch], tmp_path: Path
) -> None:
    net = Deadly(problem.net, tmp_path, 1).eval()
    check_same(list(RayWorkers()(net, attack_of(problem), batches)), problem, batches)
    assert len(list(tmp_path.iterdir())) == 1


class Overflowing(nn.Module):
    """Finite at the images, and not where the attack goes."""

    def __init__(self, net: nn.Module, images: Tensor) -> None:
        super().__init__()
        self.net = net
        self.register_buffer("images", images)

    def forward(self, x: Tensor) -> Tensor:
        known = (x[:, None] == self.images).flatten(2).all(2).any(1)
        logits: Tensor = self.net(x)
        return torch.where(known[:, None], logits, logits * torch.inf)


class Broken(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        raise RuntimeError("no memory\nfor this")


def test_errors_are_those_of_one_process(ray: ModuleType, problem: Problem, batches: list[Batch]) -> None:
    attack = attack_of(problem)
    net = Overflowing(problem.net, problem.images).eval()
    with pytest.raises(NonFiniteError) as here:
        attack_batch(net, batches[0].images, batches[0].labels, attack, index=batches[0].index)
    with pytest.raises(AdrgdError) as there:
        list(RayWorkers()(net, attack, batches[:1]))
    assert str(there.value) == str(here.value)
    with pytest.raises(AdrgdError, match=r"8 images that begins with image 108 \(RuntimeError: no memory\)"):
        list(RayWorkers()(Broken().eval(), attack, batches[1:2]))


class Unsendable(nn.Module):
    def __reduce__(self) -> str:
        raise TypeError("not me")


def test_networks_that_cannot_be_sent_are_loaded(ray: ModuleType, problem: Problem) -> None:
    spec, batches = "bundled:mnist-pgd", split(load_data("bundled:mnist", limit=6), 3)
    with pytest.raises(ModelError, match="cannot be sent"):
        list(RayWorkers()(Unsendable(), attack_of(problem), batches))
    found = list(RayWorkers(spec=spec)(Unsendable(), attack_of(problem), batches))
    check_same(found, replace(problem, net=load_model(spec).module), batches)


def test_impossible_workers(ray: ModuleType, problem: Problem, batches: list[Batch]) -> None:
    with pytest.raises(UsageError, match="3 processor thread"):
        list(RayWorkers(threads=3)(problem.net, attack_of(problem), batches))
    with pytest.raises(UsageError, match="and a GPU"):
        list(RayWorkers(device="cuda")(problem.net, attack_of(problem), batches))


def test_ray_is_missing(problem: Problem, batches: list[Batch], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError, match=r'pip install ".*\[ray\]"'):
        list(RayWorkers()(problem.net, attack_of(problem), batches))


@pytest.mark.parametrize(
    ("address", "reason"),
    [("auto", "nothing at auto"), ("127.0.0.1:1", "refused"), ("ray://127.0.0.1:1", "refused")],
)
def test_an_address_where_nothing_is(
    problem: Problem, batches: list[Batch], monkeypatch: pytest.MonkeyPatch, address: str, reason: str
) -> None:
    ray = pytest.importorskip("ray")
    monkeypatch.setattr(ray, "is_initialized", lambda: False)

    def refuse(**settings: Any) -> None:
        raise ConnectionError(f"nothing at {settings['address']}\nand a long story")

    monkeypatch.setattr(ray, "init", refuse)
    with pytest.raises(UsageError, match=rf"cannot reach Ray at '{address}' \(.*{reason}.*\); expected local"):
        list(RayWorkers(address=address)(problem.net, attack_of(problem), batches))


def test_a_run_stopped_there_goes_on_here(ray: ModuleType, problem: Problem, tmp_path: Path) -> None:
    told: list[int] = []

    def stop(done: int, broken: int) -> None:
        told.append(done)
        if len(told) == 2:
            raise KeyboardInterrupt

    run(problem, tmp_path / "here")
    run(problem, tmp_path / "there", workers=RayWorkers())
    with pytest.raises(KeyboardInterrupt):
        run(problem, tmp_path / "stopped", workers=RayWorkers(), advance=stop)
    assert told == [8, 16]
    run(problem, tmp_path / "stopped", resume=True)
    assert contents(tmp_path / "here") == contents(tmp_path / "there") == contents(tmp_path / "stopped")


def test_the_command(ray: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["attack", "--model", "bundled:mnist-pgd", "--data", "bundled:mnist", "--eps", "0.25", "--limit", "12"]
    words += ["--steps", "5", "--batch-size", "5", "--threads", "1", "--json"]
    assert cli.run([*words, "--out", str(tmp_path / "here")]) == 0
    assert cli.run([*words, "--ray", "local", "--out", str(tmp_path / "there")]) == 0
    here, there = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    for summary in (here, there):
        del summary["seconds"], summary["out"]
    assert here == there


def test_a_batch_that_kills_every_worker(
    ray: ModuleType, problem: Problem, batches: list[Batch], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_workers, "RETRIES", 0)
    net = Deadly(problem.net, tmp_path, 1).eval()
    with pytest.raises(AdrgdError, match="1 Ray worker.* died at the batch of 8 images that begins with image 132"):
        list(RayWorkers()(net, attack_of(problem), batches[4:]))


def test_what_this_program_does_about_sigterm_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray takes the signal for itself when a session begins."""

    def ours(number: int, frame: Any) -> None:
        raise NotImplementedError

    def init(**settings: Any) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)

    fake = SimpleNamespace(is_initialized=lambda: False, init=init, shutdown=lambda: None)
    before = signal.signal(signal.SIGTERM, ours)
    try:
        with ray_workers._session(fake, "local"):
            assert signal.getsignal(signal.SIGTERM) is ours
    finally:
        signal.signal(signal.SIGTERM, before)


def test_evaluations_on_workers_are_those_of_one_process(
    ray: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["evaluate", "--models", "bundled:mnist-pgd", "--data", "bundled:mnist", "--limit", "4", "--eps", "0.1"]
    found = []
    for more in ([], ["--ray", "local"]):
        quick = ["--steps", "3", "--noise-points", "3", "--batch-size", "2", "--json", *more]
        assert cli.run([*words, *quick, "--out", str(tmp_path / f"run{len(more)}")]) == 0
        cells = json.loads(capsys.readouterr().out)["cells"]
        found.append([{name: value for name, value in cell.items() if name != "seconds"} for cell in cells])
    assert found[0] == found[1]
