"""Networks of other packages, with their own normalisation of the input inside: one file a package."""

from __future__ import annotations

import contextlib
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import nn

from adrgd.errors import AdrgdError, AdrgdWarning, ModelError
from adrgd.models.normalise import Normalised
from adrgd.models.weights import load_named
from adrgd.models.zoos.published import Published
from adrgd.specs import parse_value

__all__ = ["ZOOS", "Published", "load_published"]

ZOOS = {"timm": "timm_zoo", "torchvision": "torchvision_zoo", "robustbench": "robustbench_zoo", "hf": "huggingface"}
"""The word in front of the colon, and the module that knows that package."""


def load_published(base: str, query: Mapping[str, str], *, spec: str, normalise: bool) -> Published:
    """Load `timm:NAME`, `torchvision:NAME`, `robustbench:NAME` or `hf:FOLDER`.

    Args:
        query: `weights=FILE`, a state dict to use instead of the published one; `pretrained=false`, random weights, or
            for torchvision the name of one of its sets of weights; anything else goes to the package's own loader.
        normalise: put the published normalisation in front, so that inputs are pixels in [0, 1].

    Raises:
        MissingExtraError: the package is not installed.
        ModelError: it has no such network, or cannot load it.
    """
    zoo, _, name = base.partition(":")
    arguments = {key: parse_value(text) for key, text in query.items()}
    weights, pretrained = arguments.pop("weights", None), arguments.pop("pretrained", True)
    load: Callable[[str, object, dict[str, Any]], Published] = import_module(f"{__name__}.{ZOOS[zoo]}").load
    try:
        with quiet():
            found = load(name, False if weights is not None else pretrained, arguments)
    except AdrgdError:
        raise
    except Exception as error:  # whatever somebody else's code, or the network behind it, comes upon
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ModelError(
            f"expected {name!r} of {spec!r} to be a network that {zoo} can load, found: {reason}; see its list"
        ) from error
    if weights is not None:
        load_named(found.holder or found.module, Path(str(weights)).expanduser())
    if not normalise or found.mean is None or found.std is None:
        return found
    channels = found.input_shape[0] if found.input_shape else len(found.mean)
    if channels != len(found.mean):
        raise ModelError(
            f"expected {spec!r} to have the {len(found.mean)} channels that it was normalised for, found {channels}; "
            "add ?mean=..&std=.. for these"
        )
    return found.normalised(_normalised(found))


def _normalised(found: Published) -> nn.Module:
    mean, std = (torch.tensor(values, dtype=torch.float64) for values in (found.mean, found.std))
    return Normalised(found.module, mean, std)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """What other packages print and warn of while they load goes to standard error, or nowhere: ours is for results."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(sys.stderr):
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", AdrgdWarning)
        yield
