"""Load a model from a spec string."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from adrgd import specs
from adrgd.errors import ModelError, UsageError, warn
from adrgd.models.architectures import ARCHITECTURES
from adrgd.models.bundled import BUNDLED, bundled_models
from adrgd.models.defended import DEFENCES, defended
from adrgd.models.factory import FACTORY, load_factory
from adrgd.models.layout import FIRST, FLAT, LAST, ChannelsLast, Flat, for_images, to_first
from adrgd.models.normalise import MEAN, STD, normalised
from adrgd.models.outputs import Logits, parse_output
from adrgd.models.weights import load_in_order
from adrgd.models.zoos import ZOOS, load_published

logger = logging.getLogger(__name__)

FORMS = (
    "bundled:NAME, mnist-cnn?weights=FILE, FILE.onnx, FILE.onnx.gz, FILE.pt2 (torch.export), FILE.pt (TorchScript), "
    "timm:NAME, torchvision:NAME, robustbench:NAME, hf:FOLDER, package.module:factory?weights=FILE"
)


@dataclass(frozen=True, eq=False)
class Model:
    """A trained network, ready to have its inputs optimised.

    Attributes:
        module: takes a batch (B, ...) and returns logits (B, classes); in eval mode, its parameters frozen.
        spec: the string it was loaded from.
        input_shape: shape of one example, or None when the file does not say.
        classes: number of logits, or None when the file does not say.
        output_shape: shape of what it makes of one example, or None when the file does not say.
    """

    module: nn.Module
    spec: str
    input_shape: tuple[int, ...] | None = None
    classes: int | None = None
    output_shape: tuple[int, ...] | None = None

    def __call__(self, x: Tensor) -> Tensor:
        """The logits (B, classes) of a batch (B, ...)."""
        logits: Tensor = self.module(x)
        return logits


def load_model(
    spec: str, *, device: str | torch.device = "cpu", dtype: torch.dtype = torch.float32, trust: bool = False,
    images: tuple[int, ...] | None = None,
) -> Model:  # fmt: skip
    """Load a network, freeze its parameters and put it in eval mode.

    Args:
        spec: where the network is, in one of these forms, each of which also takes `?mean=a,b,c&std=a,b,c` (one value
            or one for each channel) to normalise the input inside the model, `?output=NAME` or `?output=INDEX` for one
            of several things that it returns, and `?layout=NHWC` for a network that has the channels last,
            `?layout=flat` for one that takes rows of numbers; all but a factory take `?noise=`, `?dropout=on`,
            `?resize=`, `?levels=` and `?smooth=` as well, the defences of `adrgd.defences`:
            `bundled:NAME`; `mnist-cnn?weights=FILE`, the architecture of the bundled models with other weights, or
            another of `ARCHITECTURES`;
            `FILE.onnx` or `FILE.onnx.gz`; `FILE.pt2`, saved by torch.export with a dynamic batch dimension;
            `FILE.pt`, TorchScript; `package.module:factory`, a function that returns a module, with `?weights=FILE`
            for its state dict and any further `key=value` passed on to the function; `timm:NAME`, `torchvision:NAME`,
            `robustbench:NAME?dataset=cifar10&threat=Linf` and `hf:FOLDER`, published networks with their own
            normalisation, unless `mean` or `std` says otherwise.
        device: where its parameters go.
        dtype: floating-point type of its parameters.
        trust: load a .pt or .pt2 file even where it holds more than a graph of operators and tensors. It can do
            anything while it is loaded.
        images: the shape (C, H, W) of images that it is to take as a classifier. Where the file says that its inputs
            have as many numbers in another shape, images are laid out in that, and where it ends in a softmax, that is
            left out; both with a warning.

    Raises:
        ModelError: the spec has none of these forms, or the network cannot be loaded, or not without trust.
        UsageError: its inputs have another size than the images.

    Examples:
        >>> import adrgd, torch
        >>> model = adrgd.load_model("bundled:mnist-pgd?mean=0&std=1")
        >>> model.input_shape, model(torch.zeros(2, 1, 28, 28)).shape
        ((1, 28, 28), torch.Size([2, 10]))
    """
    base, query = specs.split_spec(spec, error=ModelError)
    defences = {key: query.pop(key) for key in DEFENCES if key in query and not FACTORY.fullmatch(base)}
    try:
        loaded = _with_normalisation(_loader(base, spec, trust), base, query, spec)
    except OSError as error:  # a name that is too long, a folder in which one may not look
        raise ModelError(f"expected a model at {spec!r}, found: {error.strerror or error}; check the path") from error
    loaded = loaded if images is None else _shown(loaded, tuple(images), spec)
    loaded.module.requires_grad_(False)
    for part in loaded.module.modules():  # .eval() would do, but exported programs refuse the call
        part.training = False
    module = defended(loaded.module.to(device=device, dtype=dtype), defences, spec)
    found = replace(loaded, module=module)
    count = sum(part.numel() for part in found.module.parameters())
    logger.info("model %s: %d parameters, %s, on %s", spec, count, dtype, device)
    return found


def new_model(spec: str, *, seed: int = 0, device: str | torch.device = "cpu") -> Model:
    """A network to be trained: random parameters, or those of `?weights=FILE`; in train mode.

    Args:
        spec: one of `ARCHITECTURES` or `package.module:factory`, with the keys that `load_model` takes.
        seed: of the random parameters.

    Raises:
        ModelError: the spec has none of these forms, or the network cannot be made.
    """
    base, query = specs.split_spec(spec, error=ModelError)
    if base not in ARCHITECTURES and not FACTORY.fullmatch(base):
        raise ModelError(
            f"expected an architecture to train, one of {', '.join(ARCHITECTURES)} or package.module:factory; found "
            f"{spec!r}{specs.closest(base, ARCHITECTURES)}; choose one"
        )
    loader = _architecture if base in ARCHITECTURES else _factory
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        loaded = _with_normalisation(loader, base, query, spec)
    return replace(loaded, module=loaded.module.to(device=device, dtype=torch.float32).requires_grad_(True).train())


def _with_normalisation(loader: Loader, base: str, query: dict[str, str], spec: str) -> Model:
    mean, std = query.pop(MEAN, None), query.pop(STD, None)
    output = None if loader is _onnx else query.pop(OUTPUT, None)  # of a file it is chosen before anything is compiled
    layout = query.pop(LAYOUT, FIRST)
    if layout not in (FIRST, LAST, FLAT):
        raise ModelError(
            f"expected layout={FIRST}, {LAST} or {FLAT} in {spec!r}, found layout={layout}; choose one of them"
        )
    loaded = loader(base, query, spec)
    if layout == LAST:
        loaded = replace(loaded, module=ChannelsLast(loaded.module), input_shape=to_first(loaded.input_shape))
    elif layout == FLAT:
        loaded = replace(loaded, module=Flat(loaded.module), input_shape=None)
    module = normalised(loaded.module, mean, std, shape=loaded.input_shape, spec=spec)
    return replace(loaded, module=module if output is None else Logits(module, parse_output(output)))


def _shown(loaded: Model, images: tuple[int, ...], spec: str) -> Model:
    """The network as one that takes images of that shape, and returns logits where its file says which they are."""
    parts: list[Any] = list(loaded.module.modules())
    for part in parts:
        if getattr(part, "unscaled", None) is not None:
            part.before_softmax = True
            warn(f"{spec} ends in a softmax, which is left out: what enters it are the logits")
    own = loaded.input_shape
    if own is None or own == images:
        return loaded
    found = for_images(loaded.module, own, images)
    if found is None:
        raise UsageError(
            f"{spec} takes inputs of shape {own}, but the images have shape {images}; choose a model and data that "
            f"belong together{_grey(own, images)}"
        )
    module, how = found
    warn(f"{spec} takes inputs of shape {own}: images of shape {images} are laid out in it {how}")
    return replace(loaded, module=module, input_shape=images)


def _grey(own: tuple[int, ...], images: tuple[int, ...]) -> str:
    """Advice where only the colours differ."""
    if len(own) != len(images) or own[1:] != images[1:] or {own[0], images[0]} != {1, 3}:
        return ""
    mode, kind = ("L", "grey") if own[0] == 1 else ("RGB", "of three colours")
    return f"; ?mode={mode} behind image files makes them {kind}"


OUTPUT, LAYOUT = "output", "layout"
ALWAYS = (MEAN, STD, OUTPUT, LAYOUT, *DEFENCES)  # keys that every model takes
Loader = Callable[[str, dict[str, str], str], Model]


def _loader(base: str, spec: str, trust: bool) -> Loader:
    if base.startswith("bundled:"):
        return _bundled
    if base in ARCHITECTURES:
        return _trained
    if base.startswith(tuple(f"{zoo}:" for zoo in ZOOS)):
        return _published
    for ending, loader in _BY_ENDING.items():
        if base.lower().endswith(ending):
            return partial(loader, trust=trust) if loader in (_exported, _torchscript) else loader
    if FACTORY.fullmatch(base):
        return _factory
    advice = "choose one of these"
    if base.startswith("keras:") or base.lower().endswith((".keras", ".h5")):
        advice = (
            "write it as ONNX, with model.export('net.onnx', format='onnx') in Keras, and name net.onnx?layout=NHWC"
        )
    elif Path(base).suffix in (".pth", ".th", ".ckpt", ".safetensors", ".bin", ".model"):
        advice = "a file of weights holds no architecture: give it to one of those that take weights"
    names = [*(f"bundled:{name}" for name in bundled_models()), *ARCHITECTURES]
    raise ModelError(f"expected a model as {FORMS}; found {spec!r}{specs.closest(base, names)}; {advice}")


def _bundled(base: str, query: dict[str, str], spec: str) -> Model:
    _take_nothing(query, spec)
    name, names = base.removeprefix("bundled:"), bundled_models()
    if name not in names:
        have = ", ".join(names) or "none"
        raise ModelError(f"expected a bundled model ({have}), found {name!r}{specs.closest(name, names)}; choose one")
    return _architecture(BUNDLED[name].architecture, {"weights": str(specs.BUNDLED / f"{name}.safetensors")}, spec)


def _trained(base: str, query: dict[str, str], spec: str) -> Model:
    if "weights" not in query:
        specs.only_keys(query, ("weights", *ALWAYS), spec=spec, error=ModelError)
        raise ModelError(f"expected {base}?weights=FILE, found {spec!r}; name the file of its trained weights")
    return _architecture(base, query, spec)


def _architecture(base: str, query: dict[str, str], spec: str) -> Model:
    specs.only_keys(query, ("weights", *ALWAYS), spec=spec, error=ModelError)
    known = ARCHITECTURES[base]
    module = known.make()
    if "weights" in query:
        load_in_order(module, Path(query["weights"]).expanduser())
    return Model(module, spec, known.input_shape, known.classes)


def _published(base: str, query: dict[str, str], spec: str) -> Model:
    given = specs.split_spec(spec, error=ModelError)[1]
    found = load_published(base, query, spec=spec, normalise=not {MEAN, STD} & given.keys())
    return Model(found.module, spec, found.input_shape, found.classes)


def _onnx(base: str, query: dict[str, str], spec: str) -> Model:
    output = query.pop(OUTPUT, None)
    _take_nothing(query, spec)
    from adrgd.models.onnx import load_onnx  # each of the three takes a while, and few need more than one

    net = load_onnx(Path(base).expanduser(), output=None if output is None else parse_output(output))
    return Model(net, spec, tuple(net.input_shape), net.classes, net.output_shape)


def _exported(base: str, query: dict[str, str], spec: str, *, trust: bool = False) -> Model:
    _take_nothing(query, spec)
    from adrgd.models.exported import load_exported

    net, signature = load_exported(Path(base).expanduser(), trust=trust)
    return Model(net, spec, signature.input_shape, signature.classes)


def _torchscript(base: str, query: dict[str, str], spec: str, *, trust: bool = False) -> Model:
    _take_nothing(query, spec)
    from adrgd.models.torchscript import load_torchscript

    return Model(load_torchscript(Path(base).expanduser(), trust=trust), spec)


def _factory(base: str, query: dict[str, str], spec: str) -> Model:
    return Model(load_factory(base, query, spec=spec), spec)


def _take_nothing(query: dict[str, str], spec: str) -> None:
    specs.only_keys(query, ALWAYS, spec=spec, error=ModelError)


_BY_ENDING: dict[str, Loader] = {".onnx": _onnx, ".onnx.gz": _onnx, ".pt2": _exported, ".pt": _torchscript}
