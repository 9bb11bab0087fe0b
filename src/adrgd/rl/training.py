"""Train an agent in legs, so that a run that was stopped goes on to the same result, to the bit.

A leg ends with an evaluation and a checkpoint. Each leg after the first begins with a fresh episode and with random
numbers of its own, seeded by the run's seed and the leg's number. So it depends on nothing but the checkpoint before
it, and no environment has to give up its state in the middle of an episode.

    config.yaml           everything that decides the result
    checkpoint.zip        the last leg's model, optimisers, replay buffer and evaluations
    evaluations.parquet   one row an evaluation episode
    tensorboard/          one file a leg; that of a leg that was stopped stays, and is not listed
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from gymnasium import spaces
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import configure
from stable_baselines3.common.noise import NormalActionNoise

from adrgd.errors import RunFolderError, UsageError
from adrgd.rl import checkpoint
from adrgd.rl.algorithms import DDPG, TD3
from adrgd.rl.checkpoint import CHECKPOINT
from adrgd.rl.config import RefineConfig
from adrgd.rl.environments import make_env
from adrgd.rl.evaluations import evaluate, write_evaluations
from adrgd.runs import Run, open_run, unwritten
from adrgd.runs.verify import read_config
from adrgd.settings import as_count, as_integer, as_number, as_seed, maybe, settle

ALGORITHMS: dict[str, type[TD3] | type[DDPG]] = {"td3": TD3, "ddpg": DDPG}
CURVES = "tensorboard"

Advance = Callable[[int, float | None], None]
"""Told the number of steps done and the mean reward of the last evaluation, if there was one."""


@dataclass(frozen=True, kw_only=True)
class Training:
    """Everything that decides what is learnt.

    Attributes:
        steps: of the environment.
        refine: None for the plain algorithm.
        evaluate_every: steps of a leg.
        episodes: of each evaluation, by the actor alone.
        learning_starts: steps of random actions; a tenth of all, at most 10,000, unless given.
        update_every: steps between updates, and how many are then made; 1 is Stable-Baselines3's own way, 50 is about
            twice as fast.
        noise: standard deviation of the exploration noise, in scaled actions.
        limit: end an episode of an evaluation after that many steps; see `attack_policy`.
        device: where actor and critics are; the closed form of refinements is for the processor.
    """

    algo: Literal["td3", "ddpg"] = "td3"
    env: str
    steps: int
    seed: int = 0
    refine: RefineConfig | None = None
    evaluate_every: int = 5000
    episodes: int = 5
    learning_starts: int | None = None
    update_every: int = 50
    batch_size: int = 100
    learning_rate: float = 1e-3
    noise: float = 0.1
    net: tuple[int, ...] = (400, 300)
    limit: int | None = None
    device: str = "cpu"

    def __post_init__(self) -> None:
        whole = ("steps", "evaluate_every", "episodes", "update_every", "batch_size")
        settle(self, **dict.fromkeys(whole, as_integer))
        settle(self, seed=as_seed, learning_rate=as_number, noise=as_number, limit=maybe(as_integer), net=_layers)
        settle(self, learning_starts=maybe(partial(as_count, least=0)))
        if not isinstance(self.env, str) or not isinstance(self.refine, RefineConfig | None):
            raise UsageError(
                f"expected the environment's name, and a RefineConfig or None, found {self.env!r} and {self.refine!r}"
            )
        if self.algo not in ALGORITHMS:
            raise UsageError(f"unknown algorithm {self.algo!r}; expected one of {', '.join(ALGORITHMS)}")
        least = min(
            self.steps, self.evaluate_every, self.episodes, self.update_every, self.batch_size, *self.net,
            self.steps if self.limit is None else self.limit,
        )  # fmt: skip
        if least < 1 or self.noise < 0 or self.learning_rate <= 0:
            raise UsageError("steps, episodes, sizes and the learning rate must be positive, and noise not negative")
        if self.steps % self.update_every or self.evaluate_every % self.update_every:
            raise UsageError(
                f"steps and evaluate_every must be multiples of update_every = {self.update_every}, found {self.steps} "
                f"and {self.evaluate_every}"
            )

    def config(self) -> dict[str, Any]:
        """As plain values, for config.yaml."""
        found = asdict(self) | {"net": list(self.net)}
        if self.device == "cpu":
            del found["device"]  # as in folders of before
        if self.refine is not None:
            found["refine"] |= {"solver": str(self.refine.solver)}
        return found

    def model(self) -> TD3 | DDPG:
        """A fresh model."""
        env = make_env(self.env)
        shape = env.action_space.shape or ()
        starts = min(10_000, self.steps // 10) if self.learning_starts is None else self.learning_starts
        return ALGORITHMS[self.algo](
            "MlpPolicy", env, refine=self.refine, seed=self.seed, device=self.device,
            buffer_size=min(10**6, self.steps), learning_starts=starts, batch_size=self.batch_size,
            learning_rate=self.learning_rate, train_freq=self.update_every, gradient_steps=self.update_every,
            action_noise=NormalActionNoise(np.zeros(shape), np.full(shape, self.noise)) if self.noise else None,
            policy_kwargs={"net_arch": list(self.net), "optimizer_kwargs": {"fused": True}},
        )  # fmt: skip


def train(training: Training, out: Path, *, resume: bool = False, advance: Advance | None = None) -> dict[str, Any]:
    """Train, evaluate and save under `out`; returns the summary of the last evaluation.

    Raises:
        UsageError, MissingExtraError: the environment cannot be made or has no continuous actions.
        RunFolderError: `out` belongs to another run, or a checkpoint cannot be written or read.
    """
    trial = make_env(training.env)  # before anything is written
    trial.close()
    if isinstance(trial.observation_space, spaces.Dict | spaces.Tuple):
        raise UsageError(
            f"{training.env} has the observations {trial.observation_space}; expected one array of numbers: wrap it in "
            "gymnasium.wrappers.FlattenObservation"
        )
    rows: list[dict[str, Any]]
    with open_run(out, training.config(), resume=resume) as folder:
        if folder.has(CHECKPOINT):
            model, rows = checkpoint.load(
                folder, ALGORITHMS[training.algo], make_env(training.env), training.refine, training.device
            )
            write_evaluations(folder, rows)  # a kill may have come between the checkpoint and the table
        else:
            model, rows = training.model(), []
        while model.num_timesteps < training.steps:
            rows += _leg(model, training, folder, advance)
            checkpoint.save(folder, model, rows)
            write_evaluations(folder, rows)
        return _summary(training, out, rows) | folder.remarks()


def load_run(out: Path, *, trust: bool = False) -> tuple[TD3 | DDPG, str]:
    """The last model of a run folder, and the name of its environment.

    Args:
        trust: make an environment that stands in a module of its own, which is imported then.

    Raises:
        RunFolderError: `out` is no folder of such a run, or holds no checkpoint yet.
    """
    try:
        config = read_config(out)
        algorithm, env = ALGORITHMS[config["algo"]], config["env"]
        if not isinstance(env, str):
            raise TypeError("the environment has no name")
    except (RunFolderError, KeyError, TypeError) as error:
        raise RunFolderError(
            f"{out} is not a folder of `adrgd rl train` ({type(error).__name__}); expected its config.yaml there"
        ) from error
    if ":" in env and not trust:
        raise RunFolderError(
            f"the environment {env!r} of {out} lies in a module that would be imported, and can run any code: if you "
            "trust whoever made the folder, add --trust (trust=True in Python)"
        )
    return checkpoint.load_model(out, algorithm, make_env(env)), env


def _leg(model: TD3 | DDPG, training: Training, folder: Run, advance: Advance | None) -> list[dict[str, Any]]:
    """Train up to the next evaluation and make it, with curves in a file of its own."""
    leg = model.num_timesteps // training.evaluate_every
    if leg:
        model.set_random_seed(int(np.random.SeedSequence([training.seed, leg]).generate_state(1)[0] % 2**31))
        model._last_obs = None  # a fresh episode
    gained, refined = model.gained, model.refined
    count = min(training.evaluate_every, training.steps - model.num_timesteps)
    with _drawn(model, folder):
        model.learn(count, callback=_Tell(advance), reset_num_timesteps=False)
        mean_gain = (model.gained - gained) / max(1, model.refined - refined)
        rows = evaluate(model, training.env, training.episodes, training.seed, training.limit)
        reward = float(np.mean([row["reward"] for row in rows]))
        model.logger.record("eval/mean_reward", reward)
        model.logger.dump(model.num_timesteps)
    if advance is not None:
        advance(model.num_timesteps, reward)
    return [{"step": model.num_timesteps} | row | {"gain": mean_gain} for row in rows]


def _layers(given: Any, name: str) -> tuple[int, ...]:
    if not isinstance(given, tuple | list):
        raise UsageError(f"{name} must be the sizes of hidden layers, as (400, 300), found {given!r}; correct it")
    return tuple(as_integer(size, name) for size in given)


@contextmanager
def _drawn(model: TD3 | DDPG, folder: Run) -> Iterator[None]:
    """Curves of what is learnt in here, in a file of its own, which is listed at the end.

    TensorBoard writes it in a thread, and may not say that it could not; a full disk is said as of any other file.

    Raises:
        RunFolderError: it cannot be written.
    """
    shown, before = threading.excepthook, _curves(folder)
    failed: list[OSError] = []

    def note(words: threading.ExceptHookArgs) -> None:
        if isinstance(words.exc_value, OSError):
            failed.append(words.exc_value)
        else:
            shown(words)

    threading.excepthook = note
    try:
        try:
            model.set_logger(configure(str(folder.path / CURVES), ["tensorboard"]))
        except OSError as error:
            raise unwritten(folder.path / CURVES, error) from error
        try:
            yield
        finally:
            with suppress(OSError):
                model.logger.close()  # waits for the thread: from now on it is known what became of it
            if failed:
                raise unwritten(folder.path / CURVES, failed[0]) from failed[0]
    finally:
        threading.excepthook = shown
    folder.keep(sorted(_curves(folder) - before))


def _curves(folder: Run) -> set[str]:
    return {file.relative_to(folder.path).as_posix() for file in (folder.path / CURVES).glob("*")}


class _Tell(BaseCallback):
    """Reports the number of steps done, now and then."""

    def __init__(self, advance: Advance | None) -> None:
        super().__init__()
        self.advance = advance

    def _on_step(self) -> bool:
        if self.advance is not None and self.num_timesteps % 100 == 0:
            self.advance(self.num_timesteps, None)
        return True


def _summary(training: Training, out: Path, rows: list[dict[str, Any]]) -> dict[str, Any]:
    last = [row["reward"] for row in rows if row["step"] == rows[-1]["step"]]
    best = max({row["step"] for row in rows}, key=lambda step: _mean(rows, step))
    return {
        "steps": rows[-1]["step"], "reward": float(np.mean(last)), "reward_spread": float(np.std(last)),
        "best_step": best, "best_reward": _mean(rows, best), "gain": rows[-1]["gain"], "seed": training.seed,
        "out": str(out), "config": training.config(),
    }  # fmt: skip


def _mean(rows: list[dict[str, Any]], step: int) -> float:
    return float(np.mean([row["reward"] for row in rows if row["step"] == step]))
