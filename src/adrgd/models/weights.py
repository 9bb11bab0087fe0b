"""Read trained parameters from safetensors files and PyTorch checkpoints, and put them into a module."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from adrgd.errors import ModelError, UsageError, warn
from adrgd.files import reading

StateDict = dict[str, Tensor]
T = TypeVar("T")


def read_state_dicts(path: Path) -> dict[str, StateDict]:
    """Every state dict found in a file, outermost first, by the keys that lead to it.

    A checkpoint may hold its state dict inside dicts and lists. Objects are never unpickled.

    Args:
        path: also FILE#NAME, for that one of them alone.

    Raises:
        ModelError: the file is missing, unreadable, holds pickled objects, or no state dict, or none of that name.
    """
    content: Any
    asked = None
    if not path.exists() and "#" in path.name:
        name, _, asked = path.name.partition("#")
        path = path.with_name(name)
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
    found = dict(_walk(content))
    if not found:
        raise ModelError(
            f"expected a state dict in {str(path)!r}, found {type(content).__name__} without one; save "
            "module.state_dict() with torch.save or safetensors"
        )
    if asked is not None and asked not in found:
        raise ModelError(f"expected a state dict {asked!r} in {str(path)!r}, found {', '.join(found)}; choose one")
    return found if asked is None else {asked: found[asked]}


def load_named(module: nn.Module, path: Path) -> None:
    """Load the state dict of a file that has the module's names and shapes.

    All names may have one beginning in common, as wrappers and trainers put in front of them; what else a trainer keeps
    beside them is left out, and said. The counters of batch normalisation, which evaluation ignores, may be missing.

    Raises:
        ModelError: none of them fits; says how the first one differs.
    """
    states, own = read_state_dicts(path), module.state_dict()
    fitting = {name: fit for name, state in states.items() if (fit := _fitted(own, state)) is not None}
    if not fitting:
        first = next(iter(states.values()))
        missing, surplus = sorted(own.keys() - first.keys()), sorted(first.keys() - own.keys())
        raise ModelError(
            f"expected {str(path)!r} to name the module's {len(own)} tensors, found {_some(missing, 'missing')} and "
            f"{_some(surplus, 'unknown')}; use the factory and arguments that the weights were trained with"
        )
    state, left = _chosen(fitting, path, lambda one: one[0])
    if left:
        warn(f"of {str(path)!r} the tensors that the network names are loaded, {_some(left, 'others')} are left out")
    for key, tensor in state.items():
        _check_shape(key, own[key], tensor, path)
    module.load_state_dict(own | state)


def load_in_order(module: nn.Module, path: Path) -> None:
    """Load a state dict whose tensors come in the module's order, whatever their names, unless it has the same names.

    Raises:
        ModelError: the number of tensors or one of the shapes differs.
    """
    own = module.state_dict()
    fitting = {name: state for name, state in read_state_dicts(path).items() if len(state) == len(own)}
    if not fitting:
        raise ModelError(
            f"expected {len(own)} tensors in {str(path)!r}, found others; give weights of this architecture"
        )
    state = _chosen(fitting, path, lambda one: one)
    if (named := _fitted(own, state)) is not None:
        state = named[0]
    names = {key: key for key in own} if state.keys() == own.keys() else dict(zip(own, state, strict=True))
    for key, name in names.items():
        _check_shape(name, own[key], state[name], path)
    module.load_state_dict({key: state[name] for key, name in names.items()})


def _fitted(own: StateDict, state: StateDict) -> tuple[StateDict, list[str]] | None:
    """The tensors of a state dict by a module's names, and the names of others; None where they are not its."""
    needed = [key for key in own if not key.endswith("num_batches_tracked")] or list(own)
    ends = [key for key in state if key == needed[0] or key.endswith("." + needed[0])]
    for start in sorted((key.removesuffix(needed[0]) for key in ends), key=len):
        inside = {key.removeprefix(start): value for key, value in state.items() if key.startswith(start)}
        if set(needed) <= inside.keys() <= own.keys():
            return inside, [key for key in state if not key.startswith(start)]
    return None


def _chosen(fitting: dict[str, T], path: Path, state: Callable[[T], StateDict]) -> T:
    """The first of several that fit; that there are others is said where they differ."""
    (name, first), *others = fitting.items()
    differing = [
        other
        for other, one in others
        if any(not torch.equal(*pair) for pair in zip(state(one).values(), state(first).values(), strict=False))
    ]
    if differing:
        warn(
            f"{str(path)!r} holds several sets of weights that fit, {', '.join([name, *differing])}: the first is "
            f"loaded; name another as {path.name}#{differing[0]}"
        )
    return first


def _check_shape(key: str, own: Tensor, given: Tensor, path: Path) -> None:
    if own.shape != given.shape:
        raise ModelError(
            f"expected {key!r} of {str(path)!r} to have the shape {tuple(own.shape)}, found {tuple(given.shape)}; "
            "give weights of this architecture"
        )


def _walk(content: Any, name: str = "") -> Iterator[tuple[str, StateDict]]:
    parts: Iterable[tuple[Any, Any]] = ()
    if isinstance(content, Mapping):
        tensors = {key: value for key, value in content.items() if isinstance(key, str) and isinstance(value, Tensor)}
        if tensors and len(tensors) == len(content):
            yield name, tensors
            return
        parts = content.items()
    elif isinstance(content, Sequence) and not isinstance(content, str | bytes):
        parts = enumerate(content)
    for key, value in parts:
        yield from _walk(value, f"{name}.{key}" if name else str(key))


def _some(names: list[str], kind: str) -> str:
    shown = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
    return f"{len(names)} {kind} ({shown})" if names else f"none {kind}"
