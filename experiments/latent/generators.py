"""Published generators from their files; with this folder on PYTHONPATH, `--generator 'generators:vae?file=FILE'`.

vae: decoders of github.com/YannDubs/disentangling-vae (MIT); 10-dimensional codes, ReLU layers, a sigmoid.
gan: the MNIST generator of github.com/csinva/gan-vae-pretrained-pytorch; 64-dimensional codes, ReLU layers, a tanh.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from adrgd.errors import ModelError


class Rescale(nn.Module):
    """From [-1, 1] to [0, 1]."""

    def forward(self, x: Tensor) -> Tensor:
        return (x + 1) / 2


def vae(file: str) -> nn.Module:
    """A decoder: three Linear layers, then transposed convolutions up to 32 x 32 or 64 x 64 pixels."""
    state = {name.removeprefix("decoder."): value for name, value in _state(file).items()}
    layers: list[nn.Module] = []
    for name in ("lin1", "lin2", "lin3"):
        layers += [_filled(nn.Linear(*reversed(state[f"{name}.weight"].shape)), state, name), nn.ReLU()]
    layers.append(nn.Unflatten(1, (32, 4, 4)))
    for name in ("convT_64", "convT1", "convT2", "convT3"):
        if f"{name}.weight" in state:
            inside, out = state[f"{name}.weight"].shape[:2]
            layers += [_filled(nn.ConvTranspose2d(inside, out, 4, stride=2, padding=1), state, name), nn.ReLU()]
    return nn.Sequential(*layers[:-1], nn.Sigmoid()).eval()


def gan(file: str) -> nn.Module:
    """A generator of three Linear layers."""
    state = _state(file)
    layers: list[nn.Module] = []
    for name in sorted({key.rpartition(".")[0] for key in state}, key=int):
        layers += [_filled(nn.Linear(*reversed(state[f"{name}.weight"].shape)), state, name), nn.ReLU()]
    return nn.Sequential(*layers[:-1], nn.Tanh(), Rescale(), nn.Unflatten(1, (1, 28, 28))).eval()


def _state(file: str) -> dict[str, Tensor]:
    try:
        state: dict[str, Tensor] = torch.load(Path(file).expanduser(), map_location="cpu", weights_only=True)
    except OSError as error:
        raise ModelError(f"cannot read {file} ({error.strerror}); expected the generator's weights there") from error
    return state


def _filled(layer: nn.Module, state: dict[str, Tensor], name: str) -> nn.Module:
    layer.load_state_dict({key: state[f"{name}.{key}"] for key in ("weight", "bias")})
    return layer
