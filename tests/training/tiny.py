"""A network that is trained within a moment, as `--model training.tiny:make` would name it."""

from torch import nn


def make() -> nn.Module:
    """One hidden layer over the 28 x 28 images of MNIST."""
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 32), nn.ReLU(), nn.Linear(32, 10))
