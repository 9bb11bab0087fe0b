"""Adversarial training: a classifier learns from the inputs that a solver finds against it."""

from adrgd.training.config import ATTACKS, Training
from adrgd.training.loop import train

__all__ = ["ATTACKS", "Training", "train"]
