"""One instance: a network's file and a property's file in, a verdict out."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from adrgd.errors import UsageError
from adrgd.falsify.alternatives import TimeUpError
from adrgd.falsify.counterexample import Counterexample
from adrgd.falsify.property import Property, PropertyError
from adrgd.falsify.replay import Replay
from adrgd.falsify.rounds import Round
from adrgd.falsify.search import Found, search
from adrgd.falsify.vnnlib import load_property
from adrgd.models.onnx import OnnxNet, read_onnx
from adrgd.models.onnx.verify import compare_with_onnxruntime

Answer = Literal["sat", "unknown", "timeout"]


@dataclass(frozen=True, eq=False)
class Verdict:
    """What was found, and what it took.

    Attributes:
        answer: "sat" with a counterexample; "timeout" when time ran out; "unknown" when nothing was left to try.
        counterexample: replayed in onnxruntime.
        message: why the answer is "unknown"; empty otherwise.
        seconds: all of it; `load_seconds` for reading both files, `search_seconds` for the search.
        rounds, passes: of the search: rounds begun; forward and backward passes over single inputs.
    """

    answer: Answer
    counterexample: Counterexample | None
    message: str
    seconds: float
    load_seconds: float
    search_seconds: float
    rounds: int
    passes: int

    def text(self) -> str:
        """The competition's result file: the answer, then the counterexample if there is one."""
        return self.answer + (f"\n{self.counterexample.text()}" if self.counterexample else "")


def falsify(
    network: Path,
    prop: Path,
    *,
    timeout: float = 60.0,
    seed: int = 0,
    tolerance: float = 0.0,
    spent: float = 0.0,
    turns: Iterable[Round] | None = None,
    device: str = "cpu",
) -> Verdict:
    """Search for an input that violates a property.

    Args:
        network: an .onnx or .onnx.gz file.
        prop: a .vnnlib or .vnnlib.gz file.
        timeout: seconds for everything, reading the files included.
        tolerance: how far outside its box a counterexample may lie, and by how much it may miss a constraint.
        spent: seconds of the timeout that are gone already.
        turns: what the search does one after the other; `schedule()` unless given.
        device: where the search computes; files are read, and counterexamples judged, on the processor.

    Raises:
        UsageError: a file cannot be read, they do not fit each other, or an argument is out of range.
        NonFiniteError: the network's outputs are not finite.
    """
    _check(timeout=timeout, tolerance=tolerance)
    started = time.monotonic()
    deadline = started - spent + timeout
    try:
        given = load_property(prop, deadline=deadline)
        net, file = read_onnx(network)
        replay = Replay(network, file.content)
        compare_with_onnxruntime(net, replay.session, file)
        _check_sizes(given, net)
        loaded = time.monotonic()
        with torch.device(device):
            outcome = _search(
                net.to(device), given, replay, deadline=deadline, seed=seed, tolerance=tolerance, turns=turns
            )
    except TimeUpError:
        seconds = time.monotonic() - started + spent
        return Verdict("timeout", None, "", seconds, load_seconds=seconds, search_seconds=0.0, rounds=0, passes=0)
    answer: Answer = "sat" if outcome.counterexample else "unknown" if outcome.exhausted else "timeout"
    message = ""
    if answer == "unknown":
        message = (
            "all that there was to try was tried" if given.cases
            else "the constraints contradict each other, so that nothing can violate the property"
        )  # fmt: skip
    ended = time.monotonic()
    return Verdict(
        answer, outcome.counterexample, message, seconds=ended - started + spent, load_seconds=loaded - started,
        search_seconds=ended - loaded, rounds=outcome.rounds, passes=outcome.passes,
    )  # fmt: skip


def _search(
    net: OnnxNet,
    prop: Property,
    replay: Replay,
    *,
    deadline: float,
    seed: int,
    tolerance: float,
    turns: Iterable[Round] | None,
) -> Found:
    def accept(x: Tensor) -> Counterexample | None:
        return replay.confirms(prop, x, tolerance)

    eased = prop.eased(tolerance) if tolerance else prop
    return search(net, eased, deadline=deadline, seed=seed, accept=accept, turns=turns)


def _check(*, timeout: float, tolerance: float) -> None:
    if not 0 < timeout < float("inf"):
        raise UsageError(f"the timeout must be a positive number of seconds, found {timeout:g}")
    if not 0 <= tolerance < float("inf"):
        raise UsageError(f"the tolerance must be zero or a positive number, found {tolerance:g}")


def _check_sizes(prop: Property, net: OnnxNet) -> None:
    for kind, declared, found in (
        ("inputs", prop.inputs, net.input_shape.numel()),
        ("outputs", prop.outputs, net.classes),
    ):
        if declared != found:
            raise PropertyError(
                f"expected a property of the network's {found} {kind}, found {declared} in the property; "
                "choose files that belong together"
            )
