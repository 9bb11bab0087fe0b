"""Reinforcement learning: refined actions for Stable-Baselines3's TD3 and DDPG, and attacks on policies."""

import contextlib
import importlib
import io

from adrgd.errors import optional

with contextlib.suppress(ImportError), contextlib.redirect_stderr(io.StringIO()):
    importlib.import_module("gym")  # Procgen brings it, Stable-Baselines3 imports it, and it advertises Gymnasium
optional("stable_baselines3", extra="rl")

from adrgd.rl.agent import Agent  # noqa: E402
from adrgd.rl.algorithms import DDPG, TD3  # noqa: E402
from adrgd.rl.attack import ObservationAttack, PolicyAttack, attack_policy  # noqa: E402
from adrgd.rl.config import RefineConfig  # noqa: E402
from adrgd.rl.load import load_policy  # noqa: E402
from adrgd.rl.perturb import Perturbation  # noqa: E402
from adrgd.rl.policy import RefinedPolicy, refined_policy  # noqa: E402
from adrgd.rl.siege import Siege, make_world, play_siege  # noqa: E402
from adrgd.rl.victim import Victim, victim_of  # noqa: E402

__all__ = [
    "DDPG",
    "TD3",
    "Agent",
    "ObservationAttack",
    "Perturbation",
    "PolicyAttack",
    "RefineConfig",
    "RefinedPolicy",
    "Siege",
    "Victim",
    "attack_policy",
    "load_policy",
    "make_world",
    "play_siege",
    "refined_policy",
    "victim_of",
]
