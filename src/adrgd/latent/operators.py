"""What is measured of an image: linear operators on batches (B, C, H, W). Any other callable on a batch will do too."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from adrgd.errors import UsageError
from adrgd.specs import closest

Operator = Callable[[Tensor], Tensor]
"""Images (B, C, H, W) -> measurements (B, ...), row by row."""


@dataclass(frozen=True)
class Identity:
    """The whole image."""

    def __call__(self, images: Tensor) -> Tensor:
        return images


@dataclass(frozen=True)
class RandomMask:
    """Pixels are missing at random, the same ones in every image and channel; they read 0.

    Attributes:
        missing: the share of pixels that are missing.
        seed: of the choice.
    """

    missing: float = 0.5
    seed: int = 0

    def __post_init__(self) -> None:
        _share(self.missing, "the share of missing pixels")

    def __call__(self, images: Tensor) -> Tensor:
        return images * _mask(tuple(images.shape[-2:]), self.missing, self.seed).to(images)


@dataclass(frozen=True)
class CentreBlock:
    """A block in the middle is missing; it reads 0.

    Attributes:
        share: the block's sides, as a share of the image's.
    """

    share: float = 0.5

    def __post_init__(self) -> None:
        _share(self.share, "the block's share of a side")

    def __call__(self, images: Tensor) -> Tensor:
        seen = torch.ones_like(images[:1])
        spans = [slice(round(n * (1 - self.share) / 2), round(n * (1 + self.share) / 2)) for n in images.shape[-2:]]
        seen[..., spans[0], spans[1]] = 0
        return images * seen


@dataclass(frozen=True)
class Blur:
    """A Gaussian blur; the border is continued by its last pixel.

    Attributes:
        sigma: its standard deviation in pixels.
    """

    sigma: float = 2.0

    def __post_init__(self) -> None:
        if not 0 < self.sigma < math.inf:
            raise UsageError(f"the standard deviation of a blur must be positive, found {self.sigma}")

    def __call__(self, images: Tensor) -> Tensor:
        reach = math.ceil(3 * self.sigma)
        line = torch.arange(-reach, reach + 1).to(images)
        kernel = torch.exp(-(line**2) / (2 * self.sigma**2))
        kernel = (kernel / kernel.sum()).expand(images.shape[1], 1, 1, -1)
        wide = F.pad(images, (reach, reach, reach, reach), mode="replicate")
        wide = F.conv2d(wide, kernel, groups=images.shape[1])
        return F.conv2d(wide, kernel.transpose(2, 3), groups=images.shape[1])


@dataclass(frozen=True)
class Downsample:
    """Means over squares of pixels.

    Attributes:
        factor: the squares' side.
    """

    factor: int = 4

    def __post_init__(self) -> None:
        if self.factor < 2:
            raise UsageError(f"the factor of a downsampling must be at least 2, found {self.factor}")

    def __call__(self, images: Tensor) -> Tensor:
        height, width = images.shape[-2:]
        if height % self.factor or width % self.factor:
            raise UsageError(
                f"a downsampling by {self.factor} does not fit images of {width} x {height} pixels; choose a factor "
                "that divides both"
            )
        return F.avg_pool2d(images, self.factor)


@dataclass(frozen=True)
class GaussianMeasurements:
    """Compressed sensing: `count` products with random vectors, whose entries are normal with variance 1 / count.

    Attributes:
        count: of measurements, fewer than the image has values.
        seed: of the vectors.
    """

    count: int = 100
    seed: int = 0

    def __post_init__(self) -> None:
        if self.count < 1:
            raise UsageError(f"the number of measurements must be at least 1, found {self.count}")

    def __call__(self, images: Tensor) -> Tensor:
        values = images[0].numel()
        if self.count > values:
            raise UsageError(
                f"{self.count} measurements do not fit images of {values} values; choose at most as many as values"
            )
        return images.flatten(1) @ _vectors(values, self.count, self.seed).to(images)


@lru_cache(maxsize=8)
def _mask(shape: tuple[int, int], missing: float, seed: int) -> Tensor:
    return (torch.rand(shape, generator=torch.Generator().manual_seed(seed)) >= missing).float()


@lru_cache(maxsize=8)
def _vectors(values: int, count: int, seed: int) -> Tensor:
    return torch.randn((values, count), generator=torch.Generator().manual_seed(seed)) / math.sqrt(count)


def _share(value: float, what: str) -> None:
    if not 0 < value < 1:
        raise UsageError(f"{what} must lie between 0 and 1, found {value}")


_KINDS: dict[str, tuple[Callable[..., Operator], Callable[[str], float]]] = {
    "mask": (RandomMask, float),
    "block": (CentreBlock, float),
    "blur": (Blur, float),
    "down": (Downsample, int),
    "gaussian": (GaussianMeasurements, int),
}

FORMS = "identity, mask:SHARE, block:SHARE, blur:SIGMA, down:FACTOR or gaussian:COUNT"


def parse_operator(text: str) -> Operator:
    """The operator of that name, e.g. "mask:0.5"; without a number, its default.

    Raises:
        UsageError: there is none, or the number makes no sense.
    """
    name, _, number = text.partition(":")
    if text == "identity":
        return Identity()
    if name not in _KINDS:
        raise UsageError(f"unknown operator {text!r}; expected {FORMS}{closest(name, ['identity', *_KINDS])}")
    kind, read = _KINDS[name]
    if not number:
        return kind()
    try:
        value = read(number)
    except ValueError:
        raise UsageError(f"expected a number behind {name}:, found {number!r}; write {FORMS}") from None
    return kind(value)
