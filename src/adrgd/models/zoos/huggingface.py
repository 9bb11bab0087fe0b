"""Image classifiers of transformers, from a folder that `save_pretrained` or a download has filled.

What its processor does to a pixel is not read from the settings, which some processors pass over, but asked for: it is
shown plain colours, and what comes out says the size, the order of the channels and the normalisation.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor, nn

from adrgd.errors import ModelError, optional, warn
from adrgd.models.outputs import Logits
from adrgd.models.zoos.published import Published
from adrgd.specs import only_keys

SIDE = 64  # of what a processor is shown; it may bring it to another size
TOLERANCE = 2e-2  # in units of what white is to black: colours are rounded to bytes
Processor = Callable[[np.ndarray[Any, Any]], np.ndarray[Any, Any]]


def load(folder: str, pretrained: object, arguments: dict[str, Any]) -> Published:
    """The classifier in a folder, with what its processor does to an image in [0, 1].

    Raises:
        ModelError: no folder, no classifier, weights that do not fit, or a processor that mixes colours.
    """
    only_keys(arguments, (), spec=f"hf:{folder}", error=ModelError)
    place = Path(folder).expanduser()
    if not (place / "config.json").is_file():
        raise ModelError(
            f"expected a folder with config.json at {folder!r}, found none; a network of the Hub is put into one by: "
            "hf download NAME --local-dir FOLDER"
        )
    package = optional("transformers", extra="hf")
    with _hushed(package):
        config = package.AutoConfig.from_pretrained(place, local_files_only=True)
        config.return_dict = True
        module = _classifier(package, place, config, bool(pretrained))
        processor = _processor(package, place)
    channels = int(getattr(config, "num_channels", None) or 3)
    if processor is None:
        side = getattr(config, "image_size", None)
        shape = (channels, side, side) if isinstance(side, int) else None
        return Published(Logits(module, "logits"), shape, config.num_labels, holder=module)
    seen = observe(processor, channels, folder)
    whole: nn.Module = Logits(module, "logits")
    if seen.order != tuple(range(channels)):
        whole = Reordered(whole, seen.order)
    shape = (channels, *seen.size) if seen.size else None
    return Published(whole, shape, config.num_labels, seen.mean, seen.std, holder=module)


class Reordered(nn.Module):
    """A module that gets the channels of its input (B, C, ...) in another order."""

    def __init__(self, module: nn.Module, order: Sequence[int]) -> None:
        super().__init__()
        self.module, self.order = module, list(order)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.module(x[:, self.order])
        return result


@dataclass(frozen=True)
class Seen:
    """What a processor does: channel k of what the network gets is (x[order[k]] - mean[order[k]]) / std[order[k]].

    Attributes:
        size: height and width that it brings images to; None where it leaves them as they are.
    """

    size: tuple[int, int] | None
    order: tuple[int, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]


def observe(processor: Processor, channels: int, name: str) -> Seen:
    """Show a processor plain colours, (H, W, C) bytes, and see what it makes of them, (C, H, W) numbers.

    Raises:
        ModelError: it does something else than to reorder, scale and shift the channels.
    """

    def of(*colour: int, side: int = SIDE) -> np.ndarray[Any, Any]:
        return processor(np.full((side, side, channels), colour, np.uint8))

    def centre(made: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        return np.asarray(made[:, made.shape[1] // 2, made.shape[2] // 2], np.float64)

    black = of(*[0] * channels)
    units = np.eye(channels, dtype=int) * 255
    shift = centre(black)
    slopes = np.stack([centre(of(*units[k])) - shift for k in range(channels)], 1)  # (out, in)
    order = np.abs(slopes).argmax(1)
    scale = slopes[np.arange(len(order)), order]
    rest = slopes.copy()
    rest[np.arange(len(order)), order] = 0
    grey = centre(of(*[128] * channels))
    off = max(np.abs(rest).max(), np.abs(shift + scale * 128 / 255 - grey).max())
    if sorted(order) != list(range(channels)) or not (np.abs(scale) > 0).all() or off > TOLERANCE * np.abs(scale).max():
        raise ModelError(
            f"expected the processor of {name!r} to scale and shift each channel, found that it does something else; "
            "add ?mean=..&std=.. and bring the images into its form by yourself"
        )
    back = np.argsort(order)  # in the order of the image's own channels
    mean, std = (-shift / scale)[back], (1 / scale)[back]
    size = (int(black.shape[1]), int(black.shape[2]))
    fixed = of(*[0] * channels, side=2 * SIDE).shape[1:] == size
    return Seen(size if fixed else None, tuple(map(int, order)), tuple(map(float, mean)), tuple(map(float, std)))


def _classifier(package: Any, place: Path, config: Any, pretrained: bool) -> nn.Module:
    kind = package.AutoModelForImageClassification
    if not pretrained:
        made: nn.Module = kind.from_config(config)
        return made
    module: nn.Module
    module, told = kind.from_pretrained(place, config=config, local_files_only=True, output_loading_info=True)
    missing = [*told["missing_keys"], *(str(key) for key in told.get("mismatched_keys", ()))]
    if missing:
        raise ModelError(
            f"expected weights for all of the classifier in {str(place)!r}, found none for {missing[0]} "
            f"({len(missing)} in all); take a folder that was trained to classify"
        )
    if told.get("unexpected_keys"):
        warn(f"the weights in {str(place)!r} hold {len(told['unexpected_keys'])} tensors that the classifier lacks")
    return module


def _processor(package: Any, place: Path) -> Processor | None:
    """What brings images into the network's form; None where the folder says nothing of it, which is said."""
    if not any((place / name).is_file() for name in ("preprocessor_config.json", "processor_config.json")):
        warn(f"{str(place)!r} holds no preprocessor_config.json: its network gets pixels as they are, in [0, 1]")
        return None
    own = package.AutoImageProcessor.from_pretrained(place, local_files_only=True)

    def processor(image: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        made = own(images=image, return_tensors="np", input_data_format="channels_last")["pixel_values"]
        pixels: np.ndarray[Any, Any] = np.asarray(made)[0]
        return pixels

    return processor


@contextlib.contextmanager
def _hushed(package: Any) -> Iterator[None]:
    """Without its bars and its advice; what matters of it is said here."""
    logs = import_module("transformers.utils.logging")
    before, bars = logs.get_verbosity(), logs.is_progress_bar_enabled()
    logs.set_verbosity_error()
    logs.disable_progress_bar()
    try:
        yield
    finally:
        logs.set_verbosity(before)
        if bars:
            logs.enable_progress_bar()
