"""Refuse parts of a network that are left in train mode, before they run: running one may change it."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn
from torch.fx import GraphModule
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd
from torch.nn.modules.module import register_module_forward_pre_hook

from adrgd.errors import ModelError


def check_mode(module: nn.Module) -> None:
    """See that no part of a model is in train mode.

    Raises:
        ModelError: one is.
    """
    fixed = [part for part in module.modules() if _is_fixed(part)]
    without = {id(part) for whole in fixed for part in whole.modules()}
    for name, part in module.named_modules():
        if part.training and id(part) not in without and not any(map(_is_fixed, part.modules())):
            where = f"its part {name!r}" if name else "it"
            raise ModelError(f"expected a model in eval mode, found {where} in train mode; call .eval() on the model")


@contextmanager
def only_in_eval_mode() -> Iterator[None]:
    """While active, a module that train mode makes random, or that would change its statistics, raises before it runs.

    For callables whose modules cannot be listed beforehand.
    """

    def refuse(module: nn.Module, args: Any) -> None:
        if module.training and _acts(module):
            raise ModelError(
                f"expected a network in eval mode, found its {type(module).__name__} in train mode; call .eval() on "
                "the model"
            )

    hook = register_module_forward_pre_hook(refuse)
    try:
        with warnings.catch_warnings():
            # a compiled module says that it meets such a hook twice, which is no harm
            warnings.filterwarnings("ignore", message=r"Using `torch\.compile\(module\)` when there are global hooks")
            yield
    finally:
        hook.remove()


def _is_fixed(module: nn.Module) -> bool:
    """Whether this is a graph of torch.export, whose mode was settled when it was made.

    Its flag says nothing, nor do those of its parts; what it is a part of cannot be switched either.
    """
    return isinstance(module, GraphModule) and "eval" in vars(module)  # there, one that refuses


def _acts(module: nn.Module) -> bool:
    """Whether train mode makes a difference to what a module computes."""
    if isinstance(module, _BatchNorm):  # instance normalisation is one as well
        return module.track_running_stats
    if isinstance(module, _DropoutNd):
        return module.p > 0
    if isinstance(module, nn.RNNBase | nn.MultiheadAttention):
        return module.dropout > 0
    return isinstance(module, nn.RReLU)
