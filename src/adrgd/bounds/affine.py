"""Sees that a computation is affine, call by call, and can run it with the absolute values of all its constants.

Between its activations a network is an affine map. Nothing else is known of it than the calls of torch that it makes:
each has to be among those listed here, which are affine in the tensors that depend on the input. With absolute values
instead of all constants, and sums instead of differences, the same calls give the sum of the absolute values of all
terms: what rounding errors are measured against.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor
from torch._C._functorch import is_functorch_wrapped_tensor
from torch.overrides import TorchFunctionMode

from adrgd.activations import RECOGNISERS
from adrgd.activations.found import Found
from adrgd.bounds import lowering
from adrgd.bounds.curves import shape_of
from adrgd.bounds.errors import NoBoundsError
from adrgd.bounds.lowering import Bend

MOVES = frozenset([
    "__get__", "__getitem__", "alias", "broadcast_to", "cat", "chunk", "clone", "concat", "contiguous", "copy_",
    "detach", "double", "expand", "expand_as", "flatten", "flip", "index_select", "movedim", "narrow", "pad",
    "permute", "pixel_shuffle", "pixel_unshuffle", "repeat", "repeat_interleave", "reshape", "reshape_as", "roll",
    "select", "split", "squeeze", "squeeze_", "stack", "swapaxes", "swapdims", "t", "tile", "to", "transpose",
    "type", "type_as", "unbind", "unflatten", "unfold", "unsqueeze", "unsqueeze_", "view", "view_as",
])  # fmt: skip
"""Calls that only move numbers."""

SUMS = frozenset([
    "adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d", "avg_pool1d", "avg_pool2d", "avg_pool3d",
    "cumsum", "mean", "sum",
])  # fmt: skip
"""Calls that add numbers with weights that are not negative."""

PRODUCTS = frozenset([
    "__matmul__", "__rmatmul__", "addmm", "bmm", "conv1d", "conv2d", "conv3d", "conv_transpose1d",
    "conv_transpose2d", "conv_transpose3d", "einsum", "linear", "matmul", "mm", "mv",
])  # fmt: skip
"""Products of which one factor is a constant."""

ADDS = frozenset(["__add__", "__iadd__", "__radd__", "add", "add_"])
SUBTRACTS = frozenset(["__isub__", "__rsub__", "__sub__", "rsub", "sub", "sub_"])
SCALES = frozenset([
    "__div__", "__imul__", "__itruediv__", "__mul__", "__rmul__", "__truediv__", "div", "div_", "divide", "mul",
    "mul_", "multiply", "true_divide",
])  # fmt: skip
NEGATES = frozenset(["__neg__", "neg", "neg_", "negative"])
SWITCHED_OFF = frozenset([
    "dropout", "dropout1d", "dropout2d", "dropout3d", "dropout_", "alpha_dropout", "feature_alpha_dropout",
])  # fmt: skip

LIKE = frozenset(["__get__", "expand_as", "reshape_as", "to", "type_as", "view_as"])
"""Calls that take no numbers of their second argument."""

CHOOSES = frozenset(["masked_fill", "where"])
"""By a condition that does not depend on the input."""

ASKS = frozenset([
    "is_inference",
    "__get__", "__len__", "dim", "element_size", "is_complex", "is_contiguous", "is_floating_point", "ndimension",
    "nelement", "numel", "size", "storage_offset", "stride",
])  # fmt: skip
"""What may be asked of a tensor that depends on the input; anything else that is no tensor could depend on numbers."""

KNOWN = (
    MOVES
    | SUMS
    | PRODUCTS
    | ADDS
    | SUBTRACTS
    | SCALES
    | NEGATES
    | SWITCHED_OFF
    | CHOOSES
    | {"batch_norm", "interpolate"}
)
ROUNDINGS = 4  # of a call, beside those of the sums in it


class Affine(TorchFunctionMode):
    """Refuses every call on tensors that depend on the input which is not known to be affine.

    Attributes:
        absolute: run with absolute values instead.
        dtype: what results have to be in.
        bend: what stands for curves, where there may be any.
    """

    def __init__(self, *, absolute: bool = False, dtype: torch.dtype = torch.float64) -> None:
        super().__init__()
        self.absolute, self.dtype = absolute, dtype
        self.bend: Bend | None = None
        self.varying: dict[int, Tensor] = {}
        self.depth: dict[int, tuple[int, int]] = {}
        self.calls = 0
        self.paused = False

    def vary(self, tensor: Tensor, depth: tuple[int, int] = (0, 0)) -> Tensor:
        """Note that a tensor depends on the input, and the roundings on the way from the last activation and back."""
        self.varying[id(tensor)], self.depth[id(tensor)] = tensor, depth
        return tensor

    def roundings(self, tensor: Tensor) -> tuple[int, int]:
        """Bounds on the number of roundings in any term of it, and in any term of the transposed map.

        That one adds up what follows from a tensor, which is used by no more calls than there are.
        """
        there, back = self.depth[id(tensor)]
        return there, back + self.calls

    def varies(self, tensor: Tensor) -> bool:
        """Whether a tensor depends on the input."""
        return id(tensor) in self.varying

    @contextlib.contextmanager
    def pause(self) -> Iterator[None]:
        """Let everything through meanwhile."""
        self.paused = True
        try:
            yield
        finally:
            self.paused = False

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = dict(kwargs or {})
        if self.paused:
            return func(*args, **kwargs)
        given = list(tensors((args, kwargs)))
        name = str(getattr(func, "__name__", func)).partition(".")[0]
        if any(is_functorch_wrapped_tensor(one) for one in given):
            raise NoBoundsError(f"no bounds are known for what runs inside torch.func ({name})")
        moving = [one for one in given if self.varies(one)]
        if not moving or (name in LIKE and not self.varies(args[0])):
            return func(*args, **kwargs)
        instead = self._curved(name, func, args, kwargs)
        if instead is not None:
            return instead
        constant = [one for one in given if not self.varies(one)]
        if self.absolute and name not in ASKS:
            answer = self._in_absolute_values(name, func, args, kwargs)
        else:
            answer = func(*args, **kwargs)
        made = list(tensors(answer))
        self._check(name, moving, args, kwargs, asked=not made)
        self.calls += 1
        before = [self.depth[id(one)] for one in moving]
        more = _terms(name, moving, constant, made, args, kwargs)
        there, back = (max(numbers) + ROUNDINGS + more[k] for k, numbers in enumerate(zip(*before, strict=True)))
        for one in made:
            if one.dtype != self.dtype:
                raise NoBoundsError(f"bounds need double precision throughout, found a result in {one.dtype} ({name})")
            self.vary(one, (there, back))
        return answer

    def _curved(self, name: str, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What a call gives that is written with affine maps and curves instead; None for others."""
        if self.bend is None:
            return None
        with self:
            found: Any = RECOGNISERS[func](args, kwargs) if func in RECOGNISERS else None
            if found is None:
                return lowering.function(self.bend, name, self.varies, args, kwargs)
            found = found if isinstance(found, Found) else Found(*found)
            return None if found.in_place else found.answer(self.activation(found.phi, found.h, written=False))

    def activation(self, phi: object, h: Tensor, *, written: bool) -> Tensor:
        """An activation of h (B, ...), by its curve or in parts."""
        if self.bend is None:
            raise NoBoundsError("no curves are expected here")
        shape = shape_of(phi, written=written)
        out = lowering.activation(self.bend, phi, h) if shape is None else self.bend(shape, h)
        if out is None:
            raise NoBoundsError(f"no bounds are known for {getattr(phi, 'name', type(phi).__name__)}")
        return out

    def _check(self, name: str, moving: list[Tensor], args: Any, kwargs: dict[str, Any], *, asked: bool) -> None:
        if asked and name in ASKS:
            return
        fine = name in KNOWN and not asked
        if name in PRODUCTS | SCALES:
            fine = fine and len(moving) == 1
            if name in ("__div__", "__itruediv__", "__truediv__", "div", "div_", "divide", "true_divide"):
                fine = fine and self.varies(args[0]) and not kwargs.get("rounding_mode")
        elif name in CHOOSES:
            fine = fine and not any(one.dtype == torch.bool for one in moving) and len(args) >= 3
        elif name == "batch_norm":
            fine = fine and not _option(args, kwargs, 5, "training", False)
        elif name == "interpolate":
            fine = fine and _option(args, kwargs, 3, "mode", "nearest") in (
                "nearest",
                "nearest-exact",
                "linear",
                "bilinear",
            )
        elif name in SWITCHED_OFF:
            fine = fine and not _option(args, kwargs, 2, "training", True)
        if not fine:
            raise NoBoundsError(
                f"no bounds are known for {name.strip('_') or 'a function'} of numbers that depend on the input"
            )

    def _in_absolute_values(
        self, name: str, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        numbers = name in ADDS | SUBTRACTS | SCALES | CHOOSES
        args = tuple(self._positive(one, numbers) for one in args)
        kwargs = {key: self._positive(one, numbers or key in ("value", "alpha")) for key, one in kwargs.items()}
        if name in NEGATES:
            return args[0]
        if name in SUBTRACTS:
            func = Tensor.add_ if name in ("sub_", "__isub__") else torch.add
            if not isinstance(args[0], Tensor):
                args = (args[1], args[0], *args[2:])
        if name == "batch_norm" and args[1] is not None:
            args = (args[0], -args[1], *args[2:])
        return func(*args, **kwargs)

    def _positive(self, value: Any, numbers: bool) -> Any:
        if isinstance(value, Tensor):
            return value if self.varies(value) or not value.is_floating_point() else value.abs()
        if isinstance(value, int | float) and not isinstance(value, bool):
            return abs(value) if numbers else value
        if isinstance(value, list | tuple) and any(isinstance(one, Tensor) for one in value):
            return type(value)(self._positive(one, numbers) for one in value)
        return value


def _terms(
    name: str, moving: list[Tensor], constant: list[Tensor], made: list[Tensor], args: Any, kwargs: dict[str, Any]
) -> tuple[int, int]:
    """How many numbers are added up in one of the results, and in one of the transposed call's, at most."""
    if name in PRODUCTS:
        return _factors(name, moving, [one for one in constant if one.ndim > 1], args, kwargs)
    if not made:
        return 0, 0
    sizes = [max(1, one.numel()) for one in (moving[0], made[0])]
    most = max(sizes) // min(sizes)
    if name in ("cumsum", "index_select") or (name == "__getitem__" and constant):
        most = max(sizes)
    elif name == "pad":
        most += int((1 + sum(map(abs, args[1] if len(args) > 1 else kwargs["pad"]))) ** 2)
    elif name.startswith("avg_pool"):
        window: Any = args[1] if len(args) > 1 else kwargs["kernel_size"]
        widest = int(max(window)) if isinstance(window, tuple | list) else int(window)
        most += int(widest ** (moving[0].ndim - 1))
    elif name in SUMS or name == "interpolate":
        most *= 8
    return most, most


def _factors(
    name: str, moving: list[Tensor], constant: list[Tensor], args: Any, kwargs: dict[str, Any]
) -> tuple[int, int]:
    """The same of a product."""
    if name.startswith("conv") and constant:
        # weights (out, in of the group, places), or those of a transposed convolution (in, out of the group, places)
        shape, size = constant[0].shape, constant[0].numel()
        stride = _option(args, kwargs, 3, "stride", 1)
        strides = tuple(stride) if isinstance(stride, tuple | list) else (stride,)
        strides = strides * (len(shape) - 2) if len(strides) == 1 else strides
        apart = math.prod(-(-length // step) for length, step in zip(shape[2:], strides, strict=True))
        if name.startswith("conv_transpose"):
            return shape[0] * apart, size // shape[0]
        return size // shape[0], shape[0] * apart
    if name == "linear" and constant:
        return constant[0].shape[1], constant[0].shape[0]
    if name in ("matmul", "mm", "__matmul__") and constant and args[-1] is constant[-1]:
        return constant[-1].shape[-2], constant[-1].shape[-1]
    most = max(
        (one.numel() // max(1, min(one.shape)) for one in constant),
        default=max((one.shape[-1] for one in moving if one.ndim), default=1),
    )
    return most, most


def tensors(values: Any) -> Iterator[Tensor]:
    """All tensors in a nest of tuples, lists and dicts."""
    if isinstance(values, Tensor):
        yield values
    elif isinstance(values, dict):
        yield from tensors(list(values.values()))
    elif isinstance(values, list | tuple):
        for value in values:
            yield from tensors(value)


def _option(args: Any, kwargs: dict[str, Any], place: int, name: str, default: Any) -> Any:
    return args[place] if len(args) > place else kwargs.get(name, default)
