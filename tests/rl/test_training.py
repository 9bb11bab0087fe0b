"""Runs that are stopped, and what their folders hold."""

from __future__ import annotations

import errno
import io
import os
import resource
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

pytest.importorskip("stable_baselines3", reason="needs the extra [rl]")

from adrgd.errors import RunFolderError, RunFolderWarning, UsageError
from adrgd.rl import TD3, checkpoint, refined_policy
from adrgd.rl import training as training_module
from adrgd.rl.checkpoint import CHECKPOINT
from adrgd.rl.evaluations import EVALUATIONS
from adrgd.rl.training import Training, load_run, train
from adrgd.runs import Run, open_run

from .worlds import REACH, agent, quick, transitions, weights

TINY = Training(
    env=REACH, steps=120, evaluate_every=40, episodes=2, learning_starts=20, update_every=10, batch_size=8,
    net=(16, 16), refine=quick(),
)  # fmt: skip


def result(out: Path) -> tuple[list[Any], list[dict[str, Any]]]:
    model, env = load_run(out)
    assert env == REACH
    return weights(model), pq.read_table(out / EVALUATIONS).to_pylist()


def same(one: tuple[list[Any], Any], other: tuple[list[Any], Any]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one[0], other[0], strict=True)) and one[1] == other[1]


def test_what_a_run_leaves(tmp_path: Path) -> None:
    told: list[tuple[int, float | None]] = []
    summary = train(TINY, tmp_path / "run", advance=lambda *news: told.append(news))
    rows = pq.read_table(tmp_path / "run" / EVALUATIONS).to_pylist()
    assert [(row["step"], row["episode"]) for row in rows] == [(s, k) for s in (40, 80, 120) for k in (0, 1)]
    assert summary["reward"] == np.mean([row["reward"] for row in rows[-2:]])
    assert all(row["gain"] > 0 for row in rows)
    assert [step for step, reward in told if reward is not None] == [40, 80, 120]
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == [
        "checkpoint.zip", "checksums.sha256", "config.yaml", "evaluations.parquet", "tensorboard",
    ]  # fmt: skip


def test_tensorboard_has_gain_and_rewards(tmp_path: Path) -> None:
    events = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    train(TINY, tmp_path)
    log = events.EventAccumulator(str(tmp_path / "tensorboard"))
    log.Reload()
    gains = [event.value for event in log.Scalars("refine/gain")]
    assert gains
    assert min(gains) > 0
    assert [event.step for event in log.Scalars("eval/mean_reward")] == [40, 80, 120]


