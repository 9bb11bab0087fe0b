"""Train an agent for a game of Procgen: PPO of Stable-Baselines3 with IMPALA's network.

    python experiments/procgen/train.py --game fruitbot --frames 25000000      # the Procgen paper's settings
    python experiments/procgen/train.py --game fruitbot --out runs/fruitbot    # goes on where it stopped

Under --out: policy.safetensors (the last weights, for `adrgd rl attack`), checkpoint.pt (with the optimiser), and
curve.csv (a row a rollout: frames, mean reward and length of the episodes that ended in it, seconds of processor time).
A run that was stopped goes on from its checkpoint with fresh episodes.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import csv
import io
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import stable_baselines3 as sb3
import torch
import tyro
from safetensors import safe_open
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import VecNormalize
from torch import nn

from adrgd.errors import AdrgdError, UsageError
from adrgd.files import write_text, write_with
from adrgd.rl.impala import CHANNELS
from adrgd.rl.load import impala_arguments, load_policy, save_policy
from adrgd.rl.procgen import EASY_LEVELS, Procgen
from adrgd.rl.vector import Vectorised


@dataclass(frozen=True, kw_only=True)
class Options:
    """What to train, and how."""

    game: str = "fruitbot"
    frames: int = 25_000_000
    out: Path = Path("runs/procgen")
    seed: int = 0
    levels: int = EASY_LEVELS
    """The easy levels 0, 1, ... that it is trained on."""
    channels: tuple[int, ...] = CHANNELS
    """Of the three stages of the network."""
    stride: int = 1
    """Of its first convolution; 2 is four times as fast."""
    envs: int = 64
    rollout: int = 256
    """Steps of each environment between updates."""
    epochs: int = 3
    minibatches: int = 8
    learning_rate: float = 5e-4
    entropy: float = 0.01
    gamma: float = 0.999
    lam: float = 0.95
    policy: Path | None = None
    """Begin with these weights, of a run whose checkpoint is gone: its frames are counted, its optimiser is fresh."""


class Curve(BaseCallback):
    """Writes the learning curve and the checkpoint after each rollout's update."""

    def __init__(self, options: Options, rows: list[dict[str, Any]]) -> None:
        super().__init__()
        self.options, self.rows = options, rows
        self.before = rows[-1]["seconds"] if rows else 0.0
        self.ended: list[dict[str, float]] = []

    def _on_step(self) -> bool:
        self.ended += [info["episode"] for info in self.locals["infos"] if "episode" in info]
        return True

    def _on_rollout_start(self) -> None:
        if self.ended:  # the update on that rollout is done
            self.keep()

    def _on_training_end(self) -> None:
        self.keep()

    def keep(self) -> None:
        """A row, and the checkpoint."""
        row = {
            "frames": self.model.num_timesteps, "episodes": len(self.ended),
            "reward": float(np.mean([e["r"] for e in self.ended])) if self.ended else float("nan"),
            "length": float(np.mean([e["l"] for e in self.ended])) if self.ended else float("nan"),
            "seconds": round(self.before + time.process_time(), 1),
        }  # fmt: skip
        self.ended = []
        self.rows.append(row)
        print({key: round(float(value), 3) for key, value in row.items()}, flush=True)
        save(self.options, self.model, self.rows)


def save(options: Options, model: Any, rows: list[dict[str, Any]]) -> None:
    """The checkpoint and the curve, each in one piece."""
    scale = model.get_env().ret_rms
    settings = {k: v for k, v in asdict(options).items() if not isinstance(v, Path)}
    state = {
        "policy": model.policy.state_dict(), "optimizer": model.policy.optimizer.state_dict(),
        "frames": model.num_timesteps, "returns": [float(scale.mean), float(scale.var), float(scale.count)],
        "options": {k: list(v) if isinstance(v, tuple) else v for k, v in settings.items()},
        "rows": rows,
    }  # fmt: skip
    write_with(options.out / "checkpoint.pt", lambda file: torch.save(state, file))
    note = {"game": options.game, "frames": model.num_timesteps, "levels": options.levels}
    save_policy(model.policy, options.out / "policy.safetensors", note)
    text = io.StringIO(newline="")
    table = csv.DictWriter(text, rows[0], lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    write_text(options.out / "curve.csv", text.getvalue())


def train(options: Options) -> None:
    """Train, or go on."""
    file = options.out / "checkpoint.pt"
    state = torch.load(file, weights_only=True) if file.exists() else None
    if state is not None and state["options"]["game"] != options.game:
        raise UsageError(f"{file} is of the game {state['options']['game']}, not {options.game}; choose another --out")
    options.out.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, Any]] = state["rows"] if state else []
    start = options.seed + 1000 * len(rows)
    games = Procgen(options.game, options.envs, num_levels=options.levels)
    env = VecNormalize(Vectorised(games, start), norm_obs=False, gamma=options.gamma)
    model = sb3.PPO(
        "CnnPolicy", env, n_steps=options.rollout, batch_size=options.envs * options.rollout // options.minibatches,
        n_epochs=options.epochs, learning_rate=options.learning_rate, ent_coef=options.entropy, gamma=options.gamma,
        gae_lambda=options.lam, seed=start, device="cpu",
        policy_kwargs=impala_arguments(options.channels, options.stride),
    )  # fmt: skip
    nn.init.orthogonal_(model.policy.action_net.weight, 0.01)  # near-uniform at first
    if state is not None:
        model.policy.load_state_dict(state["policy"])
        model.policy.optimizer.load_state_dict(state["optimizer"])
        model.num_timesteps = state["frames"]
        scale = model.get_env().ret_rms
        scale.mean, scale.var, scale.count = (np.float64(value) for value in state["returns"])
    elif options.policy is not None:
        earlier = load_policy(options.policy)
        model.policy.load_state_dict(earlier.state_dict())
        with safe_open(str(options.policy), "pt") as weights:
            model.num_timesteps = json.loads(weights.metadata()["about"])["frames"]
    left = options.frames - model.num_timesteps
    if left > 0:
        model.learn(left, callback=Curve(options, rows), reset_num_timesteps=False)


if __name__ == "__main__":
    torch.set_num_threads(1)
    try:
        train(tyro.cli(Options, description=__doc__))
    except AdrgdError as error:
        raise SystemExit(f"error: {error}") from None
