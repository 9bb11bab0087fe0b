"""Make a model that a caller passes as an object ready to be attacked, or say in a sentence what stands in the way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from adrgd.errors import UsageError, warn
from adrgd.models.outputs import Logits, Output
from adrgd.models.torchscript import replayed
from adrgd.modes import check_mode
from adrgd.objective import Asked


def fitted(model: Callable[[Tensor], Any], images: Tensor, output: Output = None) -> nn.Module:
    """The model, or one around it that takes images of this type and returns logits.

    A scripted module is replayed call by call, so that its activations are seen; a module of another floating-point
    type than the images' gets them in its own, and its logits come back in theirs. The model itself is not changed.

    Args:
        output: which part of the model's answer are its logits; see `adrgd.models.outputs`.

    Raises:
        ModelError: a part of it is in train mode, or it holds an operator that cannot be replayed.
        UsageError: the images are on another device.
    """
    if not isinstance(model, nn.Module):
        return Logits(model, output)
    check_mode(model)
    if isinstance(model, torch.jit.ScriptModule):
        model = replayed(model)
    return _converted(Logits(model, output), images)


def _converted(model: Logits, images: Tensor) -> nn.Module:
    own = next((t for t in (*model.parameters(), *model.buffers()) if t.is_floating_point()), None)
    if own is None:
        return model
    if own.device != images.device:
        raise UsageError(
            f"the images are on {images.device}, and the model on {own.device}; move one of them to the other"
        )
    if own.dtype == images.dtype:
        return model
    warn(
        f"the model computes in {_short(own.dtype)} and the images are {_short(images.dtype)}: they are converted on "
        "their way in, and the logits on their way out"
    )
    return Converted(model, own.dtype)


class Converted(nn.Module):
    """A model between two conversions."""

    def __init__(self, model: Callable[[Tensor], Any], dtype: torch.dtype) -> None:
        super().__init__()
        self.model, self.dtype = model, dtype
        self.training = False  # its own: the model's mode is its owner's

    def forward(self, x: Tensor) -> Any:
        out = self.model(x.to(self.dtype))
        return out.to(x.dtype) if isinstance(out, Tensor) else out

    @property
    def furthest(self) -> Asked | None:
        """See `adrgd.objective.asked`."""
        inner: Asked | None = getattr(self.model, "furthest", None)
        if inner is None:
            return None
        return lambda x, label, targeted: inner(x.to(self.dtype), label, targeted).to(x.dtype)


def _short(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
