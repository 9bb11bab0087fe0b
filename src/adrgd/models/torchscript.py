"""TorchScript files, replayed operator by operator.

Inside a ScriptModule nothing is visible to `torch.overrides.TorchFunctionMode`. Replayed, every operator is a call of
an overload in `torch.ops.aten`, which is.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from adrgd.errors import ModelError, UsageError
from adrgd.files import limits, reading
from adrgd.models.jit_graph import replay
from adrgd.models.plain_script import NotPlainScriptError, check_script
from adrgd.models.program import Program, relative_gap

TOLERANCE = 1e-3


class ScriptNet(nn.Module):
    """A replayed TorchScript module, compared with the original on the first batch that it is given.

    The size of the input is not written in such a file, so the comparison cannot be made any earlier unless the
    first layer tells.
    """

    def __init__(self, program: Program, original: Any, source: str) -> None:
        super().__init__()
        self.program = program
        self.source = source
        # in a tuple, so that it is no submodule: it stays as it was saved
        self.unchecked: tuple[Any, ...] = (original,)
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        # inside torch.func's transforms nothing can be compared: wait for a call outside of them
        if self.unchecked and not torch._C._functorch.is_functorch_wrapped_tensor(x):
            # whatever mode the caller is in must neither see this nor change it
            with torch._C.DisableTorchFunction(), torch.no_grad():
                self.compare(x)
        logits: Tensor = self.program(x)
        return logits

    def compare(self, x: Tensor) -> None:
        """Check the replay against the original on a batch, and then let go of the original.

        Raises:
            ModelError: the outputs differ by more than 1e-3 of the largest one.
        """
        (original,) = self.unchecked
        saved_as = next((value.dtype for value in original.parameters()), torch.float32)
        # a copy, because the original may work in place
        expected, found = original(x.detach().to("cpu", saved_as, copy=True)), self.program(x.detach())
        if not isinstance(found, Tensor):
            raise ModelError(
                f"expected {self.source!r} to return logits, found {type(found).__name__}; save a module that "
                "returns one tensor"
            )
        gap = relative_gap(found, expected)
        if gap > TOLERANCE:
            raise ModelError(
                f"expected the replay of {self.source!r} to compute what the file does, found outputs that differ by "
                f"{gap:.2g} of the largest; save the module with torch.export instead"
            )
        self.unchecked = ()


def load_torchscript(path: Path, *, trust: bool = False) -> ScriptNet:
    """Read a .pt file that torch.jit.save wrote.

    Args:
        trust: load it whatever it holds; such a file is a program, parts of which may run while it is loaded.

    Raises:
        ModelError: not TorchScript, or an operator that cannot be replayed.
    """
    if not path.is_file():
        raise ModelError(f"expected a TorchScript file at {str(path)!r}, found no such file; check the path")
    if not trust:
        _check_plain(path)
    with warnings.catch_warnings():
        # TorchScript is deprecated as a whole; files in it remain
        warnings.filterwarnings("ignore", message=r".*torch\.jit\..*", category=DeprecationWarning)
        warnings.filterwarnings("ignore", message=r".*torch\.jit\..*", category=FutureWarning)
        try:
            original = torch.jit.load(path, map_location="cpu")  # type: ignore[no-untyped-call]
        except (RuntimeError, ValueError, OSError) as error:
            raise _other(path) from error
    return replayed(original.eval(), source=str(path))


def replayed(original: Any, *, source: str = "a TorchScript module") -> ScriptNet:
    """A script module in eval mode, call by call.

    Raises:
        ModelError: it holds an operator that cannot be replayed.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r".*torch\.jit\..*", category=DeprecationWarning)
        warnings.filterwarnings("ignore", message=r".*torch\.jit\..*", category=FutureWarning)
        # a file that was frozen before it was saved has no mode to be in
        frozen = torch.jit.freeze(original) if hasattr(original, "training") else original
    net = ScriptNet(replay(frozen, source=source), original, source)
    features = _features(frozen)
    if features is not None:
        with torch.no_grad():
            saved_as = next((t.dtype for t in original.parameters() if t.is_floating_point()), torch.float32)
            net.compare(torch.linspace(-1.0, 1.0, 2 * features).reshape(2, features).to(saved_as))
    return net


def _check_plain(path: Path) -> None:
    try:
        with reading.open_regular(path) as file:
            check_script(file)
    except limits.TooLargeError as error:
        raise ModelError(f"expected TorchScript of reasonable size at {str(path)!r}, found that {error}") from error
    except NotPlainScriptError as error:
        raise ModelError(
            f"expected only functions of tensors in {str(path)!r}, found {error}; loading that can run any code: if "
            "you trust whoever made the file, add --trust (trust=True in Python)"
        ) from error
    except UsageError:
        raise
    except Exception as error:  # a damaged archive, or a damaged pickle in it, raises nearly anything
        raise _other(path) from error


def _other(path: Path) -> ModelError:
    return ModelError(
        f"expected TorchScript in {str(path)!r}, found something else, such as a pickled module or a state dict; save "
        "the module with torch.export.save, or give its weights to package.module:factory?weights=FILE"
    )


def _features(frozen: Any) -> int | None:
    """How many numbers one example has, where the first operator on it is a linear layer."""
    graph = frozen.inlined_graph
    argument = list(graph.inputs())[-1]
    users = [use.user for use in argument.uses()]
    if len(users) != 1 or users[0].kind() != "aten::linear":
        return None
    weight = list(users[0].inputs())[1].toIValue()
    return int(weight.shape[1]) if isinstance(weight, Tensor) else None
