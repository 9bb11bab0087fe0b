"""Architectures that a model spec can name: `NAME?weights=FILE`, or NAME alone for one to be trained."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from torch import nn

from adrgd.models.convnext import ConvNeXt
from adrgd.models.mnist import mnist_cnn, mnist_decoder
from adrgd.models.resnet import ResNet50
from adrgd.models.strided import strided_cnn
from adrgd.models.vgg import SMALL, VGG11_QUARTER, VGG19, vgg
from adrgd.models.vit import ViT
from adrgd.models.wide_resnet import wide_resnet

MNIST, CIFAR = (1, 28, 28), (3, 32, 32)


@dataclass(frozen=True)
class Architecture:
    """How to make an untrained network, the shape of one of its inputs, and how many logits it returns; None for a
    generator of images."""

    make: Callable[[], nn.Module]
    input_shape: tuple[int, ...]
    classes: int | None

    def words(self) -> str:
        """What goes in and what comes out."""
        inputs = " x ".join(str(side) for side in self.input_shape)
        return f"inputs {inputs}, {'an image' if self.classes is None else f'{self.classes} logits'}"


ARCHITECTURES = {
    "mnist-cnn": Architecture(mnist_cnn, MNIST, 10),
    "mnist-decoder": Architecture(mnist_decoder, (20,), None),
    "mnist-convnext": Architecture(partial(ConvNeXt, MNIST, (16, 32), depth=1), MNIST, 10),
    "mnist-vit": Architecture(partial(ViT, MNIST, patch=7, width=64, depth=3), MNIST, 10),
    "mnist-wrn-silu": Architecture(partial(wide_resnet, 1, (16, 32, 64)), MNIST, 10),
    "mnist-elu": Architecture(partial(strided_cnn, MNIST, (16, 32), 100, nn.ELU), MNIST, 10),
    "mnist-softplus": Architecture(partial(strided_cnn, MNIST, (16, 32), 100, nn.Softplus), MNIST, 10),
    "cifar-vgg-small": Architecture(partial(vgg, SMALL), CIFAR, 10),
    "cifar-vgg11-quarter": Architecture(partial(vgg, VGG11_QUARTER), CIFAR, 10),
    "cifar-vgg19": Architecture(partial(vgg, VGG19), CIFAR, 10),
    "cifar-convnext": Architecture(partial(ConvNeXt, CIFAR, (24, 48, 96), depth=1), CIFAR, 10),
    "cifar-vit": Architecture(partial(ViT, CIFAR, patch=8, width=96, depth=4), CIFAR, 10),
    "cifar-wrn-silu": Architecture(partial(wide_resnet, 3, (32, 64, 128)), CIFAR, 10),
    "cifar-elu": Architecture(partial(strided_cnn, CIFAR, (32, 64, 128), 128, nn.ELU), CIFAR, 10),
    "resnet50": Architecture(ResNet50, (3, 224, 224), 1000),
    "wide-resnet50-2": Architecture(partial(ResNet50, factor=2), (3, 224, 224), 1000),
}
