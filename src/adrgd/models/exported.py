"""Programs saved by torch.export."""

from __future__ import annotations

import inspect
import os
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import torch
from torch import Tensor, nn

from adrgd.errors import ModelError, UsageError
from adrgd.files import limits, reading
from adrgd.models.plain_export import NotPlainError, plain_export

ONLY_TENSORS = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"
"""With this variable set torch unpickles no objects, not even where its own code asks for them."""


@dataclass(frozen=True)
class Signature:
    """What an exported program says of itself; None where a size is free."""

    input_shape: tuple[int, ...] | None
    classes: int | None


class ExportedNet(nn.Module):
    """An exported program as a module whose constants follow `.to(device, dtype)` and which is in eval mode."""

    def __init__(self, program: nn.Module, input_shape: tuple[int, ...] | None) -> None:
        super().__init__()
        self.program = program
        self.input_shape = input_shape
        # its own check of the input takes longer than a small network, and looks like part of it to a function mode
        program._forward_pre_hooks.clear()
        # an exported program keeps constant tensors as plain attributes, and it refuses to switch modes
        for name, value in list(vars(program).items()):
            if isinstance(value, Tensor):
                delattr(program, name)
                program.register_buffer(name, value)
        for module in self.modules():
            module.training = False

    def forward(self, x: Tensor) -> Tensor:
        if self.input_shape is not None and tuple(x.shape[1:]) != self.input_shape:
            raise ModelError(
                f"expected a batch of inputs of shape {self.input_shape} each, found a tensor of shape "
                f"{tuple(x.shape)}; reshape it"
            )
        result: Tensor = self.program(x)
        return result


def load_exported(path: Path, *, trust: bool = False) -> tuple[ExportedNet, Signature]:
    """Read a .pt2 file.

    Args:
        trust: load it whatever it holds, pickled objects and compiled code included, which then run.

    Raises:
        ModelError: the file cannot be read, takes several inputs, or takes batches of one size only.
    """
    wrong = ModelError(
        f"expected a program saved by torch.export in {str(path)!r}, found a file that it cannot load; save it with "
        "torch.export.save"
    )
    try:
        with reading.open_regular(path) as file:
            if not _is_export(file):  # torch.export would log pages about such a file
                raise wrong
            exported = torch.export.load(path) if trust else _load_plain(file)
    except UsageError:
        raise
    except FileNotFoundError as error:
        raise ModelError(f"expected a .pt2 file at {str(path)!r}, found no such file; check the path") from error
    except limits.TooLargeError as error:
        raise ModelError(f"expected a .pt2 file of reasonable size at {str(path)!r}, found that {error}") from error
    except NotPlainError as error:
        raise ModelError(
            f"expected only a graph and tensors in {str(path)!r}, found {error}; loading that can run any code: if you "
            "trust whoever made the file, add --trust (trust=True in Python)"
        ) from error
    except Exception as error:  # torch.export raises many kinds for a damaged file
        raise wrong from error
    signature = _signature(exported, path)
    return ExportedNet(without_guards(exported), signature.input_shape), signature


def without_guards(exported: torch.export.ExportedProgram) -> torch.nn.Module:
    """Its module, without guards that would assert the sizes seen while exporting at every call.

    torch before 2.9 has no such option.
    """
    free = "check_guards" in inspect.signature(exported.module).parameters
    return exported.module(check_guards=False) if free else exported.module()


def _load_plain(file: IO[bytes]) -> torch.export.ExportedProgram:
    plain = plain_export(file)
    before = os.environ.get(ONLY_TENSORS)
    os.environ[ONLY_TENSORS] = "1"
    try:
        return torch.export.load(plain)
    finally:
        if before is None:
            del os.environ[ONLY_TENSORS]
        else:
            os.environ[ONLY_TENSORS] = before


def _is_export(file: IO[bytes]) -> bool:
    if not zipfile.is_zipfile(file):
        return False
    with zipfile.ZipFile(file) as archive:
        # the second is what torch before 2.8 wrote
        return any(name.endswith(("archive_format", "serialized_exported_program.json")) for name in archive.namelist())


def _signature(exported: torch.export.ExportedProgram, path: Path) -> Signature:
    values = {node.name: node.meta.get("val") for node in exported.graph.nodes}
    inputs, outputs = exported.graph_signature.user_inputs, exported.graph_signature.user_outputs
    if len(inputs) != 1 or len(outputs) != 1:
        raise ModelError(
            f"expected {str(path)!r} to have one input and one output, found {len(inputs)} and {len(outputs)}; export "
            "a model that takes a batch and returns logits"
        )
    given, made = values.get(str(inputs[0])), values.get(str(outputs[0]))
    if not isinstance(given, Tensor) or not isinstance(made, Tensor) or not given.ndim:
        raise ModelError(f"expected {str(path)!r} to take a batch and return logits; export such a model")
    if isinstance(given.shape[0], int):
        raise ModelError(
            f"expected {str(path)!r} to take any number of rows, found a program for batches of exactly "
            f"{given.shape[0]}; export it with a dynamic batch dimension: torch.export.export(model, (x,), "
            'dynamic_shapes=({0: torch.export.Dim("batch")},)) with two rows or more in x'
        )
    tail = tuple(given.shape[1:])
    sizes = tuple(size for size in tail if isinstance(size, int))
    last = made.shape[-1] if made.ndim == 2 else None
    return Signature(sizes if len(sizes) == len(tail) else None, last if isinstance(last, int) else None)
