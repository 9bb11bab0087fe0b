"""Networks of any file as generators: whatever they return, images (B, C, H, W) in [0, 1]."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import prod
from typing import Any

import torch
from torch import Tensor, nn

from adrgd.errors import ModelError, UsageError, warn
from adrgd.models import Model
from adrgd.models.outputs import tensors_of

CHANNELS = (1, 3)

Shown = Callable[[], tuple[int, ...] | None]
"""Finds out the shape of an image."""


class ImagesOf(nn.Module):
    """A generator whose answer becomes images (B, C, H, W) in [0, 1].

    Args:
        model: codes (B, ...) -> images, or one tensor among several that is images, or rows of as many numbers.
        shape: (C, H, W) of an image, where the model returns rows; None where it returns images.
        span: the numbers that stand for black and white, (-1, 1) behind a tanh.
        last: the model's images have their channels last.
    """

    def __init__(
        self, model: Callable[[Tensor], Any], shape: tuple[int, ...] | None, span: tuple[float, float], *, last: bool
    ) -> None:
        super().__init__()
        self.model, self.shape, self.span, self.last = model, shape, span, last
        self.training = False  # its own: the model's mode is its owner's

    def forward(self, z: Tensor) -> Tensor:
        made = pictures(self.model(z))
        if self.shape is not None:
            made = made.reshape(len(z), *self.shape)
        elif self.last:
            made = made.movedim(-1, 1)
        low, high = self.span
        return made if self.span == (0.0, 1.0) else (made - low) / (high - low)


def as_generator(
    model: Model, code: tuple[int, ...], *, span: tuple[float, float] = (0.0, 1.0), shape: Shown | None = None
) -> tuple[Callable[[Tensor], Any], tuple[int, int, int]]:
    """A network as a generator, and the shape of its images.

    Args:
        code: the shape of one code.
        span: see `ImagesOf`.
        shape: says that of an image, asked where the network returns rows of numbers, and its file does not say more.

    Raises:
        ModelError: it makes no images.
        UsageError: it fails on such codes, or the span is none.
    """
    low, high = span
    if not low < high or not all(abs(one) < float("inf") for one in span):
        raise UsageError(f"expected the span of a generator's images as two finite numbers, found {low:g} and {high:g}")
    device = next((one.device for one in model.module.parameters()), torch.device("cpu"))
    try:
        with torch.no_grad():
            answer = model(torch.zeros(1, *code, device=device))
            made = pictures(answer)
    except (RuntimeError, TypeError, ValueError, IndexError) as error:
        raise UsageError(
            f"the generator fails on a code of shape {code} ({str(error).splitlines()[0]}); say its length by --code"
        ) from error
    own = _shape_of(made, model.output_shape, shape)
    if own is None:
        raise ModelError(
            f"expected a generator that makes images (B, C, H, W), found {tuple(made.shape)} from {model.spec}; choose "
            "one, or for one that makes rows of numbers give targets that show the shape of an image, such as npz:FILE"
        )
    whole = made.dim() == 4
    last = whole and own[0] not in CHANNELS and own[2] in CHANNELS
    if not whole and own != model.output_shape:
        warn(f"{model.spec} returns {prod(own)} numbers for a code: they are taken as an image of shape {own}")
    if last:
        own = (own[2], own[0], own[1])
        warn(f"{model.spec} makes images with the channels last: they are put first")
    if isinstance(answer, Tensor) and whole and not last and span == (0.0, 1.0):
        return model, own
    return ImagesOf(model, None if whole else own, span, last=last), own


def pictures(answer: Any) -> Tensor:
    """The tensor of images in what a generator returns: itself, or the one of its parts that has four axes.

    Raises:
        ModelError: there is none, or several.
    """
    if isinstance(answer, Tensor):
        return answer
    found = {name: part for name, part in tensors_of(answer).items() if part.dim() == 4}
    if len(found) != 1:
        raise ModelError(
            f"expected a generator that returns images, found {type(answer).__name__} with {len(found)} tensors of "
            "four axes; say which by ?output=, by name or index"
        )
    return next(iter(found.values()))


def _shape_of(made: Tensor, stated: tuple[int, ...] | None, shown: Shown | None) -> tuple[int, int, int] | None:
    """(C, H, W), or (H, W, C): of what was made, of what the file says, or of the targets."""
    for shape in _shapes(made, stated, shown):
        if shape is not None and len(shape) == 3 and prod(shape) == made[0].numel():
            return int(shape[0]), int(shape[1]), int(shape[2])
    return None


def _shapes(made: Tensor, stated: tuple[int, ...] | None, shown: Shown | None) -> Iterator[tuple[int, ...] | None]:
    yield tuple(made.shape[1:])
    yield stated
    if shown is not None:
        yield shown()
