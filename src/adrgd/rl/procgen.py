"""The games of Procgen (FruitBot, CoinRun, ...) as Gymnasium's vector environments."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from adrgd.errors import MissingExtraError, UsageError, installing
from adrgd.rl.chain import Array
from adrgd.specs import only_keys, split_spec

PREFIX = "procgen:"
GAMES = (
    "bigfish", "bossfight", "caveflyer", "chaser", "climber", "coinrun", "dodgeball", "fruitbot", "heist", "jumper",
    "leaper", "maze", "miner", "ninja", "plunder", "starpilot",
)  # fmt: skip
MODES = ("easy", "hard", "extreme", "memory", "exploration")
EASY_LEVELS = 200
"""How many easy levels agents of the Procgen paper are trained on; levels from there on are held out."""


class Procgen(VectorEnv[Array, Array, Array]):
    """Many copies of one game, in step with each other.

    An episode that ends is followed at once by the next one: the observation beside `terminated` is the next episode's
    first. Procgen does not say whether an episode ran out of time, so that `truncated` is always False.

    Args:
        game: one of `GAMES`.
        num_envs: how many copies.
        start_level: the first level that is played.
        num_levels: how many levels there are; 0 for all there can be, from `start_level` on.
        seed: of the order of levels.
        mode: one of `MODES`, how hard the levels are; not every game has the last three.

    Raises:
        UsageError: there is no such game or mode.
        MissingExtraError: Procgen is not installed.
    """

    metadata = {"autoreset_mode": AutoresetMode.SAME_STEP, "render_fps": 15}  # noqa: RUF012  # Gymnasium's own form

    def __init__(
        self, game: str, num_envs: int, *, start_level: int = 0, num_levels: int = EASY_LEVELS, seed: int = 0,
        mode: str = "easy",
    ) -> None:  # fmt: skip
        if game not in GAMES:
            raise UsageError(f"unknown game {game!r} of Procgen; expected one of {', '.join(GAMES)}")
        if mode not in MODES:
            raise UsageError(f"unknown mode {mode!r} of Procgen; expected one of {', '.join(MODES)}")
        self.num_envs = num_envs
        self.single_observation_space = spaces.Box(0, 255, (64, 64, 3), np.uint8)
        self.single_action_space = spaces.Discrete(15)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._options = {
            "num": num_envs, "env_name": game, "start_level": start_level, "num_levels": num_levels,
            "distribution_mode": mode, "num_threads": 0,
        }  # fmt: skip
        self._seed = seed
        self._games: Any = None

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Array, dict[str, Any]]:
        """(B, 64, 64, 3) the first observations, in bytes; a new seed gives a new order of levels."""
        self._seed = self._seed if seed is None else seed
        self._games = _load()(rand_seed=self._seed, **self._options)
        return self._games.observe()[1]["rgb"], {}

    def step(self, actions: Array) -> tuple[Array, Array, Array, Array, dict[str, Any]]:
        """Observations, rewards, and which episodes have just ended."""
        self._games.act(np.asarray(actions, dtype=np.int32))
        rewards, seen, first = self._games.observe()
        return seen["rgb"], rewards, first, np.zeros_like(first), {}

    def close_extras(self, **kwargs: Any) -> None:
        self._games = None


def _load() -> Any:
    try:
        return importlib.import_module("procgen").ProcgenGym3Env
    except ImportError as error:
        raise MissingExtraError(f"the games of Procgen need: {installing('procgen')} ({error})") from error


def procgen_of(spec: str, num_envs: int) -> Procgen:
    """The game that a spec names: "procgen:fruitbot", or "procgen:fruitbot?start=200&levels=0&mode=hard".

    Raises:
        UsageError: the spec is malformed, or there is no such game.
    """
    base, query = split_spec(spec, error=UsageError)
    only_keys(query, ("start", "levels", "mode"), spec=spec, error=UsageError)
    numbers = {key: query.get(key, default) for key, default in (("start", "0"), ("levels", str(EASY_LEVELS)))}
    for key, text in numbers.items():
        if not text.isdigit():
            raise UsageError(f"expected a number as {key} in {spec!r}, found {text!r}; correct it")
    return Procgen(
        base.removeprefix(PREFIX), num_envs, start_level=int(numbers["start"]), num_levels=int(numbers["levels"]),
        mode=query.get("mode", "easy"),
    )  # fmt: skip
