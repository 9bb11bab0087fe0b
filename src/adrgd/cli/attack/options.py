"""What `adrgd attack` can be asked for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

import tyro

from adrgd.cli.flags import flags
from adrgd.cli.folders import Run
from adrgd.names import BoxName, EnsembleBy, Norm, Saved, TaskName


@flags
@dataclass(frozen=True, kw_only=True)
class Options:
    """What to attack, and how much."""

    model: str
    """bundled:NAME, mnist-cnn?weights=FILE, FILE.onnx, FILE.pt2, FILE.pt, timm:NAME, torchvision:NAME,
    robustbench:NAME, hf:FOLDER or package.module:factory?weights=FILE; each also takes ?mean=..&std=..&layout=NHWC
    and defences such as ?noise=.."""
    data: str
    """bundled:mnist; FOLDER after mnist:, cifar10:, cifar100:, svhn:, imagenet:, folder: or hf-datasets:, FILE after
    npz: or pt:, either after parquet: or webdataset:"""
    task: TaskName = "classification"
    """What the model answers with, and the form of the labels: (N,) classes; (N,) of 0 and 1 for one logit; (N, L) of 0
    and 1; (N, H, W) classes; (N,) numbers."""
    share: float | None = None
    """The share of labels or pixels that are to be wrong for success: any label unless given, .99 of the pixels."""
    band: float | None = None
    """In regression: how far the output has to leave the label."""
    norm: Norm = "linf"
    """How the size of a perturbation is measured; l0 counts the pixels that change."""
    eps: float | None = None
    """The largest perturbation."""
    minimum: bool = False
    """Look for the smallest change of each image instead, within --passes; there is no --eps then."""
    passes: int = 1000
    """Forward and backward passes an image, together, for --minimum."""
    mask: str | None = field(default=None, metadata={"metavar": "FILE"})
    """Only these pixels may change: a .npy array or a picture, zero where nothing may."""
    patch: int | None = field(default=None, metadata={"metavar": "SIDE"})
    """Only one square of so many pixels may change, its place free in each image; --eps is the whole range then, unless
    given."""
    box: BoxName = "data"
    """data: perturbed images stay in [0, 1]; none: the ball alone bounds them, and they may leave it."""
    solver: str = "graduated"
    """standard, the ensemble to judge a model by; a solver of `adrgd list`; adr:PRESET for one of ADR-GD's presets. Its
    own flags are below."""
    step: str | None = None
    """Another step rule for that solver."""
    steps: int = 100
    """Iterations of each run; standard has a --budget instead."""
    restarts: int = 1
    """Runs an image; the first starts at the clean image."""
    targeted: str | None = None
    """A class number, next, random or least-likely."""
    untargeted: bool = False
    """Any wrong class will do (the default)."""
    loss: str = "cross-entropy"
    """cross-entropy, margin, dlr or normalised-cross-entropy."""
    require_gates: bool = False
    """Stop, instead of warning, when the solver is a gated one and an activation of the model has no gate."""
    keep_going: bool = False
    """Go on raising the loss of images that are broken already."""
    eot: int | None = None
    """For random models: attack the mean over so many draws, each of which costs its passes."""
    eot_judge: int = 100
    """Fresh draws, over which the mean says which images are broken."""
    straight_through: tuple[str, ...] = ()
    """Calls of the model that pass the gradient straight through: of round, floor, ceil, trunc, sign."""
    ensemble: tuple[str, ...] = ()
    """Other models, as --model takes them, that are attacked together with it, as one."""
    ensemble_by: EnsembleBy = "logits"
    """What they answer as one: the mean of their logits or probabilities; or worst, so that all of them are to be
    wrong."""
    judge: tuple[str, ...] = ()
    """Other models that what was found is shown to; they are not attacked."""
    certify: float | None = None
    """Seconds for each image that stands, to prove that nothing in its ball breaks it (linf, l2 and l1)."""
    save: tuple[Saved, ...] = ()
    """Write the images as well: png, a folder of pictures; npz, arrays; parquet, a table with pictures inside. Pictures
    have 256 levels, and the rounded images are judged once more."""
    limit: int | None = None
    """The first N images only."""
    offset: int = 0
    """Skip that many images."""
    batch_size: int = 128
    """Images that are worked on side by side."""
    trust: bool = False
    """Load a .pt or .pt2 file even where that can run its maker's code."""
    ray: str | None = None
    """Work on Ray workers: local for all processors of this machine, or the address of a running cluster."""
    run: Annotated[Run, tyro.conf.arg(name="")] = field(default_factory=Run)