@pytest.mark.parametrize("algo", ["td3", "ddpg"])
@pytest.mark.parametrize("stop", [39, 75])
def test_a_stopped_run_goes_on_to_the_same_bits(
    algo: Any, stop: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    training = replace(TINY, algo=algo)
    train(training, tmp_path / "whole")
    count = 0

    class Power(training_module.ALGORITHMS[algo]):  # type: ignore[misc,name-defined]
        def _sample_action(self, *args: Any, **settings: Any) -> Any:
            nonlocal count
            count += 1
            if count == stop:
                raise KeyboardInterrupt
            return super()._sample_action(*args, **settings)

    with monkeypatch.context() as patch:
        patch.setitem(training_module.ALGORITHMS, algo, Power)
        with pytest.raises(KeyboardInterrupt):
            train(training, tmp_path / "stopped")
    assert (tmp_path / "stopped" / CHECKPOINT).exists() == (stop > 40)
    train(training, tmp_path / "stopped", resume=True)
    assert same(result(tmp_path / "stopped"), result(tmp_path / "whole"))


def test_the_table_is_made_again_when_only_the_checkpoint_was_written(tmp_path: Path) -> None:
    train(TINY, tmp_path)
    before = result(tmp_path)
    (tmp_path / EVALUATIONS).unlink()
    train(TINY, tmp_path, resume=True)
    assert same(result(tmp_path), before)


def test_the_replay_buffer_comes_back(tmp_path: Path) -> None:
    model = agent(buffer_size=50, refine=quick()).learn(70)
    with open_run(tmp_path / "run", {}, resume=False) as folder:
        checkpoint.save(folder, model, [{"a": 1}])
        again, rows = checkpoint.load(folder, TD3, model.get_env())
    assert rows == [{"a": 1}]
    assert (again.replay_buffer.pos, again.replay_buffer.full) == (20, True)
    assert np.array_equal(again.replay_buffer.observations, model.replay_buffer.observations)
    assert all(np.array_equal(a, b) for a, b in zip(transitions(again), transitions(model), strict=True))


@contextmanager
def little_room(size: int) -> Iterator[None]:
    """No file may grow beyond this many bytes: what a full disk does, without one."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_loses_nothing(tmp_path: Path) -> None:
    short = replace(TINY, steps=80)
    train(short, tmp_path)
    whole = (tmp_path / CHECKPOINT).read_bytes()
    with open_run(tmp_path, short.config(), resume=True) as folder:
        model, rows = checkpoint.load(folder, TD3, agent().get_env())
        with little_room(20_000), pytest.raises(RunFolderError, match=r"cannot write .*checkpoint.zip.* --resume"):
            checkpoint.save(folder, model, rows)
    assert (tmp_path / CHECKPOINT).read_bytes() == whole
    assert not list(tmp_path.glob(".*"))


def test_a_disk_that_fills_up_in_the_middle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train(TINY, tmp_path / "whole")
    real, saved = checkpoint.save, []

    def full(folder: Run, model: Any, rows: list[dict[str, Any]]) -> None:
        with monkeypatch.context() as patch:
            if saved:
                patch.setattr(os, "fsync", _no_space)
            real(folder, model, rows)
        saved.append(1)

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "save", full)
        with pytest.raises(RunFolderError, match="No space left"):
            train(TINY, tmp_path / "full")
    assert len(saved) == 1
    train(TINY, tmp_path / "full", resume=True)
    assert same(result(tmp_path / "full"), result(tmp_path / "whole"))


def _no_space(descriptor: int) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_another_run_s_folder_is_refused(tmp_path: Path) -> None:
    train(replace(TINY, steps=40), tmp_path)
    with pytest.raises(RunFolderError, match="not empty.*--resume"):
        train(replace(TINY, steps=40), tmp_path)
    with pytest.raises(RunFolderError, match="other settings .*seed: 0 there, 1 here"):
        train(replace(TINY, steps=40, seed=1), tmp_path, resume=True)
    with pytest.raises(RunFolderError, match="other settings .*refine"):
        train(replace(TINY, steps=40, refine=quick(radius=0.1)), tmp_path, resume=True)


@pytest.mark.parametrize("damage", [lambda data: data[:1000], lambda data: b"", lambda data: data[:-30] + bytes(30)])
def test_a_damaged_checkpoint(damage: Callable[[bytes], bytes], tmp_path: Path) -> None:
    train(replace(TINY, steps=40), tmp_path)
    file = tmp_path / CHECKPOINT
    before, _ = result(tmp_path)
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(RunFolderError, match=r"checkpoint\.zip (cannot be read|does not match its checksum)"):
        load_run(tmp_path)
    with pytest.warns(RunFolderWarning, match=r"checkpoint\.zip does not match its checksum: it is set aside"):
        train(replace(TINY, steps=40), tmp_path, resume=True)
    assert all(torch.equal(a, b) for a, b in zip(result(tmp_path)[0], before, strict=True))


def test_folders_that_are_no_runs(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match="is not a folder of `adrgd rl train`"):
        load_run(tmp_path / "nowhere")
    (tmp_path / "config.yaml").write_text("model: other")
    with pytest.raises(RunFolderError, match="is not a folder of `adrgd rl train`"):
        load_run(tmp_path)


def test_nothing_is_written_for_a_world_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="Nowhere-v0"):
        train(replace(TINY, env="Nowhere-v0"), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"algo": "sac"}, "unknown algorithm 'sac'; expected one of td3, ddpg"),
        ({"steps": 0}, "must be positive"),
        ({"noise": -1.0}, "must be positive"),
        ({"net": (0,)}, "must be positive"),
        ({"steps": 75}, "multiples of update_every = 10"),
    ],
)
def test_settings_that_are_refused(settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        replace(TINY, **settings)


def test_a_finished_run_can_be_refined(tmp_path: Path) -> None:
    train(replace(TINY, steps=40, refine=None), tmp_path)
    model, _ = load_run(tmp_path)
    seen = np.ones(3, np.float32)
    assert not np.array_equal(refined_policy(model).predict(seen)[0], model.predict(seen)[0])


def test_checkpoints_hold_no_pickled_objects(tmp_path: Path) -> None:
    train(replace(TINY, steps=40), tmp_path)
    with zipfile.ZipFile(tmp_path / CHECKPOINT) as file:
        for name in file.namelist():
            if name.endswith(".pth"):
                torch.load(io.BytesIO(file.read(name)), weights_only=True)
            else:
                assert name == "note.json" or np.lib.format.read_magic(io.BytesIO(file.read(name)))


def test_an_environment_in_a_module_needs_trust(tmp_path: Path) -> None:
    train(replace(TINY, steps=40), tmp_path)
    config = tmp_path / "config.yaml"
    config.write_text(config.read_text().replace(REACH, f"antigravity:{REACH}"))
    (tmp_path / "checksums.sha256").unlink()
    with pytest.raises(RunFolderError, match="can run any code: .* add --trust"):
        load_run(tmp_path)
    assert "antigravity" not in sys.modules
