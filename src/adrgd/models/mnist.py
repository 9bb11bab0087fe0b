"""The paper's MNIST architecture (Table 1(a)): 8,396 ReLU neurons behind 784 pixels."""

from torch import nn


def mnist_cnn() -> nn.Sequential:
    """Three unpadded convolutions of stride one and two linear layers, untrained.

    Takes images (B, 1, 28, 28) in [0, 1] and returns logits (B, 10).
    """
    return nn.Sequential(
        nn.Conv2d(1, 8, 10),
        nn.ReLU(),
        nn.Conv2d(8, 32, 8),
        nn.ReLU(),
        nn.Conv2d(32, 32, 8),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(800, 100),
        nn.ReLU(),
        nn.Linear(100, 10),
    )
