"""Published networks that the benchmarks attack, from their authors' own files, and images that go with them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from adrgd import load_data, load_model
from adrgd.data import Images
from adrgd.rows import take

MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)


class Standardised(nn.Module):
    """A network behind the standardisation of its inputs."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(STD).view(1, 3, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.network((x - self.mean) / self.std)
        return logits


def robust_mnist(folder: Path) -> nn.Module:
    """The paper's MNIST network, as its authors trained it on PGD's images."""
    return load_model(f"mnist-cnn?weights={folder}/adrgd_mnist/mnist_pgd_epsilon_0.25_steps_20_epochs_20").module


def tiny_mnist(folder: Path) -> nn.Module:
    """A small adversarially trained network in Madry's style, without pooling."""
    net = nn.Sequential(
        nn.Conv2d(1, 4, 5, 2, 2), nn.ReLU(), nn.Conv2d(4, 8, 5, 2, 2), nn.ReLU(), nn.Flatten(),
        nn.Linear(392, 128), nn.ReLU(), nn.Linear(128, 10),
    )  # fmt: skip
    return _filled(net, folder / "hard_mnist" / "MadryCNN_no_maxpool_tiny.pt")


def cnn_a(folder: Path) -> nn.Module:
    """A network of two convolutions, adversarially trained on CIFAR-10."""
    net = nn.Sequential(
        nn.Conv2d(3, 16, 4, 2, 1), nn.ReLU(), nn.Conv2d(16, 32, 4, 2, 1), nn.ReLU(), nn.Flatten(),
        nn.Linear(2048, 100), nn.ReLU(), nn.Linear(100, 10),
    )  # fmt: skip
    return Standardised(_filled(net, folder / "cifar10" / "cifar_cnn_a_adv4.model")).eval()


def sri_resnet(folder: Path) -> nn.Module:
    """A residual network, adversarially trained on CIFAR-10."""
    words = "&".join(f"{name}={','.join(map(str, values))}" for name, values in (("mean", MEAN), ("std", STD)))
    return load_model(f"{folder}/cifar10/sri_resnet_a.onnx?{words}").module


NETS: dict[str, tuple[Callable[[Path], nn.Module], str]] = {
    "robust-mnist": (robust_mnist, "mnist"), "cnn-a": (cnn_a, "cifar10"), "sri-resnet": (sri_resnet, "cifar10"),
}  # fmt: skip
"""By name: how each is loaded from the folder of all, and the data that it was trained on."""


def published(name: str, nets: Path, data: Path, limit: int) -> tuple[nn.Module, Images]:
    """One of `NETS`, and the first test images of its data's folder."""
    load, kind = NETS[name]
    return load(nets), load_data(f"{kind}:{data}", limit=limit)


def hard_mnist(nets: Path, mnist: Path) -> tuple[nn.Module, Images]:
    """The small MNIST network, and the images that only a MIP had broken."""
    listed = (nets / "hard_mnist" / "mip_unsafe_idx.txt").read_text().split()
    return tiny_mnist(nets), take(load_data(f"mnist:{mnist}"), torch.tensor([int(word) for word in listed]))


def _filled(net: nn.Sequential, file: Path) -> nn.Module:
    """Give a network the weights of a file, in their order there."""
    found = torch.load(file, map_location="cpu", weights_only=True)
    while not all(isinstance(value, Tensor) for value in found.values()):
        found = next(value for value in found.values() if isinstance(value, dict))
    net.load_state_dict(dict(zip(net.state_dict(), found.values(), strict=True)))
    return net.eval().requires_grad_(False)
