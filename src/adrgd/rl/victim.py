"""Any policy of Stable-Baselines3 as a differentiable function of what the environment shows, in its own units."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.policies import ActorCriticPolicy, BaseModel
from stable_baselines3.dqn.policies import DQNPolicy
from torch import Tensor

from adrgd.errors import UsageError
from adrgd.rl.chain import Array

Network = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Victim:
    """A trained policy.

    Attributes:
        outputs: observations (B, ...) as floats, in the units and the layout of `space` -> (B, A): log-probabilities up
            to a constant or values of each action, or continuous actions, scaled to [-1, 1] where they are bounded.
        critic: observations and such continuous actions -> values (B,), if there is one.
        space: the observations that it is shown.
        actions: the actions that it takes.
        samples: whether `outputs` are logits that actions can be drawn from.
        scaled: whether `outputs` are actions that [-1, 1] stands for the bounds of.
        device: where observations have to be.
    """

    outputs: Network
    critic: Callable[[Tensor, Tensor], Tensor] | None
    space: spaces.Box
    actions: spaces.Discrete | spaces.Box
    samples: bool = False
    scaled: bool = False
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @property
    def discrete(self) -> bool:
        """Whether one of several actions is chosen."""
        return isinstance(self.actions, spaces.Discrete)

    @property
    def unit(self) -> float:
        """What eps counts in: 255 for bytes, so that 3/255 is three grey levels, and 1 for all else."""
        return 255.0 if self.space.dtype == np.uint8 else 1.0

    def act(self, shown: Tensor, random: np.random.Generator | None = None) -> Array:
        """The actions for observations (B, ...): the best, or drawn from the policy where `random` is given."""
        with torch.no_grad():
            outputs = self.outputs(shown).cpu()
        if isinstance(self.actions, spaces.Discrete):
            if random is not None:
                uniform = torch.as_tensor(random.uniform(1e-12, 1, outputs.shape), dtype=torch.float32)
                outputs = outputs.log_softmax(1) - (-uniform.log()).log()  # the Gumbel trick: row by row, one draw each
            return np.asarray(outputs.argmax(1).numpy() + self.actions.start)
        found, low, high = outputs.numpy().reshape(-1, *self.actions.shape), self.actions.low, self.actions.high
        if self.scaled:
            found = low + (found + 1) / 2 * (high - low)
        return np.asarray(np.clip(found, low, high), dtype=self.actions.dtype)


def victim_of(policy: Any, shown: spaces.Space[Any], *, normalise: Any = None) -> Victim:
    """What attacks need of a policy of PPO, A2C, DQN, TD3, DDPG or SAC.

    Args:
        policy: the model's `policy`, or the model.
        shown: the observations that the environment gives, with frames stacked if they are.
        normalise: the `VecNormalize` that stood between it and its environment; it belongs to the victim then, which
            is shown observations as the environment gives them.

    Raises:
        UsageError: another kind of policy, or observations or actions that cannot be attacked.
    """
    policy = getattr(policy, "policy", policy)  # a whole model was passed
    known: Any = BaseModel
    if not isinstance(policy, known):
        raise UsageError(f"expected the policy of a model of Stable-Baselines3, found {policy!r:.60}; load it first")
    kind, space, actions = type(policy).__name__, policy.observation_space, policy.action_space
    if not isinstance(space, spaces.Box) or not isinstance(shown, spaces.Box):
        other = shown if isinstance(space, spaces.Box) else space
        raise UsageError(f"cannot attack a policy that is shown {other}; expected a Box, that is numbers or an image")
    if not isinstance(actions, spaces.Discrete | spaces.Box):
        raise UsageError(f"cannot attack a policy with the actions {actions}; expected Discrete, or a Box")
    policy.set_training_mode(False)
    policy.requires_grad_(False)
    seen = _seen(space, shown, normalise)
    critic: Callable[[Tensor, Tensor], Tensor] | None = None
    samples = scaled = False
    if isinstance(policy, ActorCriticPolicy):
        samples, scaled = isinstance(actions, spaces.Discrete), policy.squash_output

        def outputs(x: Tensor) -> Tensor:
            if isinstance(actions, spaces.Box):
                means: Tensor = policy.get_distribution(seen(x)).mode()
                return means.flatten(1)
            features = BaseModel.extract_features(policy, seen(x), policy.pi_features_extractor)
            logits: Tensor = policy.action_net(policy.mlp_extractor.forward_actor(features))  # of no rows as well
            return logits

    elif isinstance(policy, DQNPolicy):

        def outputs(x: Tensor) -> Tensor:
            values: Tensor = policy.q_net(seen(x))
            return values

    elif hasattr(policy, "actor") and hasattr(policy, "critic"):
        scaled = True
        options = {"deterministic": True} if hasattr(policy.actor, "action_dist") else {}  # SAC's is stochastic

        def outputs(x: Tensor) -> Tensor:
            action: Tensor = policy.actor(seen(x), **options)
            return action

        def critic(x: Tensor, action: Tensor) -> Tensor:
            value: Tensor = policy.critic.q_networks[0](
                torch.cat([policy.critic.extract_features(seen(x), policy.critic.features_extractor), action], 1)
            )
            return value[:, 0]

    else:
        raise UsageError(f"cannot attack a {kind}; expected a policy of PPO, A2C, DQN, TD3, DDPG or SAC")
    device = getattr(policy, "device", None) or torch.device("cpu")
    return Victim(outputs, critic, shown, actions, samples, scaled, device)


def _seen(policy: spaces.Box, shown: spaces.Box, normalise: Any) -> Network:
    """What lies between the environment's observations and the policy's: a normalisation, and channels put first."""
    seen: Network = lambda x: x  # noqa: E731
    if normalise is not None and normalise.norm_obs:
        seen = _normalised(shown, normalise)
    if shown.shape == policy.shape:
        return seen
    if len(shown.shape) == 3 and (shown.shape[2], *shown.shape[:2]) == policy.shape:
        return lambda x: seen(x).permute(0, 3, 1, 2)
    raise UsageError(
        f"the policy is shown observations of shape {policy.shape}, and the environment gives {shown.shape}; choose "
        "the environment that it was trained in, with its wrappers"
    )


def _normalised(shown: spaces.Box, normalise: Any) -> Network:
    own = normalise.obs_rms.mean.shape
    if own[:-1] != shown.shape[:-1] or shown.shape[-1] % own[-1]:
        raise UsageError(f"the normalisation is of observations of shape {own}, found {shown.shape}; give its own")
    axes = [1] * (len(own) - 1) + [shown.shape[-1] // own[-1]]  # frames that were stacked after they were normalised
    mean, variance = (
        torch.as_tensor(np.tile(part, axes), dtype=torch.float32)
        for part in (normalise.obs_rms.mean, normalise.obs_rms.var)
    )
    spread, limit = (variance + normalise.epsilon).sqrt(), normalise.clip_obs
    return lambda x: ((x - mean.to(x)) / spread.to(x)).clamp(-limit, limit)


def frames_of(policy: Any, single: spaces.Space[Any]) -> int:
    """How many observations of an environment are shown together to a policy, from the shapes; 1 where none fits."""
    shown, one = list(policy.observation_space.shape or ()), list(single.shape or ())
    for own in (shown, [*shown[1:], shown[0]] if len(shown) == 3 else []):
        if own and len(own) == len(one) and own[:-1] == one[:-1] and own[-1] % one[-1] == 0:
            return int(own[-1] // one[-1])
    return 1
