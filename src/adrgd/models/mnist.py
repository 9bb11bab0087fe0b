"""The architectures of the bundled MNIST networks: the paper's classifier (Table 1(a)), and the decoder of a VAE."""

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


def mnist_decoder() -> nn.Sequential:
    """Two ReLU layers and a sigmoid, untrained.

    Takes codes (B, 20), standard normal in training, and returns images (B, 1, 28, 28) in [0, 1].
    """
    return nn.Sequential(
        nn.Linear(20, 200),
        nn.ReLU(),
        nn.Linear(200, 400),
        nn.ReLU(),
        nn.Linear(400, 784),
        nn.Sigmoid(),
        nn.Unflatten(1, (1, 28, 28)),
    )
