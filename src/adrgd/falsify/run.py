"""One instance: a network's file and a property's file in, a verdict out."""

from __future__ import annotations

import copy
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from adrgd.bounds.reading import read_network
from adrgd.devices import made_on
from adrgd.errors import UsageError
from adrgd.falsify.alternatives import TimeUpError
from adrgd.falsify.claims import claims_of
from adrgd.falsify.counterexample import Counterexample
from adrgd.falsify.networks import NetworkFiles, load_networks
from adrgd.falsify.property import Property
from adrgd.falsify.replay import Replay
from adrgd.falsify.rounds import Round, Walk, schedule
from adrgd.falsify.search import Found, search
from adrgd.falsify.turns import PATIENCE, in_turns
from adrgd.falsify.vnnlib import load_property
from adrgd.falsify.written import Subject, save_proof
from adrgd.models.onnx import OnnxNet
from adrgd.proof.attempt import Attempt
from adrgd.proof.write import UnwrittenError

SINGLE = (
    "a proof is written of one network with one input and one output, whose inputs the property does not make equal; "
    "leave --proof away"
)

Answer = Literal["sat", "unsat", "unknown", "timeout"]


@dataclass(frozen=True, eq=False)
class Verdict:
    """What was found, and what it took.

    Attributes:
        answer: "sat" with a counterexample; "unsat" when it is proven that there is none; "timeout" when time ran out;
            "unknown" when nothing was left to try.
        counterexample: replayed in onnxruntime.
        message: why the answer is "unknown", and why there was no proof; empty otherwise.
        seconds: all of it; `load_seconds` for reading both files, `search_seconds` for the search, `proof_seconds` for
            the proof.
        rounds, passes: of the search: rounds begun; forward and backward passes over single inputs.
        nodes, proven: of the proof: parts of the property that were bounded, and the share of it that is proven.
        found_by: what came upon the counterexample: "rounds" of the search, a "walk" over polytopes, or the "proof".
        proof: the file into which it was written, if that was asked for and done.
    """

    answer: Answer
    counterexample: Counterexample | None
    message: str
    seconds: float
    load_seconds: float
    search_seconds: float
    rounds: int
    passes: int
    proof_seconds: float = 0.0
    nodes: int = 0
    proven: float = 0.0
    proof: Path | None = None
    found_by: str = ""

    def text(self) -> str:
        """The competition's result file: the answer, then the counterexample if there is one."""
        return self.answer + (f"\n{self.counterexample.text()}" if self.counterexample else "")


