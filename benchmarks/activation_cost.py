"""What an iteration of graduated gates costs in units of PGD's, by activation and by network. One thread.

    python benchmarks/activation_cost.py                          # minutes
    python benchmarks/activation_cost.py --only GELU mnist-vit

Each activation stands behind every layer of a plain network of strided convolutions on 3 x 32 x 32 inputs, untrained:
one of few channels, where the activations are a large part of the work, and one of twice as many. The named
architectures are as `adrgd train --model NAME` makes them. Times are processor seconds, medians over rounds in which
the solvers take turns, nothing being dropped; probes are counted. Results go to
benchmarks/results/activation_cost.md and .json.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import json
import platform
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
import tyro
from rich.progress import track
from torch import nn
from turns import seconds_each

from adrgd import Box, LinfBall, Misclassify, make_solver, maximize
from adrgd.files import write_text
from adrgd.models.architectures import ARCHITECTURES, CIFAR
from adrgd.models.strided import strided_cnn

SOLVERS = ("pgd", "graduated", "graduated-secant")
ACTIVATIONS: tuple[type[nn.Module], ...] = (
    nn.ReLU, nn.LeakyReLU, nn.Sigmoid, nn.Tanh, nn.GELU, nn.SiLU, nn.Mish, nn.ELU, nn.SELU, nn.CELU, nn.Softplus,
    nn.Hardswish, nn.Hardsigmoid, nn.Softsign, nn.LogSigmoid, nn.Tanhshrink, nn.Softshrink, nn.Hardshrink,
)  # fmt: skip
NAMED = ("mnist-convnext", "mnist-vit", "mnist-wrn-silu", "cifar-convnext", "cifar-vit", "cifar-wrn-silu")


@dataclass(frozen=True, kw_only=True)
class Options:
    """What to measure."""

    only: tuple[str, ...] = ()
    """Some of the activations and architectures."""
    batch_size: int = 32
    steps: int = 20
    """Iterations of a run."""
    repeat: int = 5
    """Rounds."""
    out: Path = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Net:
    """Something to be attacked: how it is made, and the shape of its inputs."""

    make: Callable[[], nn.Module]
    shape: tuple[int, ...]


def nets(options: Options) -> dict[str, Net]:
    """Those that are asked for."""
    found = {
        f"{kind.__name__}, {width} channels": Net(
            partial(strided_cnn, CIFAR, (width, 2 * width, 4 * width), 128, kind), CIFAR
        )
        for kind in ACTIVATIONS
        for width in (32, 64)
    }
    found |= {name: Net(ARCHITECTURES[name].make, ARCHITECTURES[name].input_shape) for name in NAMED}
    return {name: net for name, net in found.items() if not options.only or name.split(",")[0] in options.only}


def measure(net: Net, options: Options) -> dict[str, float]:
    """Processor seconds of an iteration, by solver."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model, x = net.make().eval().requires_grad_(False), torch.rand(options.batch_size, *net.shape)
    objective = Misclassify(model, model(x).argmax(1))

    def run(name: str) -> None:
        domain = LinfBall(x, 8 / 255, Box(0.0, 1.0))
        maximize(
            objective, x, domain=domain, solver=make_solver(name), steps=options.steps, stop_at_goal=False, check=False
        )  # fmt: skip

    jobs = {name: partial(run, name) for name in SOLVERS}
    jobs["pgd"]()  # what only the first call pays for
    return {k: value / options.steps for k, value in seconds_each(jobs, repeat=options.repeat, quiet=True).items()}


def markdown(results: dict[str, dict[str, float]]) -> str:
    """A line a network."""
    lines = [
        "# An iteration's cost by activation", "",
        f"{platform.machine()}, torch {torch.__version__}, one thread; PGD = 1, its milliseconds beside it.", "",
        "| network | PGD, ms | graduated | graduated-secant |", "|---|---|---|---|",
    ]  # fmt: skip
    for name, one in results.items():
        ratios = " | ".join(f"{one[solver] / one['pgd']:.2f}" for solver in SOLVERS[1:])
        lines.append(f"| {name} | {1e3 * one['pgd']:.1f} | {ratios} |")
    return "\n".join(lines) + "\n"


def main(options: Options) -> None:
    """Measure, and put each line in the place of an older one."""
    torch.set_num_threads(1)
    file = options.out / "activation_cost.json"
    options.out.mkdir(parents=True, exist_ok=True)
    results: dict[str, dict[str, float]] = json.loads(file.read_text()) if file.exists() else {}
    for name, net in track(nets(options).items(), "networks"):
        results[name] = measure(net, options)
        write_text(file, json.dumps(results, indent=1) + "\n")
        write_text(options.out / "activation_cost.md", markdown(results))
    print(markdown(results))


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))
