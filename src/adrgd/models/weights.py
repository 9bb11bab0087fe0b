"""Read trained parameters from safetensors files and PyTorch checkpoints, and put them into a module."""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from adrgd.errors import ModelError, UsageError
from adrgd.files import reading

StateDict = dict[str, Tensor]


def read_state_dicts(path: Path) -> list[StateDict]:
    """Every state dict found in a file, outermost first, "module." prefixes stripped.

    A checkpoint may hold its state dict inside dicts and lists. Objects are never unpickled.

    Raises:
        ModelError: the file is missing, unreadable, holds pickled objects, or no state dict.
    """
    content: Any
    try:
        with reading.open_regular(path) as file:
            reading.check_size(file, "network")
            reading.check_zip(file, "network")
            if path.suffix == ".safetensors":
                content = safetensors.torch.load_file(path)
            else:
                content = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ModelError(
            f"expected only tensors in {str(path)!r}, found pickled objects, which are never loaded, or another kind "
            "of file; save module.state_dict() with torch.save or safetensors"
        ) from error
    except FileNotFoundError as error:
        raise ModelError(f"expected a weights file at {str(path)!r}, found no such file; check the path") from error
    except UsageError:
        raise
    except Exception as error:  # a damaged file makes its reader raise nearly anything
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ModelError(
            f"expected a state dict in {str(path)!r}, found a file that cannot be read ({reason}); save "
            "module.state_dict() with torch.save or safetensors"
        ) from error
    found = [_strip(state) for state in _walk(content)]
    if not found:
        raise ModelError(
            f"expected a state dict in {str(path)!r}, found {type(content).__name__} without one; save "
            "module.state_dict() with torch.save or safetensors"
        )
    return found


def load_named(module: nn.Module, path: Path) -> None:
    """Load the state dict of a file that has the module's names and shapes.

    Raises:
        ModelError: none of them fits; says how the first one differs.
    """
    states = read_state_dicts(path)
    own = module.state_dict()
    fitting = [state for state in states if state.keys() == own.keys()]
    if not fitting:
        missing, surplus = sorted(own.keys() - states[0].keys()), sorted(states[0].keys() - own.keys())
        raise ModelError(
            f"expected {str(path)!r} to name the module's {len(own)} tensors, found {_some(missing, 'missing')} and "
            f"{_some(surplus, 'unknown')}; use the factory and arguments that the weights were trained with"
        )
    for key, tensor in fitting[0].items():
        _check_shape(key, own[key], tensor, path)
    module.load_state_dict(fitting[0])


def load_in_order(module: nn.Module, path: Path) -> None:
    """Load a state dict whose tensors come in the module's order, whatever their names, unless it has the same names.

    Raises:
        ModelError: the number of tensors or one of the shapes differs.
    """
    own = module.state_dict()
    state = next((state for state in read_state_dicts(path) if len(state) == len(own)), None)
    if state is None:
        raise ModelError(
            f"expected {len(own)} tensors in {str(path)!r}, found others; give weights of this architecture"
        )
    given = {key: key for key in own} if state.keys() == own.keys() else dict(zip(own, state, strict=True))
    for key, name in given.items():
        _check_shape(name, own[key], state[name], path)
    module.load_state_dict({key: state[name] for key, name in given.items()})


def _check_shape(key: str, own: Tensor, given: Tensor, path: Path) -> None:
    if own.shape != given.shape:
        raise ModelError(
            f"expected {key!r} of {str(path)!r} to have the shape {tuple(own.shape)}, found {tuple(given.shape)}; "
            "give weights of this architecture"
        )


def _walk(content: Any) -> Iterator[StateDict]:
    if isinstance(content, Mapping):
        tensors = {key: value for key, value in content.items() if isinstance(key, str) and isinstance(value, Tensor)}
        if tensors and len(tensors) == len(content):
            yield tensors
        else:
            for value in content.values():
                yield from _walk(value)
    elif isinstance(content, Sequence) and not isinstance(content, str | bytes):
        for value in content:
            yield from _walk(value)


def _strip(state: StateDict) -> StateDict:
    # DataParallel puts this in front of every name
    while all(key.startswith("module.") for key in state):
        state = {key.removeprefix("module."): value for key, value in state.items()}
    return state


def _some(names: list[str], kind: str) -> str:
    shown = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
    return f"{len(names)} {kind} ({shown})" if names else f"none {kind}"
