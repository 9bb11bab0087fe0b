"""Units made of several activations: the gated linear unit, clamps between tensors, cells of recurrent networks.

A gated linear unit is a * sigmoid(b), and its gate branch b is what is softened. The others are written out in calls
that are recognised one by one; `WRITTEN_OUT` holds functions that compute what torch's do, in those calls.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from adrgd.activations.found import Found, Pull
from adrgd.activations.sshaped import SIGMOID


def glu(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Found | None:
    """F.glu: the first half of the channels times the sigmoid of the second half."""
    named = dict(zip(("input", "dim"), args, strict=False)) | dict(kwargs)
    h = named.get("input", named.get("self"))
    dim = named.get("dim", -1)
    if not isinstance(h, Tensor) or not h.is_floating_point():
        return None
    a, b = h.chunk(2, dim)

    def spread(gradient: Tensor, pull: Pull) -> tuple[Tensor, ...]:
        return (torch.cat([gradient * b.sigmoid(), pull(gradient * a).to(gradient.dtype)], dim),)

    return Found(b, SIGMOID, inputs=(h,), answer=lambda out: a * out, spread=spread, name="glu")


def clamp(input: Tensor, min: Any = None, max: Any = None) -> Tensor:
    """clamp where a bound is a tensor."""
    if min is not None:
        input = torch.maximum(input, min) if isinstance(min, Tensor) else input.clamp_min(min)
    if max is not None:
        input = torch.minimum(input, max) if isinstance(max, Tensor) else input.clamp_max(max)
    return input


def lstm_cell(
    input: Tensor, hx: Any, w_ih: Tensor, w_hh: Tensor, b_ih: Tensor | None = None, b_hh: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """One step of a long short-term memory."""
    h, c = hx
    i, f, g, o = (F.linear(input, w_ih, b_ih) + F.linear(h, w_hh, b_hh)).chunk(4, -1)
    c = f.sigmoid() * c + i.sigmoid() * g.tanh()
    return o.sigmoid() * c.tanh(), c


def gru_cell(
    input: Tensor, hx: Tensor, w_ih: Tensor, w_hh: Tensor, b_ih: Tensor | None = None, b_hh: Tensor | None = None
) -> Tensor:
    """One step of a gated recurrent unit."""
    r, z, n = F.linear(input, w_ih, b_ih).chunk(3, -1)
    r_h, z_h, n_h = F.linear(hx, w_hh, b_hh).chunk(3, -1)
    new = (n + (r + r_h).sigmoid() * n_h).tanh()
    keep = (z + z_h).sigmoid()
    return new + keep * (hx - new)


def _rnn_cell(phi: Callable[[Tensor], Tensor]) -> Callable[..., Tensor]:
    def cell(
        input: Tensor, hx: Tensor, w_ih: Tensor, w_hh: Tensor, b_ih: Tensor | None = None, b_hh: Tensor | None = None
    ) -> Tensor:
        return phi(F.linear(input, w_ih, b_ih) + F.linear(hx, w_hh, b_hh))

    return cell


_aten = torch.ops.aten
_CLAMPS = (torch.clamp, torch.clip, Tensor.clamp, Tensor.clip, _aten.clamp.Tensor, _aten.clip.Tensor)

UNITS: dict[Any, Callable[..., Found | None]] = dict.fromkeys((F.glu, torch._C._nn.glu, _aten.glu.default), glu)

WRITTEN_OUT: dict[Any, Callable[..., Any]] = dict.fromkeys(_CLAMPS, clamp) | {
    torch.lstm_cell: lstm_cell,
    torch.gru_cell: gru_cell,
    torch.rnn_tanh_cell: _rnn_cell(torch.tanh),
    torch.rnn_relu_cell: _rnn_cell(torch.relu),
}


def written_out(function: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Callable[..., Any] | None:
    """What to call instead of `function` to see its activations; None to call it as it is."""
    instead = WRITTEN_OUT.get(function)
    if instead is not clamp:
        return instead
    bounds = [*args[1:], *(value for key, value in kwargs.items() if key in ("min", "max"))]
    moving = isinstance(args[0] if args else kwargs.get("input"), Tensor) and "out" not in kwargs
    return clamp if moving and any(isinstance(bound, Tensor) for bound in bounds) else None
