"""The networks that the paper reasons about, built from any callable by replacing its gates.

Gates are lists with one tensor per *hinge*, in call order: one for a ReLU, two for a ReLU6 or a Hardtanh. A hinge's
tensor has the shape of its pre-activations (B, ...), and h there means the pre-activation minus the hinge's break.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any, Literal

import torch
import torch.autograd.forward_ad as dual
from torch import Tensor

from adrgd.errors import UsageError
from adrgd.gates import Call, Gates, Selected
from adrgd.rows import RowRandom

Function = Callable[[Tensor], Tensor]

AT_ONCE = 2**24  # pre-activations, of all rows and coordinates, that exact norms hold at a time


def hinge_values(function: Function, x: Tensor, layers: Selected = None) -> tuple[Tensor, list[Tensor]]:
    """Evaluate the original network: its output, and h of every selected hinge (differentiable)."""
    hinges: list[Tensor] = []

    def note(call: Call) -> Any:
        h = call.saved()
        hinges.extend(h - at if at else h for at in call.hinges.breaks)
        return call.original()

    with Gates(note, layers):
        out = function(x)
    return out, hinges


def true_pattern(hinges: list[Tensor]) -> list[Tensor]:
    """Equation 4: gate 1 where h >= 0, else 0."""
    return [(h >= 0).to(h.dtype) for h in hinges]


def gated(function: Function, x: Tensor, gates: list[Tensor], layers: Selected = None) -> tuple[Tensor, list[Tensor]]:
    """Equations 3 and 6: every selected hinge max(h, 0) becomes gate * h. Returns the output and each hinge's h.

    Raises:
        UsageError: there are more hinges than gates, or fewer.
    """
    hinges: list[Tensor] = []
    left: Iterator[Tensor] = iter(gates)

    def replace(call: Call) -> Any:
        h = call.saved()
        own = list(islice(left, len(call.hinges.breaks)))
        if len(own) < len(call.hinges.breaks):
            raise UsageError(f"expected one gate for each selected hinge, found only {len(gates)}; see hinge_values")
        hinges.extend(h - at if at else h for at in call.hinges.breaks)
        return call.answer(call.hinges.gated(h, own))

    with Gates(replace, layers):
        out = function(x)
    if len(hinges) < len(gates):
        raise UsageError(f"expected one gate for each of {len(hinges)} selected hinges, found {len(gates)}")
    return out, hinges


def sigmoid_gates(eta: list[Tensor], alpha: float = 2000.0) -> list[Tensor]:
    """Definition 5.3: s_alpha(eta) = 1 / (1 + exp(-alpha (eta - 1/2)))."""
    return [torch.sigmoid(alpha * (e - 0.5)) for e in eta]


def descent_direction(function: Function, x: Tensor, nu: list[Tensor], layers: Selected = None) -> list[Tensor]:
    """Definition 5.2: for each gate +1 (switch on), -1 (switch off) or 0 (leave), as the output grows.

    `function` returns one number a row. The sign of d output / d nu divided by h is the sign of the output's derivative
    by the neuron's post-activation, so a gate is switched on exactly when the output grows with what it would let
    through. Where h = 0 the direction is 0. (The sgn of the paper is taken as the step function: 0 counts as negative.)
    """
    nu = [v.detach().requires_grad_(True) for v in nu]
    out, hinges = gated(function, x, nu, layers)
    grads = torch.autograd.grad(out.sum(), nu, materialize_grads=True)
    directions = []
    for v, grad, h in zip(nu, grads, hinges, strict=True):
        grows = torch.where(grad.sign() * h.sign() > 0, 1.0, -1.0).to(h.dtype)  # the sign of grad / h
        side = torch.where(v > 0.5, 1.0, -1.0).to(h.dtype)
        directions.append(torch.where(h == 0, 0.0, side * (grows * side).clamp_max(0)).detach())
    return directions


def normals(function: Function, x: Tensor, gates: list[Tensor], layers: Selected = None) -> list[Tensor]:
    """Equation 10: the rows P_j of every selected hinge of the gated network, exactly.

    Returns one tensor (B, n, ...) a hinge: the derivative of h (...) by each of the n input coordinates, at the cost of
    n evaluations a row (forward-mode differentiation). The layers that are not selected keep their true gates.
    """
    count = x[0].numel()
    wide = x.detach().repeat_interleave(count, 0)
    basis = torch.eye(count, dtype=x.dtype, device=x.device).repeat(len(x), 1).view_as(wide)
    wide_gates = [g.detach().repeat_interleave(count, 0) for g in gates]
    with torch.no_grad(), dual.dual_level():
        with _first_dual():
            moving = dual.make_dual(wide, basis)  # type: ignore[no-untyped-call]
        _, hinges = gated(function, moving, wide_gates, layers)
        tangents = [dual.unpack_dual(h).tangent for h in hinges]  # type: ignore[no-untyped-call]
    return [t.unflatten(0, (len(x), count)) for t in tangents]


def exact_norms(function: Function, x: Tensor, gates: list[Tensor], layers: Selected = None) -> list[Tensor]:
    """||P_j|| of every selected hinge, exactly: one forward pass a coordinate, as many side by side as memory allows.

    `function` must be one that `torch.func` can transform.
    """
    gates = [gate.detach() for gate in gates]

    def push(v: Tensor) -> list[Tensor]:
        found: list[Tensor] = torch.func.jvp(lambda p: gated(function, p, gates, layers)[1], (x.detach(),), (v,))[1]
        return found

    count = x[0].numel()
    basis = torch.eye(count, dtype=x.dtype, device=x.device).view(count, 1, *x.shape[1:]).expand(count, *x.shape)
    totals: list[Tensor] = []
    with torch.no_grad(), _first_dual():
        for part in torch.split(basis, max(1, AT_ONCE // max(1, sum(gate.numel() for gate in gates)))):
            squares = [tangent.square().sum(0) for tangent in torch.func.vmap(push)(part)]
            totals = [a.add_(b) for a, b in zip(totals, squares, strict=True)] if totals else squares
    return [total.sqrt_() for total in totals]


@contextmanager
def _first_dual() -> Iterator[None]:
    """Where torch may make its first dual tensor, at which it warns of its own torch.jit.script."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield


