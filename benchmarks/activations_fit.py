"""Where the constants of `adrgd.activations` come from: fits in the largest error, of slopes that have no closed form.

    python benchmarks/activations_fit.py

prints what stands in `mixture.py`, `logistic.py` and `exponential.py`, up to the last digits, and writes it to
benchmarks/results/activations_fit.md.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from scipy.optimize import least_squares, minimize
from scipy.special import erfcx, expit, ndtr
from torch import Tensor

from adrgd.activations.quadrature import by_quadrature

Array = np.ndarray
POINTS = np.unique(np.concatenate([np.linspace(-20, 20, 801), np.linspace(-1, 1, 201), [-60, -40, -30, 30, 40, 60]]))
NOISE = torch.logspace(-2, 3, 21, dtype=torch.float64)


def slope(function: Callable[[Tensor], Tensor]) -> Array:
    """function'(POINTS)."""
    h = torch.from_numpy(POINTS).requires_grad_(True)
    (found,) = torch.autograd.grad(function(h).sum(), h)
    return found.numpy()


def terms(parameters: Array, kinds: str) -> list[dict[str, float]]:
    """The terms that the parameters stand for: s, a step; e, an even bump at zero; b, any bump."""
    left, found = iter(parameters), []
    for kind in kinds:
        width = math.exp(next(left))
        if kind == "e":
            found.append({"at": 0.0, "width": width, "even": next(left)})
        elif kind == "s":
            found.append({"at": next(left), "width": width, "step": 1.0})
        else:
            found.append({"at": next(left), "width": width, "even": next(left), "odd": next(left)})
    return found


def mixture(parameters: Array, kinds: str, base: float) -> Array:
    total = np.full_like(POINTS, base)
    for term in terms(parameters, kinds):
        u = (POINTS - term["at"]) / term["width"]
        bump = np.exp(-(u**2) / 2) / math.sqrt(2 * math.pi)
        total += term.get("step", 0.0) * ndtr(u) + (term.get("even", 0.0) + term.get("odd", 0.0) * u) * bump
    return total


def closest(residual: Callable[[Array], Array], start: list[float], rounds: int = 40) -> tuple[float, Array]:
    """Least squares whose weights grow where the error is large, until the largest error is as small as it gets."""
    x, weights = np.array(start), 1.0
    best = (math.inf, x)
    for _ in range(rounds):
        x = least_squares(lambda p, w=weights: w * residual(p), x).x
        error = np.abs(residual(x))
        best = min(best, (error.max(), x), key=lambda pair: pair[0])
        weights = np.maximum(weights * (0.5 + error / error.max()), 1e-3)
        weights = weights / weights.max()
    return best


MIXTURES = {
    "MISH": (F.mish, "sbb", 0.0, [-0.3, 0.03, 0.85, -0.93, -0.14, 0.09, 0.29, -0.43, 0.28, 0.43]),
    "TANHSHRINK": (F.tanhshrink, "ee", 1.0, [-0.5, -1.5, 0.06, -1.0]),
    "SOFTSIGN": (F.softsign, "eeeee", 0.0, [-3.8, 0.18, -2.2, 0.54, -1.0, 0.91, 0.06, 0.68, 1.4, 0.17]),
    "ATAN": (torch.atan, "eee", 0.0, [-0.6, 1.3, 0.3, 1.0, 1.5, 0.2]),
}


def mixtures() -> list[str]:
    lines = []
    for name, (function, kinds, base, start) in MIXTURES.items():
        target = slope(function)
        error, found = closest(lambda p, k=kinds, b=base, t=target: mixture(p, k, b) - t, start)
        shown = "; ".join(
            ", ".join(f"{key} {value:.5f}" for key, value in term.items()) for term in terms(found, kinds)
        )
        lines.append(f"| `{name}` | {shown} | {error:.2g} |")
    return lines


def widened(product: bool) -> str:
    """The two constants of the logistic curve under noise, for itself or for h times it."""
    h, s = (t.flatten() for t in torch.meshgrid(torch.linspace(-20, 20, 81).double(), NOISE, indexing="ij"))
    exact = by_quadrature(F.silu if product else F.softplus, h, s).numpy()
    h, s = h.numpy(), s.numpy()

    def error(p: Array) -> float:
        narrow = 1 / (1 + p[0] * s**2)
        u = h * np.sqrt(narrow)
        bend = p[1] * (1 - narrow) * u**2
        curve = expit(u + bend * u)
        return np.abs(curve + product * narrow * (u + 3 * bend * u) * curve * (1 - curve) - exact).max()

    found = minimize(error, [math.pi / 8, 0.02], method="Nelder-Mead", options={"maxiter": 400})
    rate, bend = found.x
    return f"| `{'PRODUCT' if product else 'CURVE'}` | rate {rate:.5f}, bend {bend:.6f} | {found.fun:.2g} |"


def mills() -> str:
    """Mills' ratio as 1 / ((1 - a) x + a sqrt(x^2 + b)); the error is relative."""
    x = np.concatenate([np.linspace(0, 10, 2001), np.logspace(1, 4, 200)])
    exact = math.sqrt(math.pi / 2) * erfcx(x / math.sqrt(2))

    def error(p: Array) -> float:
        return np.abs(1 / ((1 - p[0]) * x + p[0] * np.sqrt(x * x + p[1])) / exact - 1).max()

    found = minimize(error, [0.34, 5.5], method="Nelder-Mead", options={"maxiter": 2000, "xatol": 1e-8, "fatol": 1e-10})
    share, start = found.x
    return f"| `mills` | SHARE {share:.6f}, START {start:.4f} | {found.fun:.2g}, relative |"


def main() -> None:
    torch.set_num_threads(1)
    lines = [*mixtures(), widened(False), widened(True), mills()]
    page = "\n".join(
        ["# Constants of the mean slopes", "", "| name | constants | largest error |", "|---|---|---|", *lines]
    )
    (Path(__file__).parent / "results" / "activations_fit.md").write_text(page + "\n")
    print(page)


if __name__ == "__main__":
    main()
