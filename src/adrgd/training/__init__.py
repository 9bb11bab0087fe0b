"""Adversarial training: a classifier learns from the inputs that a solver finds against it."""

from adrgd.training.config import ATTACKS, Training
from adrgd.training.keep import train_and_keep
from adrgd.training.loop import train

__all__ = ["ATTACKS", "Training", "train", "train_and_keep"]
