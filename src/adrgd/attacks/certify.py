"""Certified images: a proof that no perturbation of the allowed size breaks them, by the bounds of `adrgd.proof`.

With what an attack broke, every image is then broken, certified, or undecided: the robust accuracy lies between the
share of certified images and that of images that were not broken.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor, nn

from adrgd.attacks.refutable import claims_of, network_of
from adrgd.attacks.run_folder import RunFolder
from adrgd.attacks.threat import Threat
from adrgd.bounds.network import Network
from adrgd.data import Images
from adrgd.errors import UsageError
from adrgd.files.reading import read_bytes, read_json, read_record, read_table
from adrgd.proof.attempt import Attempt

CERTIFICATES = "certificates.parquet"

Word = Literal["broken", "certified", "undecided"]
NORMS = ("linf", "l2", "l1")
WORDS: tuple[Word, ...] = ("broken", "certified", "undecided")


@dataclass(frozen=True)
class Certificate:
    """What is known of one image.

    Attributes:
        index: its place in the data set.
        verdict: "certified" where no allowed perturbation changes its class (or leads to the target).
        seconds, nodes: of the proof; parts of the ball that were bounded.
        proven: the share of the ball, over all other classes, for which there is a proof.
        reason: why there was no proof, beside the time; empty otherwise.
        adversarial: the pixels of a perturbed image that the proof came upon and that breaks the model.
    """

    index: int
    verdict: str
    seconds: float = 0.0
    nodes: int = 0
    proven: float = 0.0
    reason: str = ""
    adversarial: list[float] = field(default_factory=list)


def check_certifiable(threat: Threat, seconds: float) -> None:
    """See that there are certificates for a threat.

    Raises:
        UsageError: its norm is none of linf, l2 and l1, or the seconds are none.
    """
    if threat.norm not in NORMS:
        raise UsageError(
            f"certificates are for the norms {', '.join(NORMS)}, found {threat.norm}; leave --certify away"
        )
    if threat.mask is not None or threat.patch is not None:
        raise UsageError("certificates are for changes of all pixels; leave --certify away, or the mask and the patch")
    if not 0 < seconds < float("inf"):
        raise UsageError(f"--certify takes a positive number of seconds an image, found {seconds:g}")


class Certifier:
    """Certifies images of one model in a threat model.

    A proof is about the model in exact arithmetic; an image that it comes upon has to break the model as it runs.

    Args:
        model: takes images (B, ...) and returns logits; in eval mode.
        threat: its norm is linf, l2 or l1.
    """

    def __init__(self, model: nn.Module, threat: Threat) -> None:
        self.model, self.threat = model, threat
        self.example: Tensor | None = None

    def certify(self, image: Tensor, label: int, *, target: int | None = None, seconds: float = 60.0) -> Certificate:
        """Certify one image (...) whose class is `label`, for a number of seconds.

        Raises:
            UsageError: there are no certificates in the threat's norm.
        """
        check_certifiable(self.threat, seconds)
        self.example = image
        found: list[Tensor] = []

        def accept(x: Tensor) -> bool:
            inside = self.threat.around(image[None]).bind(image[None]).project(x.view(1, *image.shape).to(image))
            with torch.no_grad():
                predicted = int(self.model(inside)[0].argmax())
            if predicted == target if target is not None else predicted != label:
                found.append(inside[0])
            return bool(found)

        proof = Attempt(
            lambda: self.network, lambda: claims_of(self.network.outputs, self.threat, image, label, target), accept
        )
        proof.run(time.monotonic() + seconds)
        word: Word = "broken" if found else "certified" if proof.outcome.proven else "undecided"
        return Certificate(
            -1, word, proof.seconds, proof.outcome.nodes, min(1.0, proof.outcome.share), proof.reason,
            found[0].flatten().tolist() if found else [],
        )  # fmt: skip

    @cached_property
    def network(self) -> Network:
        """The model as its bounds see it."""
        if self.example is None:
            raise UsageError("a network is read with the first image; certify one")
        return network_of(self.model, self.example)


def certify_run(
    model: nn.Module,
    images: Images,
    folder: RunFolder,
    threat: Threat,
    *,
    seconds: float,
    advance: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Certify the images of a finished run that stand, one by one, and say how many are broken, certified, undecided.

    Each certificate is kept at once, so that a run which was stopped goes on with the next image.

    Args:
        advance: told how many images are done, and how many of them are certified.
    """
    table = folder.results()
    broken = table["success"]
    before = table.get("certified", np.zeros_like(broken))
    rows = certify_images(
        model, images, folder, threat, broken=broken, before=before, targets=table["target"], seconds=seconds,
        advance=advance,
    )  # fmt: skip
    return figures(rows, seconds)


def certify_images(
    model: nn.Module, images: Images, folder: RunFolder, threat: Threat, *, broken: Any, before: Any, targets: Any,
    seconds: float, advance: Callable[[int, int], None] | None = None,
) -> list[dict[str, Any]]:  # fmt: skip
    """Certify the images that stand, one by one, into a folder; a row for each image.

    Args:
        broken, before: (images,) whether an attack broke it; whether it was certified in another way.
        targets: (images,) the class that each is to be turned into, or -1.
    """
    before_this = folder.read(CERTIFICATES, read_table).to_pylist() if folder.has(CERTIFICATES) else []
    tried = {row["index"]: Certificate(**row) for row in before_this if row["seconds"] > 0}
    certifier, certified, rows = Certifier(model, threat), 0, []
    for k in range(len(images)):
        name, index = _part(k), int(images.index[k])
        if broken[k]:
            one = Certificate(index, "broken")
        elif before[k]:
            one = Certificate(index, "certified", proven=1.0)
        elif index in tried:
            one = tried[index]
        elif folder.has(name):
            one = folder.read(name, _read)
        else:
            target = int(targets[k]) if targets[k] >= 0 else None
            found = certifier.certify(images.images[k], int(images.labels[k]), target=target, seconds=seconds)
            one = replace(found, index=index)
            folder.write_text(name, json.dumps(asdict(one)) + "\n")
        rows.append(asdict(one))
        certified += one.verdict == "certified"
        if advance is not None:
            advance(k + 1, certified)
    if rows != before_this:
        with folder.write(CERTIFICATES) as stream:
            pq.write_table(pa.Table.from_pylist(rows), stream)
    folder.remove([_part(k) for k in range(len(images)) if folder.has(_part(k))])
    return rows


def figures(rows: list[dict[str, Any]], seconds: float) -> dict[str, Any]:
    """Counts of all verdicts, the bounds that they give, and the reasons of those that are missing."""
    counts: dict[str, int] = {word: sum(row["verdict"] == word for row in rows) for word in WORDS}
    reasons = sorted({row["reason"] for row in rows if row["reason"] and row["verdict"] == "undecided"})
    return {
        "seconds_an_image": seconds, **counts,
        "robust_accuracy_at_least": counts["certified"] / len(rows),
        "robust_accuracy_at_most": 1 - counts["broken"] / len(rows),
        "broken_by_the_proof": sum(bool(row["adversarial"]) for row in rows),
        "seconds": round(sum(row["seconds"] for row in rows), 3), "reasons": reasons,
    }  # fmt: skip


def _part(k: int) -> str:
    return f"parts/certificate-{k:08d}.json"


def _read(file: Path) -> Certificate:
    return read_record(Certificate, read_json(read_bytes(file, "text")))
