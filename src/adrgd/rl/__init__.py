"""Reinforcement learning: refined actions for Stable-Baselines3's TD3 and DDPG, and attacks on policies."""

from adrgd.errors import optional

optional("stable_baselines3", extra="rl")

from adrgd.rl.agent import Agent  # noqa: E402
from adrgd.rl.algorithms import DDPG, TD3  # noqa: E402
from adrgd.rl.attack import ObservationAttack, PolicyAttack, attack_policy  # noqa: E402
from adrgd.rl.config import RefineConfig  # noqa: E402
from adrgd.rl.policy import RefinedPolicy, refined_policy  # noqa: E402

__all__ = [
    "DDPG",
    "TD3",
    "Agent",
    "ObservationAttack",
    "PolicyAttack",
    "RefineConfig",
    "RefinedPolicy",
    "attack_policy",
    "refined_policy",
]
