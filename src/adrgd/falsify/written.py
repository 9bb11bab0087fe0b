"""A verdict's proof as a file, and the check of one: which network, which property, and what is refuted."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from adrgd import __version__
from adrgd.bounds.network import Network
from adrgd.errors import out_of_memory
from adrgd.falsify.property import Property, PropertyError
from adrgd.falsify.vnnlib import load_property
from adrgd.files import reading
from adrgd.models.onnx.graph import read_model
from adrgd.proof.attempt import Attempt
from adrgd.proof.write import UnwrittenError, Writer
from adrgd.recheck.arithmetic import Exact, Floats
from adrgd.recheck.check import Checked, check
from adrgd.recheck.errors import ProofFileError, UncheckedError
from adrgd.recheck.onnx_file import read_graph
from adrgd.recheck.proof import Claim
from adrgd.recheck.proof_file import About, digest, read_proof, write_proof
from adrgd.recheck.steps import Graph


@dataclass(frozen=True)
class Subject:
    """The files that a proof is about, read by the checker's own code.

    Attributes:
        network, text: SHA-256 of their contents.
    """

    graph: Graph
    network: str
    text: str

    @classmethod
    def of(cls, network: Path, prop: Path) -> Subject:
        """Of these files.

        Raises:
            UsageError: they cannot be read, or the network has operators for which no proof is checked.
        """
        content = read_model(network)[1]
        return cls(read_graph(content), digest(content), digest(_content(prop)))


def _content(prop: Path) -> bytes:
    try:
        return reading.read_bytes(prop, "text")
    except OSError as error:
        raise PropertyError(
            f"expected a readable VNN-LIB file at {str(prop)!r}, found: {error}; check the path and the file"
        ) from error


def claims_to_check(prop: Property) -> list[Claim]:
    """The cases, with boxes and constraints that reach just beyond the decimals of the file."""
    found = []
    for number, group in enumerate(prop.boxes()):
        box = prop.cases[group[0]]
        lower, upper = np.nextafter(box.lower.numpy(), -np.inf), np.nextafter(box.upper.numpy(), np.inf)
        for at in group:
            case = prop.cases[at]
            found.append(
                (
                    at,
                    Claim(
                        lower, upper, case.on_outputs.numpy(),
                        None if case.on_inputs is None else case.on_inputs.numpy(),
                        np.nextafter(-case.bound.numpy(), -np.inf), number,
                    ),
                )
            )  # fmt: skip
    return [claim for _, claim in sorted(found, key=lambda pair: pair[0])]


def save_proof(
    file: Path, subject: Subject, prop: Property, attempt: Attempt, network: Callable[[], Network], *,
    tolerance: float, seconds: float,
) -> About:  # fmt: skip
    """Write the proof of a property that was just proven.

    Args:
        prop: with the tolerance in it.
        seconds: after which to give up.

    Raises:
        UnwrittenError: the time is over, the proof holds in another form only, or the file cannot be written.
    """
    claims = claims_to_check(prop)
    writer = Writer(network(), subject.graph, claims, deadline=time.monotonic() + seconds)
    try:
        proof = writer.proof(attempt.record)
    except (MemoryError, RuntimeError) as error:
        if not out_of_memory(error):
            raise
        raise UnwrittenError("the property is proven, but there is not enough memory to write the proof") from error
    about = {
        "adrgd": __version__, "network": subject.network, "property": subject.text, "tolerance": tolerance,
        "inputs": subject.graph.inputs, "outputs": subject.graph.outputs, "neurons": list(subject.graph.sizes),
        "cases": len(claims),
    }  # fmt: skip
    try:
        return write_proof(file, proof, about)
    except OSError as error:
        raise UnwrittenError(
            f"the property is proven, but {file} cannot be written ({error.strerror or error}); choose another --proof"
        ) from error


@dataclass(frozen=True)
class Rechecked:
    """A proof that holds.

    Attributes:
        checked: what was looked at.
    """

    about: About
    checked: Checked
    exact: bool
    seconds: float


def check_proof(
    file: Path, network: Path, prop: Path, *, exact: bool = False, advance: Callable[[int], None] = lambda leaves: None
) -> Rechecked:
    """Check that a file proves a property of a network; the files are read again.

    Args:
        exact: in exact numbers instead of float64 with a bound on its error.
        advance: told after every leaf how many leaves there are.

    Raises:
        ProofFileError: the file is damaged, or about other files.
        RefusedError: it does not prove the property.
    """
    began = time.monotonic()
    proof, about = read_proof(file)
    subject = Subject.of(network, prop)
    for kind, path, found, written in (
        ("network", network, subject.network, about.network), ("property", prop, subject.text, about.property),
    ):  # fmt: skip
        if found != written:
            raise ProofFileError(
                f"{file} is a proof about another {kind}: expected SHA-256 {written[:16]}..., found {found[:16]}... in "
                f"{path}; name the {kind} that it was written for"
            )
    given = load_property(prop)
    claims = claims_to_check(given.eased(about.tolerance) if about.tolerance else given)
    for claim in claims:
        if (claim.on_outputs.shape[1], len(claim.lower)) != (subject.graph.outputs, subject.graph.inputs):
            raise ProofFileError(
                f"{network} and {prop} do not fit: the network has {subject.graph.inputs} inputs and "
                f"{subject.graph.outputs} outputs; name files that belong together"
            )
    if exact and (kinds := {one.kind for one in subject.graph.activations} - {"Relu", "LeakyRelu"}):
        raise UncheckedError(f"exact numbers have no {' or '.join(sorted(kinds))}; leave --exact away")
    arithmetic = Exact() if exact else Floats()
    checked = check(subject.graph, claims, proof, arithmetic, lambda: advance(proof.leaves))
    return Rechecked(about, checked, exact, time.monotonic() - began)
