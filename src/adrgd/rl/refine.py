"""Refined actions for any Stable-Baselines3 model with an actor and critics of states and actions."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch

from adrgd.errors import UsageError
from adrgd.gates import find_layers
from adrgd.rl.ascent import ascend
from adrgd.rl.chain import Array
from adrgd.rl.config import RefineConfig
from adrgd.rl.environments import check_actions
from adrgd.solvers import TrueGates


class Refined(NamedTuple):
    """`actions` (B, ...) scaled to [-1, 1], and the `gain` (B,) in the critic's value, never negative."""

    actions: Array
    gain: Array


def refine(model: Any, observations: Any, proposal: Array, config: RefineConfig, rows: Array | None = None) -> Refined:
    """Move proposed actions to where the model's critic is larger.

    Args:
        model: TD3, DDPG, SAC or anything else with a `critic` of the same form.
        observations: as the policy takes them, one for each environment.
        proposal: (B, ...) actions scaled to [-1, 1], for all environments or those of `rows`.
        rows: which of the environments; all of them unless given.

    Raises:
        AdrgdError: the critic's value is not finite.
    """
    critic = critic_of(model, config)
    tensors, _ = model.policy.obs_to_tensor(observations)
    if rows is not None:
        tensors = {key: value[rows] for key, value in tensors.items()} if isinstance(tensors, dict) else tensors[rows]
    critic.set_training_mode(False)
    with torch.no_grad():
        features = critic.extract_features(tensors, critic.features_extractor)
    flat = torch.as_tensor(proposal, dtype=features.dtype, device=features.device).flatten(1)
    ascent = ascend(
        critic.q_networks, features, flat,
        how=config.critic, solver=config.resolved(), steps=config.steps, radius=config.radius, seed=config.seed,
        closed_form=config.closed_form,
    )  # fmt: skip
    gain = (ascent.value - ascent.before).clamp_min(0)
    return Refined(ascent.x.view(proposal.shape).cpu().numpy(), gain.cpu().numpy())


def critic_of(model: Any, config: RefineConfig) -> Any:
    """The critic to be maximised.

    Raises:
        UsageError: the model has none of states and continuous actions, or an action that cannot move.
    """
    critic = getattr(model, "critic_target" if config.target else "critic", None)
    if (space := getattr(model, "action_space", None)) is None:
        raise UsageError(f"expected a model of TD3, DDPG or SAC, found {model!r:.60}; load it first")
    check_actions(space, "the model to be refined")
    if critic is None or not hasattr(critic, "q_networks"):
        raise UsageError(
            f"{type(model).__name__} has no critic of states and actions; expected TD3, DDPG or SAC, whose critic does"
        )
    return critic


def check_critic(model: Any, config: RefineConfig) -> None:
    """See that the solver finds activations to work with.

    Raises:
        UsageError: the critic has no activation that the solver gates, and the solver needs some.
    """
    critic, gates = critic_of(model, config), config.resolved().gates
    if isinstance(gates, TrueGates):
        return
    network = critic.q_networks[0]
    entry = torch.zeros(2, next(network.parameters()).shape[1], device=model.device)
    every = gates.sees == "all"
    if not find_layers(network, entry, every=every):
        kinds = ", ".join(sorted({type(m).__name__ for m in network.modules() if not list(m.children())}))
        raise UsageError(
            f"the critic has no {'activation with a gate' if every else 'ReLU'}, found {kinds}; use "
            "policy_kwargs=dict(activation_fn=torch.nn.ReLU), or refine with the solver 'gd', which needs none"
        )