def falsify(
    network: NetworkFiles,
    prop: Path,
    *,
    timeout: float = 60.0,
    seed: int = 0,
    tolerance: float = 0.0,
    spent: float = 0.0,
    turns: Iterable[Round | Walk] | None = None,
    device: str = "cpu",
    prove: bool = True,
    proof_file: Path | None = None,
) -> Verdict:
    """Search for an input that violates a property, and in turns for a proof that there is none.

    Args:
        network: an .onnx or .onnx.gz file; the files of several networks by the names that a property gives them.
        prop: a .vnnlib or .vnnlib.gz file.
        timeout: seconds for everything, reading the files included.
        tolerance: how far outside its box a counterexample may lie, and by how much it may miss a constraint; a proof
            is one that there is none with that tolerance.
        spent: seconds of the timeout that are gone already.
        turns: what the search does one after the other; `schedule()` unless given.
        device: where the search computes; files are read, counterexamples judged and proofs found
            on the processor.
        prove: whether to look for a proof at all.
        proof_file: into which a proof is written, if one is found, so that `check_proof` can check it; writing may take
            as long as the timeout once more.

    Raises:
        UsageError: a file cannot be read, they do not fit each other, or an argument is out of range.
        NonFiniteError: the network's outputs are not finite.
    """
    _check(timeout=timeout, tolerance=tolerance)
    subject: Subject | None = None
    if proof_file is not None:
        if not isinstance(network, Path):
            raise UsageError(SINGLE)
        subject = Subject.of(network, prop)
    started = time.monotonic()
    deadline = started - spent + timeout
    try:
        given = load_property(prop, deadline=deadline)
        net, replay, single = load_networks(network, given, deadline=deadline)
        if subject is not None and not single:
            raise UsageError(SINGLE)
        loaded = time.monotonic()
        judged = given.eased(tolerance) if tolerance else given
        judge = _Judge(replay, given, tolerance)
        double = copy.deepcopy(net)
        proof = Attempt(
            lambda: read_network(double, _zeros(double)), lambda: claims_of(judged), lambda x: judge(x) is not None,
            kept=proof_file is not None,
        )  # fmt: skip
        rounds = schedule() if turns is None else turns
        with made_on(device):
            outcome = search(
                net.to(device), judged, deadline=deadline, seed=seed, accept=judge,
                turns=in_turns(rounds, proof, judged, deadline=deadline) if prove else rounds,
                patience=lambda: PATIENCE if prove and proof.reason else None,
            )  # fmt: skip
        if prove and given.cases and judge.found is None:
            proof.run(deadline)  # what the search cannot do any more, as where all boxes are points
    except TimeUpError:
        seconds = time.monotonic() - started + spent
        return Verdict(
            "timeout", None, "the time was over before both files were read", seconds, load_seconds=seconds,
            search_seconds=0.0, rounds=0, passes=0,
        )  # fmt: skip
    answer, message = _answer(given, judge.found, outcome, proof)
    ended = time.monotonic()
    written: Path | None = None
    if proof_file is not None and subject is not None and answer == "unsat":
        try:
            save_proof(
                proof_file, subject, judged, proof, lambda: read_network(double, _zeros(double)), tolerance=tolerance,
                seconds=timeout,
            )  # fmt: skip
            written = proof_file
        except UnwrittenError as error:
            message = str(error)
    return Verdict(
        answer, judge.found, message, seconds=ended - started + spent, load_seconds=loaded - started,
        search_seconds=ended - loaded - proof.seconds, rounds=outcome.rounds, passes=outcome.passes,
        proof_seconds=proof.seconds, nodes=proof.outcome.nodes, proven=proof.outcome.share, proof=written,
        found_by=_found_by(judge, outcome),
    )  # fmt: skip


@dataclass
class _Judge:
    """Decides by the original file; keeps what it accepts."""

    replay: Replay
    prop: Property
    tolerance: float
    found: Counterexample | None = None

    def __call__(self, x: Tensor) -> Counterexample | None:
        self.found = self.replay.confirms(self.prop, x, self.tolerance)
        return self.found


def _found_by(judge: _Judge, outcome: Found) -> str:
    if judge.found is None:
        return ""
    return "proof" if outcome.counterexample is None else "walk" if outcome.walked else "rounds"


def _answer(prop: Property, found: Counterexample | None, outcome: Found, proof: Attempt) -> tuple[Answer, str]:
    if found is not None:
        return "sat", ""
    if not prop.cases:
        return "unsat", "the constraints contradict each other, so that nothing can violate the property"
    if proof.outcome.proven:
        return "unsat", ""
    without = f"there is no proof: {proof.reason}" if proof.reason else ""
    if outcome.no_room:
        without = "; ".join(filter(None, ["the search ran out of memory", without]))
        return ("timeout" if proof.seconds and not proof.ended else "unknown"), without
    if outcome.exhausted:
        return "unknown", "; ".join(filter(None, ["all that there was to try was tried", without]))
    return "timeout", without


def _zeros(net: OnnxNet) -> Tensor:
    return torch.zeros(1, *net.input_shape, dtype=torch.float64)


def _check(*, timeout: float, tolerance: float) -> None:
    if not 0 < timeout < float("inf"):
        raise UsageError(f"the timeout must be a positive number of seconds, found {timeout:g}")
    if not 0 <= tolerance < float("inf"):
        raise UsageError(f"the tolerance must be zero or a positive number, found {tolerance:g}")
