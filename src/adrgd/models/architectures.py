"""Architectures that a model spec can name: `NAME?weights=FILE`, or NAME alone for one to be trained."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from torch import nn

from adrgd.models.mnist import mnist_cnn, mnist_decoder
from adrgd.models.resnet import ResNet50
from adrgd.models.vgg import SMALL, VGG19, vgg


@dataclass(frozen=True)
class Architecture:
    """How to make an untrained network, the shape of one of its inputs, and how many logits it returns; None for a
    generator of images."""

    make: Callable[[], nn.Module]
    input_shape: tuple[int, ...]
    classes: int | None


ARCHITECTURES = {
    "mnist-cnn": Architecture(mnist_cnn, (1, 28, 28), 10),
    "mnist-decoder": Architecture(mnist_decoder, (20,), None),
    "cifar-vgg-small": Architecture(partial(vgg, SMALL), (3, 32, 32), 10),
    "cifar-vgg19": Architecture(partial(vgg, VGG19), (3, 32, 32), 10),
    "resnet50": Architecture(ResNet50, (3, 224, 224), 1000),
    "wide-resnet50-2": Architecture(partial(ResNet50, factor=2), (3, 224, 224), 1000),
}
