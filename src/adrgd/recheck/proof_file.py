"""The file of a proof: safetensors, whose note says which files it is about.

note "adrgd-proof"     JSON: the format, SHA-256 of the network's and the property's content (unpacked, where they
                       end in .gz), the tolerance, sizes, and SHA-256 of everything below
splits, at, rows, slopes_of, slopes, weights
                       as in `adrgd.recheck.proof.Proof`
bounds.BOX.LAYER.neurons, bounds.BOX.LAYER.slopes
                       slopes of the bounds of a layer's neurons over a box
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from adrgd.files import reading, write_with
from adrgd.recheck.arithmetic import Array
from adrgd.recheck.errors import ProofFileError
from adrgd.recheck.proof import Proof

FORMAT = 1
NOTE = "adrgd-proof"
KINDS = {
    "splits": "int32", "at": "float64", "rows": "float64", "slopes_of": "int32", "slopes": "uint16",
    "weights": "float32",
}  # fmt: skip
PARTS = {"neurons": "int32", "slopes": "uint16"}


@dataclass(frozen=True)
class About:
    """What a proof is about.

    Attributes:
        network, property: SHA-256 of the contents.
        tolerance: by which boxes were widened and constraints eased.
        content: SHA-256 of the arrays.
    """

    format: int
    adrgd: str
    network: str
    property: str
    tolerance: float
    inputs: int
    outputs: int
    neurons: list[int]
    cases: int
    leaves: int
    content: str


def digest(content: bytes) -> str:
    """SHA-256, in hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def write_proof(path: Path, proof: Proof, about: Mapping[str, Any]) -> About:
    """Write a proof; `about` lacks what the proof itself says."""
    import safetensors.numpy

    arrays = _arrays(proof)
    note = About(**about, format=FORMAT, leaves=proof.leaves, content=_sum(arrays))
    metadata = {NOTE: json.dumps(asdict(note))}
    write_with(path, lambda file: file.write_bytes(safetensors.numpy.save(arrays, metadata=metadata)))
    return note


def is_proof(head: bytes) -> bool:
    """Whether a file that begins so is one of these."""
    return f'"{NOTE}"'.encode() in head[:400]


def read_proof(path: Path) -> tuple[Proof, About]:
    """A proof and what it says it is about.

    Raises:
        ProofFileError: it cannot be read, or is not as it was written.
    """
    import safetensors.numpy
    from safetensors import SafetensorError

    try:
        content = reading.read_bytes(path, "arrays")
        arrays = safetensors.numpy.load(content)
        (length,) = struct.unpack("<Q", content[:8])
        note = json.loads(content[8 : 8 + length]).get("__metadata__", {})[NOTE]
        about = reading.read_record(About, reading.read_json(note))
        if about.format != FORMAT:
            raise ValueError(f"it has format {about.format}, and {FORMAT} is known here")
        proof = _proof(arrays)
    except (OSError, ValueError, TypeError, LookupError, SafetensorError, struct.error) as error:
        reason = f"{type(error).__name__} {error}" if isinstance(error, LookupError) else str(error)
        raise ProofFileError(
            f"expected a proof of adrgd falsify --proof at {str(path)!r}, found: {reason}; write it again"
        ) from error
    if _sum(arrays) != about.content:
        raise ProofFileError(f"{path} is not as it was written: its content has another checksum; write it again")
    return proof, about


def _arrays(proof: Proof) -> dict[str, Array]:
    arrays = {name: np.ascontiguousarray(getattr(proof, name), dtype=kind) for name, kind in KINDS.items()}
    for box, table in proof.bounds.items():
        for layer, pair in table.items():
            for (part, kind), array in zip(PARTS.items(), pair, strict=True):
                arrays[f"bounds.{box}.{layer}.{part}"] = np.ascontiguousarray(array, dtype=kind)
    return arrays


def _proof(arrays: dict[str, Array]) -> Proof:
    kinds = dict(KINDS)
    found: dict[int, dict[int, dict[str, Array]]] = {}
    for name, array in arrays.items():
        if name.startswith("bounds."):
            _, box, layer, part = name.split(".")
            kinds[name] = PARTS[part]
            found.setdefault(int(box), {}).setdefault(int(layer), {})[part] = array
    for name, kind in kinds.items():
        if str(arrays[name].dtype) != kind:
            raise ValueError(f"{name} holds {arrays[name].dtype}, and {kind} is expected")
    if unknown := arrays.keys() - kinds.keys():
        raise ValueError(f"it holds {sorted(unknown)[0]!r} too, which is no part of a proof")
    bounds = {
        box: {layer: (pair["neurons"], pair["slopes"]) for layer, pair in table.items()} for box, table in found.items()
    }
    return Proof(**{name: arrays[name] for name in KINDS}, bounds=bounds)


def _sum(arrays: Mapping[str, Array]) -> str:
    total = hashlib.sha256()
    for name in sorted(arrays):
        total.update(f"{name} {arrays[name].dtype} {arrays[name].shape}\n".encode())
        total.update(np.ascontiguousarray(arrays[name]).tobytes())
    return total.hexdigest()
