"""Latent optimisation: the code of a generator whose image agrees with what was measured."""

from adrgd.latent.invert import Reconstruction, invert, reconstruct
from adrgd.latent.operators import (
    Blur,
    CentreBlock,
    Downsample,
    GaussianMeasurements,
    Identity,
    RandomMask,
    parse_operator,
)

__all__ = [
    "Blur",
    "CentreBlock",
    "Downsample",
    "GaussianMeasurements",
    "Identity",
    "RandomMask",
    "Reconstruction",
    "invert",
    "parse_operator",
    "reconstruct",
]
