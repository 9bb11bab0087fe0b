"""A world so small that agents are trained in it within a test, and critics that are known."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from torch import nn

from adrgd.rl import DDPG, TD3, RefineConfig

REACH = "Reach-v0"


class Reach(gymnasium.Env[NDArray[Any], NDArray[Any]]):
    """Push a point to the origin; the two forces have bounds of their own."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 50}  # noqa: RUF012
    observation_space = spaces.Box(-10.0, 10.0, (3,), np.float32)
    action_space = spaces.Box(np.array([-2.0, 0.0], np.float32), np.array([2.0, 0.5], np.float32))

    def __init__(self, render_mode: str | None = None) -> None:
        self.render_mode = render_mode
        self.place, self.actions = np.zeros(3, np.float32), []

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        self.place = self.np_random.uniform(-1, 1, 3).astype(np.float32)
        return self.place.copy(), {}

    def step(self, action: NDArray[Any]) -> Any:
        self.actions.append(np.array(action))
        push = np.array([action[0], 4 * action[1] - 1, -action[0]], np.float32)
        self.place = np.clip(self.place + 0.1 * push, -10, 10)
        return self.place.copy(), -float(np.square(self.place).sum()), False, False, {}

    def render(self) -> NDArray[Any]:
        shade = int(np.clip(100 * abs(self.place[0]), 0, 255))
        return np.full((20, 40, 3), shade, np.uint8)


gymnasium.register(REACH, entry_point=Reach, max_episode_steps=20)


def agent(
    algorithm: type[TD3] | type[DDPG] | Any = TD3, *, env: Any = REACH, seed: int | None = 0, **settings: Any
) -> Any:
    """A small model that begins to learn, and to refine, after 40 steps."""
    settings = {
        "learning_starts": 40, "batch_size": 16, "buffer_size": 1000, "train_freq": 10, "gradient_steps": 2,
        "policy_kwargs": {"net_arch": [16, 16]}, "device": "cpu",
    } | settings  # fmt: skip
    return algorithm("MlpPolicy", env, seed=seed, **settings)


def quick(**settings: Any) -> RefineConfig:
    """A refinement of few steps, half of the time."""
    return RefineConfig(**({"probability": 0.5, "steps": 5} | settings))


def transitions(model: Any) -> list[NDArray[Any]]:
    """What the replay buffer holds."""
    buffer = model.replay_buffer
    names = ("observations", "actions", "rewards", "next_observations", "dones")
    return [getattr(buffer, name)[: buffer.pos].copy() for name in names]


def weights(model: Any) -> list[torch.Tensor]:
    """All parameters of the policy, targets included."""
    return [value.clone() for value in model.policy.state_dict().values()]


def critic(seed: int = 0, inputs: int = 5, widths: tuple[int, ...] = (24, 16), dtype: Any = torch.float64) -> nn.Module:
    """A fixed random chain of Linear and ReLU layers with one output."""
    torch.manual_seed(seed)
    sizes = [inputs, *widths]
    layers: list[nn.Module] = []
    for inside, out in pairwise(sizes):
        layers += [nn.Linear(inside, out), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(sizes[-1], 1)).to(dtype).requires_grad_(False)
