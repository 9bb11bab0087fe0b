"""Networks that are random, and what makes a fixed function of one: noise, dropout, random sizes, smoothing, means."""

from adrgd.defences.dropout import DropoutOn
from adrgd.defences.expected import Expected
from adrgd.defences.noise import Noisy
from adrgd.defences.resizing import ResizedAndPadded
from adrgd.defences.rounding import Rounded
from adrgd.defences.smoothing import Smoothed, SmoothedPrediction
from adrgd.defences.straight import StraightThrough, straight_through

__all__ = [
    "DropoutOn",
    "Expected",
    "Noisy",
    "ResizedAndPadded",
    "Rounded",
    "Smoothed",
    "SmoothedPrediction",
    "StraightThrough",
    "straight_through",
]
