"""adrgd train"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from adrgd.cli.flags import flags
from adrgd.cli.folders import Run, figures
from adrgd.cli.options import cli, positive, usable_device

if TYPE_CHECKING:
    from rich.progress import Progress
    from rich.table import Table

DESCRIPTION = "Train a classifier on clean or adversarial images, into a folder that can be resumed."

RENAMED = {"--rate": "--learning-rate"}


@flags
@dataclass(frozen=True, kw_only=True)
class Options:
    """What to train, and how."""

    data: str
    """Images as `adrgd attack --data` takes them; mnist:, cifar10:, cifar100: and svhn: mean their training images."""
    test: str | None = None
    """Images to be judged by; the test images of --data, or --data itself where it has none."""
    model: str = "mnist-cnn"
    """An architecture of `adrgd list` or package.module:factory; with ?weights=FILE training starts from these, and
    ?mean=..&std=.. normalises."""
    attack: Literal["pgd", "fgsm", "fgsm-rs", "graduated", "none"] = "pgd"
    """What finds the images to learn from; fgsm-rs is a single step from a random start, none the clean images."""
    eps: float
    """The largest change of a pixel, while training and in the final measurement."""
    steps: int = 10
    """Iterations of the attack."""
    epochs: int = 5
    """Times each image is met."""
    warmup: float = 1.0
    """Epochs over which eps grows from zero."""
    batch_size: int = 128
    """Images of an update."""
    learning_rate: float = 2e-3
    """The largest step of Adam."""
    limit: int | None = None
    """The first N training images only."""
    test_limit: int = 1000
    """The first N test images only."""
    augment: Literal["shift", "shift-and-mirror"] | None = None
    """Change images each time they are met: move them by up to 4 pixels, and mirror every other one."""
    run: Annotated[Run, tyro.conf.arg(name="")] = field(default_factory=Run)


def command(argv: list[str]) -> int:
    """Run `adrgd train`."""
    return train(cli(Options, argv, prog="adrgd train", description=DESCRIPTION, renamed=RENAMED))


def train(options: Options) -> int:
    """Train, into a folder."""
    from adrgd.training.config import Training, parts
    from adrgd.training.loop import train as train_classifier

    run = options.run
    run.begin()
    data, test = parts(options.data)
    training = Training(
        model=options.model, data=data, test=options.test or test, attack=options.attack, eps=options.eps,
        steps=positive(options.steps, "steps"), epochs=positive(options.epochs, "epochs"), warmup=options.warmup,
        batch_size=positive(options.batch_size, "batch-size"), rate=options.learning_rate, seed=run.seed,
        limit=options.limit, test_limit=options.test_limit, augment=options.augment,
    )  # fmt: skip
    device, out = usable_device(run.device), run.folder(options.model.partition("?")[0], options.attack)

    def work(bar: Progress) -> dict[str, Any]:
        task = bar.add_task("training", total=None)

        def advance(done: int, total: int, loss: float) -> None:
            bar.update(task, completed=done, total=total, description=f"loss {loss:.3f}")

        return train_classifier(training, out, device=device, resume=run.resume, advance=advance)

    words = f"weights: {out}/model.safetensors"
    return run.carry_out(work, out, show=lambda summary: [_table(summary)], results=words)


def _table(summary: dict[str, Any]) -> Table:
    config = summary["config"]
    seen = "  (it has learnt from them)" if summary["judged_on_training_images"] else ""
    rows = {
        "epochs": f"{summary['epochs']}",
        "mean loss of the last epoch": f"{summary['losses'][-1]:.4f}",
        "test images": f"{summary['test_images']}{seen}",
        "clean accuracy": f"{summary['clean_accuracy']:.4f}",
        "accuracy under PGD-20": f"{summary['robust_accuracy']:.4f}",
        "seconds": f"{summary['seconds']:.1f}",
        "seed": f"{config['seed']}",
    }
    return figures(f"{config['model']}, trained on {config['attack']} images, eps {config['eps']:g}", rows)
