"""What a model looks like from here: its activations, which of them have gates, and what stands in the way."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from adrgd.errors import ModelError
from adrgd.gates import Inventory, look
from adrgd.gates.modules import following
from adrgd.models.checks import check_model


@dataclass(frozen=True)
class Inspection:
    """What was seen of a model.

    Attributes:
        inventory: its activations.
        parameters: how many numbers they are.
        dtype: the type of its floating-point parameters.
        input_shape: of one row.
        outputs: the shape of one row's output.
        training: the parts in train mode.
        problem: why it cannot be attacked row by row; empty if it can.
    """

    inventory: Inventory
    parameters: int
    dtype: str
    input_shape: tuple[int, ...]
    outputs: tuple[int, ...]
    training: tuple[str, ...]
    problem: str

    def facts(self) -> dict[str, Any]:
        """As plain data."""
        layers = [
            {
                "call": layer.number, "operation": layer.name, "kind": layer.kind, "module": layer.module,
                "shape": list(layer.shape), "neurons": layer.neurons, "gate": gate_of(layer.phi),
            }
            for layer in self.inventory.layers
        ]  # fmt: skip
        kept = ("parameters", "dtype", "input_shape", "outputs", "training", "problem")
        return {
            "layers": layers,
            "without_gate": [asdict(other) for other in self.inventory.others],
            "neurons": sum(layer.neurons for layer in self.inventory.layers),
            **{name: getattr(self, name) for name in kept},
        }


def inspect_model(module: nn.Module, x: Tensor) -> Inspection:
    """Look at a model on a batch x (B, ...) of at least two rows.

    Raises:
        ModelError: it cannot take the batch at all, or returns no tensor.
    """
    training = tuple(name or "the model" for name, part in module.named_modules() if part.training)
    problem = ""
    try:
        check_model(module, x)
    except ModelError as error:
        problem = str(error)
    if training:  # a look would move its statistics
        return Inspection(Inventory(()), _count(module), _dtype(module), tuple(x.shape[1:]), (), training, problem)
    with torch.no_grad():
        out = _tensor(module, x)

    def total(points: Tensor) -> Tensor:
        values: Tensor = module(points)
        return values.flatten(1).sum(1)

    with following(module):
        inventory = look(total, x)
    shape = tuple(out.shape[1:])
    return Inspection(inventory, _count(module), _dtype(module), tuple(x.shape[1:]), shape, training, problem)


def gate_of(phi: Any) -> str:
    """How an activation is gated, in a word or two."""
    if phi.is_flat:
        return "a soft slope to the end"
    if hasattr(phi, "breaks") and hasattr(phi, "jumps"):
        count = len(phi.breaks)
        return "hinge" if count == 1 else f"{count} hinges"
    if hasattr(phi, "axes") or hasattr(phi, "stride"):
        return "chances to be the largest"
    return "mean slope"


def _tensor(module: nn.Module, x: Tensor) -> Tensor:
    try:
        out = module(x)
    except (RuntimeError, TypeError, ValueError, IndexError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ModelError(
            f"expected a model that takes a batch of shape {tuple(x.shape)}, found that it fails ({reason}); pass data "
            "or a shape that it was made for"
        ) from error
    if not isinstance(out, Tensor):
        raise ModelError(f"expected a model that returns a tensor, found {type(out).__name__}; wrap it so that it does")
    return out


def _count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters()) or sum(b.numel() for b in module.buffers())


def _dtype(module: nn.Module) -> str:
    found = {str(t.dtype).removeprefix("torch.") for t in (*module.parameters(), *module.buffers())}
    return ", ".join(sorted(name for name in found if "float" in name)) or "no numbers of its own"
