"""Policies from files: weights of this project's own agents, run folders, and what Stable-Baselines3 saves."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium import spaces
from safetensors import safe_open
from safetensors.torch import save_file
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.save_util import load_from_zip_file

from adrgd.errors import ModelError, UsageError
from adrgd.files import write_with
from adrgd.rl.impala import Impala
from adrgd.rl.training import load_run

KIND = "adrgd impala policy"
SHARED = ("pi_features_extractor.", "vf_features_extractor.")
"""Names under which a policy lists the weights of its `features_extractor` once more."""


def impala_policy(
    shape: tuple[int, ...], actions: int, channels: tuple[int, ...], stride: int = 1
) -> ActorCriticPolicy:
    """A fresh policy and value for images (C, H, W) of bytes: IMPALA's network, and one linear layer for each."""
    return ActorCriticPolicy(
        spaces.Box(0, 255, shape, np.uint8), spaces.Discrete(actions), lambda left: 0.0,
        **impala_arguments(channels, stride),
    )  # fmt: skip


def impala_arguments(channels: tuple[int, ...], stride: int = 1) -> dict[str, Any]:
    """The `policy_kwargs` of such a policy."""
    return {
        "features_extractor_class": Impala, "features_extractor_kwargs": {"channels": channels, "stride": stride},
        "net_arch": [], "ortho_init": False,
    }  # fmt: skip


def save_policy(policy: Any, file: Path, note: dict[str, Any]) -> None:
    """Write such a policy's weights in half precision, in a file that runs no code when it is read."""
    shape, actions = policy.observation_space.shape, int(policy.action_space.n)
    own = policy.features_extractor_kwargs
    about = {"kind": KIND, "shape": list(shape), "actions": actions, "channels": list(own["channels"])}
    about |= {"stride": own["stride"]} | note
    state = {name: value for name, value in policy.state_dict().items() if not name.startswith(SHARED)}
    halves = {name: value.half().contiguous() for name, value in state.items()}
    write_with(file, lambda path: save_file(halves, path, {"about": json.dumps(about)}))


def load_policy(file: Path, *, trust: bool = False) -> Any:
    """A trained policy.

    Args:
        file: FILE.safetensors of `save_policy`, a folder of `adrgd rl train`, or a model that Stable-Baselines3 saved.
        trust: read the last kind, or a folder whose environment lies in a module, though both can run code.

    Raises:
        UsageError: it can run code and is not trusted.
        ModelError: it cannot be read as one of these.
    """
    if not isinstance(file, str | Path):
        raise UsageError(f"expected the name of a file or folder, found {file!r}; correct it")
    file = Path(file)
    if file.is_dir():
        return load_run(file, trust=trust)[0].policy
    if file.suffix == ".safetensors":
        return _weights(file)
    if not file.is_file():
        raise ModelError(f"there is no policy {file}; expected a .safetensors file, a run folder, or a .zip")
    if not trust:
        raise UsageError(
            f"{file} holds pickled objects, which can run any code: if you trust whoever made it, add --trust "
            "(trust=True in Python)"
        )
    try:
        found, parameters, _ = load_from_zip_file(file, device="cpu")
        data = found or {}
        kind, arguments = data["policy_class"], dict(data.get("policy_kwargs") or {})
        if data.get("use_sde"):
            arguments["use_sde"] = True
        arguments.pop("device", None)
        policy = kind(data["observation_space"], data["action_space"], lambda left: 0.0, **arguments)
        policy.load_state_dict(parameters["policy"])
    except Exception as error:  # pickles can raise anything
        raise ModelError(
            f"{file} cannot be read as a model of Stable-Baselines3 ({type(error).__name__}: {error})"
        ) from error
    return policy


def _weights(file: Path) -> Any:
    try:
        with safe_open(file, "pt") as stream:
            about = json.loads(stream.metadata()["about"])
            weights = {name: stream.get_tensor(name).float() for name in stream.keys()}  # noqa: SIM118
        own = [name for name in weights if name.startswith("features_extractor.")]
        if about["kind"] != KIND:
            raise ValueError(f"kind {about['kind']!r}")
        policy = impala_policy(tuple(about["shape"]), about["actions"], tuple(about["channels"]), about["stride"])
        for shared in SHARED:
            weights |= {name.replace("features_extractor.", shared): weights[name] for name in own}
        policy.load_state_dict(weights)
    except Exception as error:  # each part has errors of its own
        raise ModelError(
            f"{file} cannot be read as a policy ({type(error).__name__}: {error}); expected the weights that "
            "experiments/procgen/train.py writes"
        ) from error
    return policy


def load_normalisation(file: Path, *, trust: bool = False) -> Any:
    """A `VecNormalize` that Stable-Baselines3 has saved, a pickle.

    Raises:
        UsageError: it is not trusted.
        ModelError: it cannot be read.
    """
    if not trust:
        raise UsageError(f"{file} is a pickle, which can run any code: if you trust whoever made it, add --trust")
    try:
        with open(file, "rb") as stream:
            found = pickle.load(stream)
        found.obs_rms, found.norm_obs, found.clip_obs, found.epsilon  # noqa: B018  # what is needed of it
    except Exception as error:  # pickles can raise anything
        raise ModelError(f"{file} cannot be read as a VecNormalize ({type(error).__name__}: {error})") from error
    return found
