"""Gradients for what has none (BPDA, Athalye et al. 2018): the true value forwards, another slope backwards."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from adrgd.errors import ModelError, UsageError
from adrgd.specs import closest

Function = Callable[..., Tensor]


def one_hot_argmax(z: Tensor) -> Tensor:
    """One at the largest of the last dimension, zero elsewhere."""
    return F.one_hot(z.argmax(-1), z.shape[-1]).to(z)


def jpeg(x: Tensor, quality: int = 75) -> Tensor:
    """Images (B, C, H, W) in [0, 1], of one or three channels, as a JPEG file of that quality keeps them.

    Raises:
        UsageError: other tensors.
    """
    if x.dim() != 4 or x.shape[1] not in (1, 3):
        raise UsageError(f"expected images (B, 1 or 3, H, W) for JPEG, found shape {tuple(x.shape)}; reshape them")
    found = []
    for image in (x.detach().clamp(0, 1) * 255).round().to("cpu", torch.uint8).permute(0, 2, 3, 1).numpy():
        buffer = io.BytesIO()
        Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(buffer, "JPEG", quality=quality)
        with Image.open(buffer) as opened:
            found.append(torch.from_numpy(np.array(opened)).view(*image.shape))
    return (torch.stack(found).permute(0, 3, 1, 2) / 255).to(x)


READY: dict[str, tuple[Function, Function | None]] = {
    "round": (torch.round, None), "floor": (torch.floor, None), "ceil": (torch.ceil, None),
    "trunc": (torch.trunc, None), "sign": (torch.sign, F.hardtanh), "jpeg": (jpeg, None),
    "argmax": (one_hot_argmax, lambda z: z.softmax(-1)),
}  # fmt: skip
"""By name: the function, and the one whose slope stands in; None for the identity."""


def straight_through(function: Function | str, backward: Function | None = None) -> Function:
    """A function of the same values whose gradient is that of `backward`, or passes straight through.

    Args:
        function: takes a tensor, and more arguments if it likes; or one of "round", "floor", "ceil", "trunc", "sign",
            "jpeg", and "argmax", which returns ones and zeros along the last dimension and has softmax's slope.
        backward: takes the same arguments and returns a tensor of the same shape, differentiably.

    Raises:
        UsageError: no such name.

    Examples:
        >>> import torch
        >>> from adrgd.defences import straight_through
        >>> x = torch.tensor([0.2, 0.7], requires_grad=True)
        >>> straight_through("round")(3 * x).sum().backward()
        >>> x.grad.tolist()
        [3.0, 3.0]
    """
    if isinstance(function, str):
        _known(function)
        function, ready = READY[function]
        backward = backward or ready

    def run(x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        with torch.no_grad(), torch._C.DisableTorchFunction():
            value = function(x, *args, **kwargs)
        slope: Tensor = x if backward is None else backward(x, *args, **kwargs)
        if value.shape != slope.shape:
            raise ModelError(
                f"expected a stand-in for the gradient of the shape {tuple(value.shape)} that the function returns, "
                f"found {tuple(slope.shape)}; pass backward="
            )
        return value + (slope - slope.detach())  # the value to the bit, as the difference is zero

    return run


CALLS: dict[str, tuple[Any, ...]] = {
    "round": (torch.round, Tensor.round), "floor": (torch.floor, Tensor.floor), "ceil": (torch.ceil, Tensor.ceil),
    "trunc": (torch.trunc, Tensor.trunc, torch.fix, Tensor.fix),
    "sign": (torch.sign, Tensor.sign, torch.sgn, Tensor.sgn),
}  # fmt: skip
"""The calls by which a model that is not to be changed spells them."""


class StraightThrough(nn.Module):
    """A model whose calls of some of torch's functions pass the gradient straight through.

    Args:
        model: takes (B, ...), returns logits; any callable.
        names: of "round", "floor", "ceil", "trunc" and "sign"; all of them unless given.

    Raises:
        UsageError: another name.
    """

    def __init__(self, model: Callable[[Tensor], Tensor], names: Iterable[str] = ()) -> None:
        super().__init__()
        self.model = model
        self.training = False
        self.names = tuple([names] if isinstance(names, str) else names) or tuple(CALLS)
        for name in self.names:
            if name not in CALLS:
                raise UsageError(
                    f"expected names among {', '.join(CALLS)} of calls to pass gradients through, found {name!r}"
                    f"{closest(name, CALLS)}; put straight_through() around other functions"
                )
        self.instead = {call: straight_through(name) for name in self.names for call in CALLS[name]}

    def forward(self, x: Tensor) -> Tensor:
        with _Instead(self.instead):
            return self.model(x)


class _Instead(TorchFunctionMode):
    """While active, some calls are answered by others."""

    def __init__(self, instead: Mapping[Any, Function]) -> None:
        super().__init__()
        self.instead = instead

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        call: Callable[..., Any] = self.instead.get(func, func)
        return call(*args, **(kwargs or {}))


def _known(name: str) -> None:
    if name not in READY:
        raise UsageError(f"unknown function {name!r}; expected one of {', '.join(READY)}, or a function of your own")