def estimated_squared_norms(
    function: Function,
    x: Tensor,
    gates: list[Tensor],
    random: RowRandom,
    *,
    probes: int = 1,
    t: int = 0,
    layers: Selected = None,
    hinges: list[Tensor] | None = None,
) -> list[Tensor]:
    """Unbiased estimates of ||P_j||^2: for v ~ N(0, I), E[(P_j v)^2] = ||P_j||^2.

    With fixed gates the network is affine, so P_j v = h(x + v) - h(x): one forward pass a probe, and one for h(x)
    unless `hinges`, the gated network's own h at x, are given. Layers that are not selected, and max-pooling, carry on
    the difference that v really makes: behind them the estimate is one of the network's mean slope around x.
    """
    totals: list[Tensor] = []
    with torch.no_grad():
        base = gated(function, x, gates, layers)[1] if hinges is None else hinges
        for probe in range(probes):
            v = random.normal(tuple(x.shape[1:]), f"norms {probe}", t, x.dtype)
            moved = gated(function, x + v, gates, layers)[1]
            squares = [(there - here).square_() for there, here in zip(moved, base, strict=True)]
            totals = [a.add_(b) for a, b in zip(totals, squares, strict=True)] if totals else squares
    return [total / probes for total in totals]


def constraint_loss(
    hinges: list[Tensor], eta: list[Tensor], norms: list[Tensor] | None, reduction: Literal["sum", "max"] = "sum"
) -> Tensor:
    """Equation 8 summed over the layers, (B,): how far x is from the polytope that eta describes.

    A neuron that is active while eta < 1/2, or inactive while eta > 1/2, adds its distance to its hyperplane,
    |h| / ||P||, times |eta - 1/2|. Equation 11 leaves that last factor out of the gradient on x; autograd keeps it.
    Where h = 0 or eta = 1/2 the gradient is zero, as the paper's sgn(0) = 0 has it.

    Args:
        hinges: h of the original network.
        norms: ||P||, treated as constants; None leaves h as it is.
        reduction: over the neurons of a layer: "sum" as in the paper, or "max" as in the authors' code, where the
            largest violation of each of the two signs counts.
    """
    total = torch.zeros((), dtype=hinges[0].dtype, device=hinges[0].device)
    for k, (h, e) in enumerate(zip(hinges, eta, strict=True)):
        distance = h if norms is None else h / norms[k].detach().clamp_min(1e-12)
        side = 0.5 - e
        if reduction == "sum":  # one product serves both brackets: at most one of them is positive
            total = total + (distance * side).relu().flatten(1).sum(1)
        else:
            on = (distance * side.clamp_min(0)).relu().flatten(1).amax(1)
            off = (distance * side.clamp_max(0)).relu().flatten(1).amax(1)
            total = total + on + off
    return total
