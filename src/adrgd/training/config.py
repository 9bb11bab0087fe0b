"""Everything that decides what is learnt, and the data it is learnt from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from adrgd.errors import UsageError
from adrgd.settings import as_count, as_integer, as_number, maybe, settle
from adrgd.solvers import FGSM, PGD, GraduatedADR, Solver, Steepest
from adrgd.training.augment import AUGMENT

CROSSED = 2.5  # radii that the steps of a training attack cover together (Madry et al. 2018)
CROSSED_AT_ONCE = 1.25  # radii of a single step from a random start (Wong, Rice & Kolter 2020)

ATTACKS: dict[str, Callable[[int], Solver] | None] = {
    "none": None,
    "fgsm": lambda steps: FGSM(),
    "fgsm-rs": lambda steps: FGSM(random_start=True, step=Steepest(length=CROSSED_AT_ONCE, schedule="constant")),
    "pgd": lambda steps: PGD(random_start=True, step=Steepest(length=CROSSED / steps, schedule="constant")),
    "graduated": lambda steps: GraduatedADR(random_start=True),
}
"""The solver of each training attack, by its number of iterations."""

SPLIT = ("mnist:", "cifar10:", "cifar100:", "svhn:")  # data sets that come in a training and a test part


@dataclass(frozen=True, kw_only=True)
class Training:
    """A training run.

    Attributes:
        model: an architecture or a factory; see `adrgd.models.new_model`.
        data: images to learn from.
        test: images to be judged by at the end.
        attack: a name of `ATTACKS`.
        eps: the largest change of a pixel, while training and at the end.
        steps: iterations of the attack.
        epochs: times each image is met.
        warmup: epochs over which eps grows from zero; a robust network learns nothing from full eps at once.
        batch_size: images of an update.
        rate: the largest step of Adam; it rises over the first 30 % of the run, then falls to zero.
        seed: of the parameters, the order of images and the attack.
        limit: the first images only.
        test_limit: likewise, of the test images.
        augment: a name of `AUGMENT`: how images are changed each time they are met; None leaves them as they are.
    """

    model: str = "mnist-cnn"
    data: str
    test: str
    attack: str = "pgd"
    eps: float
    steps: int = 10
    epochs: int = 5
    warmup: float = 1.0
    batch_size: int = 128
    rate: float = 2e-3
    seed: int = 0
    limit: int | None = None
    test_limit: int | None = 1000
    augment: str | None = None

    def __post_init__(self) -> None:
        settle(self, steps=as_integer, epochs=as_integer, batch_size=as_integer, seed=as_integer)
        settle(self, warmup=as_number, rate=as_number, limit=maybe(as_count), test_limit=maybe(as_count))
        if self.attack not in ATTACKS:
            raise UsageError(f"unknown attack {self.attack!r}; expected one of {', '.join(ATTACKS)}")
        if self.augment is not None and self.augment not in AUGMENT:
            raise UsageError(f"unknown augmentation {self.augment!r}; expected one of {', '.join(AUGMENT)}")
        if not 0 < self.eps < float("inf"):
            raise UsageError(f"eps must be positive and finite, found {self.eps}")
        if min(self.steps, self.epochs, self.batch_size) < 1 or not self.rate > 0 or not self.warmup >= 0:
            raise UsageError("steps, epochs, batch size and rate must be positive, and warmup not negative")

    @property
    def solver(self) -> Solver | None:
        """What finds the inputs to learn from; None for clean images."""
        make = ATTACKS[self.attack]
        return None if make is None else make(self.steps)


def parts(data: str) -> tuple[str, str]:
    """The specs of the training and the test images of `data`: the same where it names a part or has none."""
    if not data.startswith(SPLIT) or "split=" in data:
        return data, data
    mark = "&" if "?" in data else "?"
    return f"{data}{mark}split=train", f"{data}{mark}split=test"
