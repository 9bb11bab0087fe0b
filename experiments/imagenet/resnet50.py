"""ResNet-50 with the ImageNet weights that Keras first shipped, as a factory for model specs.

    adrgd attack --model 'experiments.imagenet.resnet50:resnet50?file=FOLDER/resnet50_keras_caffe_fp16.npz' ...

The first convolution of a block strides, normalisation is folded into the convolutions, and so is the order of colours
(these weights expect blue first); what is left of the preprocessing is a mean and a scale. Inputs are RGB in [0, 1].
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from adrgd.data.npz import read_arrays
from adrgd.errors import ModelError
from adrgd.models.normalise import Normalised
from adrgd.models.resnet import ResNet50

TINY = 1e-3  # what these networks add to a variance
MEAN = (123.68, 116.779, 103.939)
BLOCKS = {2: "abc", 3: "abcd", 4: "abcdef", 5: "abc"}


def resnet50(file: str) -> nn.Module:
    """The trained network; takes RGB images (B, 3, 224, 224) in [0, 1], returns logits (B, 1000).

    Raises:
        DataError: the file is missing or damaged.
        ModelError: it holds other arrays.
    """
    net = ResNet50(where="first", norm=False)
    try:
        net.load_state_dict(_state(read_arrays(Path(file).expanduser())))
    except (KeyError, RuntimeError) as error:
        raise ModelError(
            f"expected the arrays of Keras' ResNet-50 in {file!r}, found others ({str(error).splitlines()[0]}); get "
            "the file again"
        ) from error
    mean = torch.tensor(MEAN, dtype=torch.float64) / 255
    return Normalised(net, mean, torch.tensor([1 / 255], dtype=torch.float64))


def _state(arrays: dict[str, np.ndarray]) -> dict[str, Tensor]:
    """The arrays under the names of `ResNet50`."""
    state = _folded(arrays, "conv1", "bn_conv1", "conv1")
    state["conv1.weight"] = state["conv1.weight"].flip(1)
    for stage, blocks in BLOCKS.items():
        for number, letter in enumerate(blocks):
            here = f"layer{stage - 1}.{number}"
            pairs = [(f"2{part}", f"conv{at}") for at, part in enumerate("abc", start=1)]
            if number == 0:
                pairs.append(("1", "downsample.0"))
            for branch, name in pairs:
                tail = f"{stage}{letter}_branch{branch}"
                state |= _folded(arrays, f"res{tail}", f"bn{tail}", f"{here}.{name}")
    state["fc.weight"] = torch.from_numpy(arrays["fc1000/kernel"].astype(np.float32).T.copy())
    state["fc.bias"] = torch.from_numpy(arrays["fc1000/bias"].astype(np.float32))
    return state


def _folded(arrays: dict[str, np.ndarray], conv: str, norm: str, name: str) -> dict[str, Tensor]:
    """A convolution that does what the convolution and its normalisation did together."""
    kernel, bias = (arrays[f"{conv}/{part}"].astype(np.float64) for part in ("kernel", "bias"))
    gamma, beta, mean, variance = (
        arrays[f"{norm}/{part}"].astype(np.float64) for part in ("gamma", "beta", "moving_mean", "moving_variance")
    )
    scale = gamma / np.sqrt(variance + TINY)
    weight = (kernel * scale).transpose(3, 2, 0, 1)  # height, width, in, out -> out, in, height, width
    return {
        f"{name}.weight": torch.from_numpy(np.ascontiguousarray(weight, dtype=np.float32)),
        f"{name}.bias": torch.from_numpy(((bias - mean) * scale + beta).astype(np.float32)),
    }
