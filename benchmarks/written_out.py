"""Activations written out in a network: how far three slopes are from the mean slope of the whole.

    python benchmarks/written_out.py

For h from -6 to 6 and noise of deviation s: the true derivative; each factor softened for itself, as it would be if its
calls were gated one by one; and the whole, as it is recognised. The mean slope is a sum over 4,001 points of the normal
density. Results go to benchmarks/results/written_out.md.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from adrgd.gates import Call, Gates, Picked, look

RESULTS = Path(__file__).parent / "results" / "written_out.md"
DEVIATIONS = (0.3, 1.0, 3.0)
WRITTEN: dict[str, Callable[[Tensor], Tensor]] = {
    "x * sigmoid(x)": lambda h: h * torch.sigmoid(h),
    "0.5 * x * (1 + erf(x / sqrt(2)))": lambda h: 0.5 * h * (1 + torch.erf(h / math.sqrt(2))),
    "0.5 * x * (1 + tanh(...))": lambda h: 0.5 * h * (1 + torch.tanh(math.sqrt(2 / math.pi) * (h + 0.044715 * h**3))),
    "x * tanh(softplus(x))": lambda h: h * torch.tanh(F.softplus(h)),
}


def main() -> None:
    """Measure, print, and write the table."""
    rows = [
        "# Activations written out", "", "Largest distance from the mean slope, h from -6 to 6.", "",
        "| written | s | true derivative | each factor softened | recognised as a whole |", "|---|---|---|---|---|",
    ]  # fmt: skip
    h = torch.linspace(-6, 6, 481, dtype=torch.float64)[:, None]
    for name, form in WRITTEN.items():
        whole = look(lambda x, form=form: form(x * 1.0)[:, 0], h[:4]).pick("all")
        for s in DEVIATIONS:
            mean = mean_slope(form, h, s)
            slopes = (plain(form, h), softened(form, h, s, None), softened(form, h, s, whole))
            worst = " | ".join(f"{float((slope - mean).abs().max()):.4f}" for slope in slopes)
            rows.append(f"| `{name}` | {s:g} | {worst} |")
    text = "\n".join(rows) + "\n"
    RESULTS.write_text(text)
    print(text)


def plain(form: Callable[[Tensor], Tensor], h: Tensor) -> Tensor:
    """The derivative."""
    leaf = h.clone().requires_grad_(True)
    return torch.autograd.grad(form(leaf * 1.0).sum(), leaf)[0]


def softened(form: Callable[[Tensor], Tensor], h: Tensor, s: float, layers: Picked | None) -> Tensor:
    """The slope through gates: of `layers`, or of every call that is recognised by itself."""

    def rule(call: Call) -> Any:
        if layers is None and call.found.parts:
            return call.original()
        if layers is None:  # the noise of a factor's argument is that of x, stretched as the argument is
            stretch = torch.autograd.grad(call.h.sum(), leaf, retain_graph=True)[0].abs().clamp_min(1e-9)
        else:
            stretch = torch.ones_like(h)
        return call.with_slope(call.phi.soft(call.h.detach(), 1.702 / (s * stretch), 1.0))

    leaf = h.clone().requires_grad_(True)
    with Gates(rule, layers, every=layers is None):
        out = form(leaf * 1.0)
    return torch.autograd.grad(out.sum(), leaf)[0]


def mean_slope(form: Callable[[Tensor], Tensor], h: Tensor, s: float) -> Tensor:
    """E[phi'(h + s xi)]."""
    xi = torch.linspace(-8, 8, 4001, dtype=h.dtype)
    weight = torch.exp(-xi.square() / 2)
    return (plain(form, h + s * xi) * weight).sum(1, keepdim=True) / weight.sum()


if __name__ == "__main__":
    main()
