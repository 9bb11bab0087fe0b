"""What the mean slope of each activation costs, and how far it is from the mean that it stands for. One thread.

    python benchmarks/activations.py

Errors are the largest over h in [-20, 20] and s in [1e-6, 1e3], against quadrature in double precision. Times are
processor seconds, medians of turns. Results go to benchmarks/results/activations.md and .json.
"""

from __future__ import annotations

import json
import math
import platform
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
import tyro
from torch import Tensor, nn
from turns import seconds_each

import adrgd
from adrgd import Box, LinfBall, Misclassify
from adrgd.activations import LOGISTIC, RECOGNISERS, Activation
from adrgd.activations.quadrature import by_quadrature
from adrgd.models.architectures import ARCHITECTURES, CIFAR
from adrgd.models.strided import strided_cnn

INTEGERS = tuple(float(k) for k in range(-27, 28))


@dataclass(frozen=True)
class Case:
    """An activation to be measured.

    Attributes:
        function: torch's own.
        formula: of the mean slope, as the docs show it.
        kinks: where it or its slope jumps.
        widest: the largest s that quadrature can follow.
        jumps: it jumps, so that its mean slope, and the error, grow as 1 / s: they are given in units of 1 / s.
        arguments, options: what the call takes behind the pre-activations.
    """

    function: Callable[..., Tensor]
    formula: str
    kinks: tuple[float, ...] = ()
    widest: float = 1e3
    jumps: bool = False
    arguments: tuple[Any, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)

    def __call__(self, h: Tensor) -> Tensor:
        return self.function(h, *self.arguments, **self.options)

    @property
    def phi(self) -> Activation:
        found: Any = RECOGNISERS[self.function]((torch.zeros(2, 2), *self.arguments), self.options)
        phi: Activation = found[1]
        return phi


STAIRS, HINGES = "bumps at the three nearest steps", "sum of jumps times S(1.702 (h - break) / s)"
CASES = {
    "relu": Case(F.relu, "S(1.702 h / s)", (0,)),
    "leaky_relu": Case(F.leaky_relu, HINGES, (0,)),
    "relu6": Case(F.relu6, HINGES, (0, 6)),
    "hardtanh": Case(F.hardtanh, HINGES, (-1, 1)),
    "hardsigmoid": Case(F.hardsigmoid, HINGES, (-3, 3)),
    "softshrink": Case(F.softshrink, HINGES, (-0.5, 0.5)),
    "abs": Case(torch.abs, HINGES, (0,)),
    "rrelu": Case(F.rrelu, HINGES, (0,)),
    "gelu": Case(F.gelu, "Phi(u) + u phi(u) / (1 + s²), u = h / √(1 + s²)"),
    "gelu, tanh": Case(F.gelu, "the same", options={"approximate": "tanh"}),
    "silu": Case(F.silu, "p + r² u dp/du, p = S(u + .026 (1 - r²) u³), u = h r, r⁻² = 1 + .4 s²"),
    "mish": Case(F.mish, "Phi and two bumps, each widened by s"),
    "softplus": Case(F.softplus, "S(u + .019 (1 - r²) u³), u = h r, r⁻² = 1 + .407 s²"),
    "logsigmoid": Case(F.logsigmoid, "that of softplus at -h"),
    "elu": Case(F.elu, "Phi(h / s) + a exp(h + s² / 2) Phi(-(h + s²) / s)", (0,)),
    "selu": Case(F.selu, "the same, scaled", (0,)),
    "celu": Case(F.celu, "the same, at h / a and s / a", (0,), arguments=(0.5,)),
    "hardswish": Case(F.hardswish, "truncated moments of each piece", (-3, 3)),
    "hardshrink": Case(F.hardshrink, "truncated moments of each piece", (-0.5, 0.5), jumps=True),
    "threshold": Case(F.threshold, "truncated moments of each piece", (1,), jumps=True, arguments=(1.0, 0.0)),
    "sigmoid": Case(torch.sigmoid, "r S'(r h), r⁻² = 1 + (s / 1.702)²"),
    "tanh": Case(torch.tanh, "the same, scaled"),
    "softsign": Case(F.softsign, "five bumps, each widened by s", (0,)),
    "tanhshrink": Case(F.tanhshrink, "1 and two bumps, each widened by s"),
    "atan": Case(torch.atan, "three bumps, each widened by s"),
    "erf": Case(torch.erf, "2 exp(-h² / (1 + 2 s²)) / √(π (1 + 2 s²))"),
    "sin": Case(torch.sin, "cos(h) exp(-s² / 2)", widest=5.0),
    "cos": Case(torch.cos, "-sin(h) exp(-s² / 2)", widest=5.0),
    "sign": Case(torch.sign, "2 · 1.702 S'(1.702 h / s) / s", (0,), jumps=True),
    "floor": Case(torch.floor, STAIRS, INTEGERS, 2.0, jumps=True),
    "ceil": Case(torch.ceil, STAIRS, INTEGERS, 2.0, jumps=True),
    "trunc": Case(torch.trunc, STAIRS, tuple(k for k in INTEGERS if k), 2.0, jumps=True),
    "round": Case(torch.round, STAIRS, tuple(k + 0.5 for k in INTEGERS), 2.0, jumps=True),
}
MODULES = (
    nn.ReLU, nn.ReLU6, nn.Hardsigmoid, nn.GELU, nn.SiLU, nn.Mish, nn.Softplus, nn.ELU, nn.Hardswish, nn.Tanh,
    nn.Softsign, nn.Tanhshrink, nn.Hardshrink,
)  # fmt: skip
"""One of each form of mean slope."""

