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
from adrgd.rl.packing import Packing, map_seen

Network = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Victim:
    """A trained policy.

    Attributes:
        outputs: observations (B, ...) as floats, in the units and the layout of `space` -> (B, A): log-probabilities up
            to a constant or values of each action, or continuous actions, scaled to [-1, 1] where they are bounded.
        critic: observations and such continuous actions -> values (B,), if there is one.
        packing: the observations that it is shown, as rows.
        actions: the actions that it takes.
        groups: how many choices each of the actions that are taken together has; none for continuous actions.
        samples: whether `outputs` are logits that actions can be drawn from.
        scaled: whether `outputs` are actions that [-1, 1] stands for the bounds of.
        device: where observations have to be.
    """

    outputs: Network
    critic: Callable[[Tensor, Tensor], Tensor] | None
    packing: Packing
    actions: spaces.Space[Any]
    groups: tuple[int, ...] = ()
    samples: bool = False
    scaled: bool = False
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @property
    def discrete(self) -> bool:
        """Whether one of several actions is chosen, or one of each group."""
        return bool(self.groups)

    def of_groups(self, outputs: Tensor) -> tuple[Tensor, ...]:
        """The outputs of each group, (B, N) each."""
        return torch.split(outputs, list(self.groups), 1)

    def act(self, shown: Tensor, random: np.random.Generator | None = None) -> Array:
        """The actions for observations (B, ...): the best, or drawn from the policy where `random` is given."""
        with torch.no_grad():
            outputs = self.outputs(shown).cpu()
        if self.groups:
            if random is not None:
                uniform = torch.as_tensor(random.uniform(1e-12, 1, outputs.shape), dtype=torch.float32)
                outputs = torch.cat([one.log_softmax(1) for one in self.of_groups(outputs)], 1)
                outputs = outputs - (-uniform.log()).log()  # the Gumbel trick: row by row, one draw each
            chosen = torch.stack([one.argmax(1) for one in self.of_groups(outputs)], 1).numpy()
            first = self.idle(len(chosen))
            return np.asarray(first + chosen.reshape(first.shape))
        box: Any = self.actions
        found = outputs.numpy().reshape(-1, *box.shape)
        if self.scaled:
            found = box.low + (found + 1) / 2 * (box.high - box.low)
        return np.asarray(np.clip(found, box.low, box.high), dtype=box.dtype)

    def idle(self, count: int) -> Array:
        """Some action for each of so many environments: the first, or zeros."""
        first = np.broadcast_to(getattr(self.actions, "start", 0), self.actions.shape or ())
        return np.array([first] * count, dtype=self.actions.dtype)


def groups_of(actions: spaces.Space[Any]) -> tuple[int, ...]:
    """How many choices each of the actions has that are taken together; none for continuous ones.

    Raises:
        UsageError: actions of another kind.
    """
    if isinstance(actions, spaces.Box):
        return ()
    if isinstance(actions, spaces.Discrete):
        return (int(actions.n),)
    if isinstance(actions, spaces.MultiDiscrete):
        return tuple(int(one) for one in actions.nvec.flatten())
    if isinstance(actions, spaces.MultiBinary):
        return (2,) * int(np.prod(actions.shape))
    raise UsageError(
        f"cannot attack a policy with the actions {actions}; expected Discrete, MultiDiscrete, MultiBinary, or a Box"
    )


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
    kind, actions = type(policy).__name__, policy.action_space
    packing, groups = Packing.of(shown), groups_of(actions)
    policy.set_training_mode(False)
    policy.requires_grad_(False)
    between = _between(policy.observation_space, shown, normalise)
    seen: Callable[[Tensor], Any] = lambda x: map_seen(between, packing.unpack(x))  # noqa: E731
    critic: Callable[[Tensor, Tensor], Tensor] | None = None
    samples = scaled = False
    if isinstance(policy, ActorCriticPolicy):
        samples, scaled = bool(groups), policy.squash_output

        def outputs(x: Tensor) -> Tensor:
            if isinstance(actions, spaces.Box):
                means: Tensor = policy.get_distribution(seen(x)).mode()
                return means.flatten(1)
            features = BaseModel.extract_features(policy, seen(x), policy.pi_features_extractor)
            logits: Tensor = policy.action_net(policy.mlp_extractor.forward_actor(features))  # of no rows as well
            if isinstance(actions, spaces.MultiBinary):  # of yes; those of no are zero
                return torch.stack([torch.zeros_like(logits), logits], 2).flatten(1)
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
    return Victim(outputs, critic, packing, actions, groups, samples, scaled, device)


def _between(policy: spaces.Space[Any], shown: spaces.Space[Any], normalise: Any) -> Any:
    """What lies between the environment's observations and the policy's: a function, or one for each key of a Dict."""
    rms, keys = None, None
    if normalise is not None and normalise.norm_obs:
        rms, keys = normalise.obs_rms, normalise.norm_obs_keys
    if not isinstance(shown, spaces.Dict):
        return _between_boxes(policy, shown, rms, normalise)
    if not isinstance(policy, spaces.Dict) or set(policy) != set(shown):
        raise UsageError(f"the policy is shown {policy}, and the environment gives {shown}; choose its own environment")
    return {
        key: _between_boxes(policy[key], shown[key], rms[key] if rms is not None and key in (keys or rms) else None,
        normalise)
        for key in shown
    }  # fmt: skip


def _between_boxes(policy: spaces.Space[Any], shown: spaces.Space[Any], rms: Any, normalise: Any) -> Network:
    """A normalisation, and channels put first."""
    seen: Network = lambda x: x  # noqa: E731
    if rms is not None:
        seen = _normalised(shown.shape or (), rms, normalise)
    own, given = policy.shape or (), shown.shape or ()
    if own == given:
        return seen
    if len(given) == 3 and (given[2], *given[:2]) == own:
        return lambda x: seen(x).permute(0, 3, 1, 2)
    raise UsageError(
        f"the policy is shown observations of shape {own}, and the environment gives {given}; choose the environment "
        "that it was trained in, with its wrappers"
    )


def _normalised(shown: tuple[int, ...], rms: Any, normalise: Any) -> Network:
    own = rms.mean.shape
    if own[:-1] != shown[:-1] or shown[-1] % own[-1]:
        raise UsageError(f"the normalisation is of observations of shape {own}, found {shown}; give its own")
    axes = [1] * (len(own) - 1) + [shown[-1] // own[-1]]  # frames that were stacked after they were normalised
    mean, variance = (torch.as_tensor(np.tile(part, axes), dtype=torch.float32) for part in (rms.mean, rms.var))
    spread, limit = (variance + normalise.epsilon).sqrt(), normalise.clip_obs
    return lambda x: ((x - mean.to(x)) / spread.to(x)).clamp(-limit, limit)


def frames_of(policy: Any, single: spaces.Space[Any]) -> int:
    """How many observations of an environment are shown together to a policy, from the shapes; 1 where none fits."""
    space = policy.observation_space
    if isinstance(space, spaces.Dict) and isinstance(single, spaces.Dict):
        key = next((key for key, part in single.items() if isinstance(part, spaces.Box) and key in set(space)), None)
        space, single = (space, single) if key is None else (space[key], single[key])
    shown, one = list(space.shape or ()), list(single.shape or ())
    for own in (shown, [*shown[1:], shown[0]] if len(shown) == 3 else []):
        if own and len(own) == len(one) and own[:-1] == one[:-1] and own[-1] % one[-1] == 0:
            return int(own[-1] // one[-1])
    return 1
