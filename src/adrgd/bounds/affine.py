"""Sees that a computation is affine, call by call, and can run it with the absolute values of all its constants.

Between its activations a network is an affine map. Nothing else is known of it than the calls of torch that it makes:
each has to be among those listed here, which are affine in the tensors that depend on the input. With absolute values
instead of all constants, and sums instead of differences, the same calls give the sum of the absolute values of all
terms: what rounding errors are measured against.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor
from torch._C._functorch import is_functorch_wrapped_tensor
from torch.overrides import TorchFunctionMode

from adrgd.activations import RECOGNISERS
from adrgd.activations.found import Found
from adrgd.bounds import lowering
from adrgd.bounds.calls import Bend
from adrgd.bounds.casts import CASTS, SAME, target
from adrgd.bounds.choosing import as_truth, cut_off
from adrgd.bounds.curves import Shape, shape_of
from adrgd.bounds.errors import NoBoundsError
from adrgd.bounds.terms import option, tensors, terms
from adrgd.bounds.words import (
    ADDS,
    ASKS,
    CHOOSES,
    FRESH,
    KNOWN,
    LIKE,
    MOVES,
    NEGATES,
    PRODUCTS,
    SCALES,
    SUBTRACTS,
    SWITCHED_OFF,
)  # fmt: skip

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
        self.truths: set[int] = set()
        self.wholes: set[int] = set()
        self.unfollowed: set[int] = set()
        self.ones: dict[int, tuple[Tensor, int]] = {}
        self.origins: dict[int, int] = {}
        self.nothing: dict[int, Tensor] = {}
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

    def varies(self, value: Any) -> bool:
        """Whether it is a tensor that depends on the input."""
        return isinstance(value, Tensor) and id(value) in self.varying

    def bent(self, shape: Shape, h: Tensor) -> Tensor:
        """A curve of h, as a layer."""
        if self.bend is None:
            raise NoBoundsError("no curves are expected here")
        return self.bend(shape, h)

    def is_truth(self, value: Any) -> bool:
        """Whether it stands for truth values."""
        return self.varies(value) and id(value) in self.truths

    def truth(self, value: Tensor) -> Tensor:
        """Note that it does."""
        self.truths.add(id(value))
        return value

    def masked(self, x: Tensor) -> Tensor | None:
        """Where x is infinite, whatever the input: without the rows; None where it is nowhere."""
        with self.pause():
            found = x[0].detach().isinf()
            return found if bool(found.any()) else None

    def whole(self, value: Tensor) -> Tensor:
        """Note that it stands for whole numbers."""
        self.wholes.add(id(value))
        return value

    def is_whole(self, value: Any) -> bool:
        """Whether a tensor that depends on the input, or a constant, is known to hold whole numbers."""
        if not isinstance(value, Tensor):
            return isinstance(value, int) or (isinstance(value, float) and value.is_integer())
        if self.varies(value):
            return id(value) in self.wholes | self.truths
        return not value.is_floating_point() or bool((value == value.round()).all())

    def hidden(self, make: Callable[[], Tensor]) -> Tensor:
        """A tensor that depends on the input in a way that is not followed: it may be moved, and used for nothing."""
        with self.pause():
            value = make()
        return self.hide(value)

    def hide(self, value: Tensor) -> Tensor:
        """Note that of a tensor."""
        self.unfollowed.add(id(value))
        return self.vary(value)

    def places(self, index: Any) -> tuple[Tensor, int] | None:
        """Of what stands for places along an axis: ones there, zeros elsewhere, and the axis."""
        return self.ones.get(id(index)) if self.varies(index) else None

    def placed(self, index: Tensor, ones: Tensor, axis: int) -> Tensor:
        """Note these of a tensor that stands for places."""
        self.ones[id(index)] = ones, axis
        return index

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
        if name in FRESH and args and len(moving) == 1 and moving[0] is args[0]:
            return func(*args, **kwargs)
        if any(id(one) in self.unfollowed for one in moving):
            return self._moved(name, func, args, kwargs)
        instead = self._rewritten(name, func, args, kwargs)
        if instead is not None:
            return instead
        constant = [one for one in given if not self.varies(one)]
        if self.absolute and name not in ASKS:
            answer = self._in_absolute_values(name, func, args, kwargs)
        else:
            answer = self._called(name, func, args, kwargs)
        made = list(tensors(answer))
        self._check(name, moving, args, kwargs, asked=not made)
        self.calls += 1
        before = [self.depth[id(one)] for one in moving]
        more = terms(name, moving, constant, made, args, kwargs)
        there, back = (max(numbers) + ROUNDINGS + more[k] for k, numbers in enumerate(zip(*before, strict=True)))
        for one in made:
            if one.dtype != self.dtype:
                raise NoBoundsError(f"bounds need double precision throughout, found a result in {one.dtype} ({name})")
            self.vary(one, (there, back))
            self._note_meaning(name, moving, args, one)
        return answer

    def _note_meaning(self, name: str, moving: list[Tensor], args: tuple[Any, ...], made: Tensor) -> None:
        """What is moved stays what it is; sums and differences of whole numbers are some."""
        if name in MOVES and all(id(given) in self.truths for given in moving):
            self.truth(made)
        elif name in MOVES and all(map(self.is_whole, moving)):
            self.whole(made)
        elif name in ADDS | SUBTRACTS | NEGATES | SCALES and not name.strip("_").startswith(("div", "true", "itrue")):
            with self.pause():
                if all(map(self.is_whole, args)):
                    self.whole(made)

    def _called(self, name: str, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The call itself; what stands for truth values or whole numbers may not fit it."""
        try:
            return func(*args, **kwargs)
        except (IndexError, RuntimeError, TypeError) as error:
            if any(id(one) in self.truths | self.wholes for one in tensors((args, kwargs))):
                raise NoBoundsError(_unknown(name)) from error
            raise

    def _moved(self, name: str, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What is not followed may be moved, in case that it is not needed."""
        if name not in MOVES | ASKS | CASTS:
            raise NoBoundsError("no bounds are known for the places of numbers that were put in order")
        answer = func(*args, **kwargs)
        for one in tensors(answer):
            self.hide(one)
        return answer

    def _rewritten(self, name: str, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What a call gives that is written with affine maps and curves instead; None for others."""
        if self.bend is None:
            return None
        if name in SAME:
            return self._same(args[0])
        if name in SUBTRACTS and len(args) == 2 and self._origin(args[0]) == self._origin(args[1]):
            zeros = torch.zeros_like(args[0])  # a tensor minus itself without its gradient
            self.nothing[id(zeros)] = zeros
            return zeros
        if name in ADDS and len(args) == 2 and id(args[1]) in self.nothing and args[0].shape == args[1].shape:
            return self._same(args[0])
        with self:
            if name in CASTS and self.varies(args[0]):
                return self._cast(args[0], target(name, args, kwargs))
            found: Any = RECOGNISERS[func](args, kwargs) if func in RECOGNISERS else None
            if found is None:
                return lowering.function(self, name, args, kwargs)
            found = found if isinstance(found, Found) else Found(*found)
            return None if found.in_place else found.answer(self.activation(found.phi, found.h, written=False))

    def _same(self, value: Tensor) -> Tensor:
        """Another tensor with the same numbers, through which derivatives pass."""
        with self:
            same = value.view_as(value)
        self.origins[id(same)] = self._origin(value)
        for notes in (self.truths, self.wholes):
            if id(value) in notes:
                notes.add(id(same))
        if id(value) in self.ones:
            self.ones[id(same)] = self.ones[id(value)]
        return same

    def _origin(self, value: Any) -> int:
        return self.origins.get(id(value), id(value))

    def _cast(self, value: Tensor, kind: torch.dtype | None) -> Tensor | None:
        """Numbers as others of a type; None where it is a floating-point one, as before."""
        stands = id(value) in self.truths | self.wholes
        if kind is None:
            return None
        if kind == torch.bool:
            found: Tensor = as_truth(self, value)
            return found
        if kind.is_floating_point:
            return self._same(value) if stands else None
        return self._same(value) if stands else self.whole(cut_off(self, value))

    def activation(self, phi: object, h: Tensor, *, written: bool) -> Tensor:
        """An activation of h (B, ...), by its curve or in parts."""
        shape = shape_of(phi, written=written)
        out = lowering.activation(self, phi, h) if shape is None else self.bent(shape, h)
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
            fine = fine and not option(args, kwargs, 5, "training", False)
        elif name == "interpolate":
            fine = fine and option(args, kwargs, 3, "mode", "nearest") in (
                "nearest",
                "nearest-exact",
                "linear",
                "bilinear",
            )
        elif name in SWITCHED_OFF:
            fine = fine and not option(args, kwargs, 2, "training", True)
        if not fine:
            raise NoBoundsError(_unknown(name))

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


def _unknown(name: str) -> str:
    return f"no bounds are known for {name.strip('_') or 'a function'} of numbers that depend on the input"
