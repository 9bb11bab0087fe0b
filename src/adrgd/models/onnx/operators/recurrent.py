"""ONNX's recurrent layers, written out step by step, so that each activation in them is seen and gets its gate."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from adrgd.models.onnx.kernels import Builder, Kernel, Reach, Site

LONGEST = 10_000
"""Steps of a sequence: each is a handful of calls."""

Phi = Callable[[Tensor], Tensor]

ACTIVATIONS: dict[str, tuple[float, float, Callable[[float, float], Phi]]] = {
    "Affine": (1.0, 0.0, lambda a, b: lambda x: a * x + b),
    "Elu": (1.0, 0.0, lambda a, b: lambda x: F.elu(x, a)),
    "HardSigmoid": (0.2, 0.5, lambda a, b: lambda x: torch.clamp(a * x + b, min=0.0, max=1.0)),
    "LeakyRelu": (0.01, 0.0, lambda a, b: lambda x: F.leaky_relu(x, a)),
    "Relu": (0.0, 0.0, lambda a, b: torch.relu),
    "ScaledTanh": (1.0, 1.0, lambda a, b: lambda x: a * torch.tanh(b * x)),
    "Sigmoid": (0.0, 0.0, lambda a, b: torch.sigmoid),
    "Softplus": (0.0, 0.0, lambda a, b: F.softplus),
    "Softsign": (0.0, 0.0, lambda a, b: F.softsign),
    "Tanh": (0.0, 0.0, lambda a, b: torch.tanh),
    "ThresholdedRelu": (1.0, 0.0, lambda a, b: lambda x: F.threshold(x, a, 0.0)),
}
"""Their own alpha and beta, and how they are made of these."""

TAKES = {"Affine": 2, "Elu": 1, "HardSigmoid": 2, "LeakyRelu": 1, "ScaledTanh": 2, "ThresholdedRelu": 1}
"""How many of the listed alphas and betas an activation uses up."""


@dataclass(frozen=True)
class Cell:
    """One direction of a layer at one step.

    Attributes:
        gates: how many rows of the weights belong to each hidden unit.
        phis: its activations, by the file's order.
        clip: what goes into these is clipped to.
        option: linear_before_reset of a GRU, input_forget of an LSTM.
    """

    gates: int
    phis: tuple[Phi, ...]
    clip: float | None
    option: bool

    def clipped(self, x: Tensor) -> Tensor:
        return x if self.clip is None else torch.clamp(x, min=-self.clip, max=self.clip)


State = tuple[Tensor, ...]
Step = Callable[[Cell, Tensor, State, Tensor, Tensor, Tensor | None], State]


def rnn_step(cell: Cell, x: Tensor, state: State, r: Tensor, bias: Tensor, peep: Tensor | None) -> State:
    return (cell.phis[0](cell.clipped(x + F.linear(state[0], r, bias))),)


def gru_step(cell: Cell, x: Tensor, state: State, r: Tensor, bias: Tensor, peep: Tensor | None) -> State:
    (h,) = state
    f, g = cell.phis
    size = h.shape[-1]
    update, reset = cell.clipped(x[..., : 2 * size] + F.linear(h, r[: 2 * size], bias[: 2 * size])).chunk(2, -1)
    update, reset = f(update), f(reset)
    last, own = r[2 * size :], bias[2 * size :]
    inner = reset * F.linear(h, last, own) if cell.option else F.linear(reset * h, last, own)
    new = g(cell.clipped(x[..., 2 * size :] + inner))
    return (new + update * (h - new),)


def lstm_step(cell: Cell, x: Tensor, state: State, r: Tensor, bias: Tensor, peep: Tensor | None) -> State:
    h, c = state
    f, g, last = cell.phis
    entry, out, forget, new = (x + F.linear(h, r, bias)).chunk(4, -1)
    if peep is not None:
        to_entry, to_out, to_forget = peep.chunk(3, -1)
        entry, forget = entry + to_entry * c, forget + to_forget * c
    entry, new = f(cell.clipped(entry)), g(cell.clipped(new))
    forget = 1 - entry if cell.option else f(cell.clipped(forget))
    c = forget * c + entry * new
    out = out + to_out * c if peep is not None else out
    return f(cell.clipped(out)) * last(c), c


@dataclass(frozen=True)
class Layer:
    """A whole layer: its inputs are X, W, R and then those of `names` that the file gives."""

    step: Step
    cells: tuple[Cell, ...]
    backwards: tuple[bool, ...]
    hidden: int
    names: tuple[str, ...]
    batch_first: bool
    states: int

    def __call__(self, x: Tensor, w: Tensor, r: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
        more = dict(zip(self.names, rest, strict=True))
        x = x.transpose(-3, -2) if self.batch_first else x
        steps = x.shape[-3]
        kept = None
        if "lengths" in more:
            kept = (torch.arange(steps, device=x.device)[:, None] < more["lengths"])[..., None]
        ys, ends = [], []
        for number, (cell, back) in enumerate(zip(self.cells, self.backwards, strict=True)):
            y, end = self._one(number, cell, back, x, w[number], r[number], more, kept)
            ys.append(y)
            ends.append(end)
        y = torch.stack(ys, -3)  # (..., steps, directions, batch, hidden)
        last = [torch.stack([end[k] for end in ends], -3) for k in range(self.states)]
        if self.batch_first:
            front = y.ndim - 4
            y = y.permute(*range(front), front + 2, front, front + 1, front + 3)
            last = [one.transpose(-3, -2) for one in last]
        return (y, *last)

    def _one(
        self, number: int, cell: Cell, back: bool, x: Tensor, w: Tensor, r: Tensor, more: dict[str, Tensor],
        kept: Tensor | None,
    ) -> tuple[Tensor, State]:  # fmt: skip
        both = more.get("bias")
        size = cell.gates * self.hidden
        entry = F.linear(x, w, None if both is None else both[number, :size])
        bias = x.new_zeros(size) if both is None else both[number, size:]
        state = tuple(self._start(name, number, x, more) for name in ("h", "c")[: self.states])
        peep = more["peephole"][number] if "peephole" in more else None
        ys: list[Tensor] = []
        moments = entry.unbind(-3)
        order = range(len(moments) - 1, -1, -1) if back else range(len(moments))
        for t in order:
            following = self.step(cell, moments[t], state, r, bias, peep)
            if kept is None:
                state, y = following, following[0]
            else:  # beyond its length a sequence stays as it is, and its outputs are zero
                state = tuple(torch.where(kept[t], new, old) for new, old in zip(following, state, strict=True))
                y = torch.where(kept[t], following[0], 0.0)
            ys.append(y)
        return torch.stack(ys[::-1] if back else ys, -3), state

    def _start(self, name: str, number: int, x: Tensor, more: dict[str, Tensor]) -> Tensor:
        front = (*x.shape[:-3], x.shape[-2], self.hidden)
        if name not in more:
            return x.new_zeros(front)
        given = more[name].transpose(-3, -2) if self.batch_first else more[name]
        return given[..., number, :, :].expand(front)


def recurrent(step: Step, gates: int, phis: list[str], states: int, option: str) -> Builder:
    names = ("bias", "lengths", "h", "c", "peephole")[: 3 if states == 1 else 5]

    def build(site: Site) -> Kernel:
        if any(site.varies(index) for index in (1, 2, 3, 4, 7)):
            raise site.unsupported("with weights or lengths that are computed from the model's input")
        batch_first = bool(site.attribute("layout", 0))
        direction = site.attribute("direction", "forward")
        backwards = {"forward": (False,), "reverse": (True,), "bidirectional": (False, True)}[direction]
        if site.shape(0)[1 if batch_first else 0] > LONGEST:
            raise site.unsupported(f"on a sequence of more than {LONGEST} steps")
        clip = site.attribute("clip", None)
        listed = _activations(site, phis * len(backwards))
        cells = tuple(
            Cell(gates, tuple(listed[k * len(phis) : (k + 1) * len(phis)]), clip, bool(site.attribute(option, 0)))
            for k in range(len(backwards))
        )
        given = tuple(index for index in range(3, 3 + len(names)) if site.has(index))
        layer = Layer(
            step, cells, backwards, site.shape(2)[-1], tuple(names[index - 3] for index in given), batch_first, states
        )
        return Kernel(layer, (0, 1, 2, *given), Reach.BEHIND, (site.kind(),) * (1 + states))

    return build


def _activations(site: Site, default: list[str]) -> list[Phi]:
    names = site.attribute("activations", None) or default
    alphas, betas = list(site.attribute("activation_alpha", [])), list(site.attribute("activation_beta", []))
    found = []
    for name in (item.decode() if isinstance(item, bytes) else item for item in names):
        entry = next((known for known in ACTIVATIONS if known.lower() == name.lower()), None)
        if entry is None:
            raise site.unsupported(f"with the activation {name!r}")
        alpha, beta, make = ACTIVATIONS[entry]
        alpha = alphas.pop(0) if alphas and TAKES.get(entry, 0) > 0 else alpha
        beta = betas.pop(0) if betas and TAKES.get(entry, 0) > 1 else beta
        found.append(make(alpha, beta))
    return found


OPERATORS: dict[str, Builder] = {
    "GRU": recurrent(gru_step, 3, ["Sigmoid", "Tanh"], 1, "linear_before_reset"),
    "LSTM": recurrent(lstm_step, 4, ["Sigmoid", "Tanh", "Tanh"], 2, "input_forget"),
    "RNN": recurrent(rnn_step, 1, ["Tanh"], 1, ""),
}