NETWORKS = ("cifar-convnext", "cifar-vit", "cifar-wrn-silu", "cifar-elu")


@dataclass(frozen=True, kw_only=True)
class Options:
    """What to measure."""

    repeat: int = 5
    """Turns of each time."""
    steps: int = 50
    """Iterations of an attack; the gates of the last 30 % are the true ones."""
    batch_size: int = 16
    """Images of an attack."""
    json: bool = False
    """Print the results as one JSON object and nothing else."""


def largest_error(case: Case) -> float:
    h = torch.cat([torch.linspace(-20, 20, 41), torch.linspace(-4.1, 4.1, 83)]).double()
    s = torch.logspace(-6, 3, 28).double()
    h, s = (t.flatten() for t in torch.meshgrid(h, s[s <= case.widest], indexing="ij"))
    phi, worst = case.phi, 0.0
    for part_h, part_s in zip(h.split(256), s.split(256), strict=True):
        exact = by_quadrature(lambda h: case(h.detach()) if phi.is_flat else case(h), part_h, part_s, case.kinks)
        found = phi.soft(part_h, LOGISTIC / part_s, 1.0).push(torch.ones_like(part_h))
        unit = part_s.reciprocal().clamp_min(1) if case.jumps else torch.ones_like(part_s)
        worst = max(worst, ((found - exact).abs() / unit).max().item())
    return worst


def costs(repeat: int, quiet: bool) -> dict[str, float]:
    """Seconds of the mean slope on a million entries, in those of torch's own forward and backward pass."""
    random = torch.Generator().manual_seed(0)
    h, upstream = (torch.randn(16, 62500, generator=random) for _ in range(2))
    inverse = torch.rand(h.shape, generator=random) + 0.5
    jobs: dict[str, Callable[[], object]] = {}

    def both_ways(case: Case) -> None:
        leaf = h.detach().requires_grad_(True)
        torch.autograd.grad(case(leaf), leaf, upstream)

    def soft(case: Case) -> None:
        with torch.no_grad():
            case.phi.soft(h, inverse, 1.0)

    for name, case in CASES.items():
        jobs[name], jobs[f"{name}, mean"] = partial(both_ways, case), partial(soft, case)
    seconds = seconds_each(jobs, repeat=repeat, quiet=quiet, what="slopes")
    return {name: seconds[f"{name}, mean"] / seconds[name] for name in CASES}


def attacks(options: Options) -> dict[str, dict[str, float]]:
    """Seconds of an iteration of two solvers, in those of an iteration of PGD, on untrained networks."""
    torch.manual_seed(0)
    networks = {f"CNN, {kind.__name__}": strided_cnn(CIFAR, (32, 64, 128), 128, kind) for kind in MODULES}
    networks |= {name: ARCHITECTURES[name].make() for name in NETWORKS}
    images = torch.rand(options.batch_size, *CIFAR)
    found = {}
    for name, network in networks.items():
        network.eval().requires_grad_(False)
        labels = network(images).argmax(1)

        def attack(solver: str, network: nn.Module = network, labels: Tensor = labels) -> object:
            return adrgd.maximize(
                Misclassify(network, labels), images, domain=LinfBall(images, 1e-3, Box(0.0, 1.0)),
                solver=adrgd.make_solver(solver), steps=options.steps, stop_at_goal=False, check=False,
            )  # fmt: skip

        jobs = {solver: partial(attack, solver) for solver in ("pgd", "graduated", "graduated-secant")}
        seconds = seconds_each(jobs, repeat=options.repeat, quiet=options.json, what=name)
        found[name] = {solver: value / seconds["pgd"] for solver, value in seconds.items() if solver != "pgd"}
    return found


def markdown(result: dict[str, Any], options: Options) -> str:
    lines = [
        "# Mean slopes: error and cost", "",
        f"torch {torch.__version__}, {platform.machine()}, one thread. S is the logistic function, Phi and phi the "
        "normal distribution and its density. Cost: the mean slope on a million entries, in torch's own forward and "
        "backward pass through the activation.", "",
        "| activation | mean slope | largest error | cost |", "|---|---|---|---|",
    ]  # fmt: skip
    for name, case in CASES.items():
        error, unit = result["error"][name], " / s" if case.jumps else ""
        lines.append(f"| {name} | {case.formula} | {_short(error)}{unit} | {result['cost'][name]:.1f} |")
    lines += [
        "", f"An iteration of an attack (batch of {options.batch_size}, {options.steps} iterations), in PGD's:", "",
        "| network | graduated | graduated-secant |", "|---|---|---|",
    ]  # fmt: skip
    for name, ratio in result["iteration"].items():
        lines.append(f"| {name} | {ratio['graduated']:.2f} | {ratio['graduated-secant']:.2f} |")
    return "\n".join(lines) + "\n"


def _short(error: float) -> str:
    """Two digits, rounded up; what is below rounding in single precision is not told apart."""
    if error < 1e-8:
        return "below 1e-8"
    scale = 10.0 ** (math.floor(math.log10(error)) - 1)
    return f"{math.ceil(error / scale) * scale:.2g}"


def main() -> None:
    options = tyro.cli(Options, description=__doc__, config=(tyro.conf.FlagCreatePairsOff,))
    torch.set_num_threads(1)
    result = {
        "error": {name: largest_error(case) for name, case in CASES.items()},
        "cost": costs(options.repeat, options.json),
        "iteration": attacks(options),
    }
    folder = Path(__file__).parent / "results"
    (folder / "activations.json").write_text(json.dumps(result, indent=2) + "\n")
    (folder / "activations.md").write_text(markdown(result, options))
    print(json.dumps(result) if options.json else markdown(result, options))


if __name__ == "__main__":
    main()
