"""The certificates that a run has saved: whether they agree with its examples, and whether what proofs broke is broken.

Proofs are not made again: that takes as long as it took.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import torch

from adrgd.attacks.certify import CERTIFICATES
from adrgd.attacks.checking.examples import inside
from adrgd.attacks.checking.found import Examples, Faults
from adrgd.attacks.checking.verdicts import Network, of_classes
from adrgd.attacks.run_folder import RESULTS
from adrgd.attacks.threat import Threat
from adrgd.data import Images
from adrgd.errors import RunFolderError


def check_certificates(folder: Path, threat: Threat, images: Images, network: Network, found: Examples) -> None:
    """Look at certificates.parquet, if there is one.

    Args:
        network: in float32.

    Raises:
        RunFolderError: a file cannot be read.
    """
    file = folder / CERTIFICATES
    if not file.exists():
        return
    try:
        rows = pq.read_table(file).to_pylist()
        broken = _broken(folder)
    except Exception as error:  # each format has errors of its own
        raise RunFolderError(f"{file} cannot be read ({type(error).__name__})") from error
    faults = Faults("certificates")
    index = torch.tensor([row["index"] for row in rows])
    verdict = [row["verdict"] for row in rows]
    certified = torch.tensor([word == "certified" for word in verdict])
    hit = torch.tensor([broken.get(int(one), False) for one in index])
    by_proof = torch.tensor([bool(row["adversarial"]) for row in rows])
    faults.add("are of images that the attack has broken", index, certified & hit)
    faults.add("hold an example and call the image certified", index, certified & by_proof)
    said = torch.tensor([word == "broken" for word in verdict])
    faults.add("call an image broken without an example", index, said & ~hit & ~by_proof if broken else said & False)
    _examples(rows, threat, images, network, broken, faults)
    faults.into(found)
    if count := int((certified & ~by_proof).sum()):
        found.notes.append(f"{count} images are certified; proofs are not made again here")


def _broken(folder: Path) -> dict[int, bool]:
    """What the attack of the same folder has recorded, if it has one."""
    if not (folder / RESULTS).exists():
        return {}
    table = pq.read_table(folder / RESULTS, columns=["index", "success"])
    return dict(zip(table["index"].to_pylist(), table["success"].to_pylist(), strict=True))


def _examples(
    rows: list[dict[str, Any]], threat: Threat, images: Images, network: Network, attacked: dict[int, bool],
    faults: Faults,
) -> None:  # fmt: skip
    """See that the examples which proofs came upon lie inside, and break the network."""
    place = {int(index): row for row, index in enumerate(images.index)}
    for row in rows:
        if not row["adversarial"] or row["index"] not in place:
            continue
        at = place[row["index"]]
        clean, index = threat.clip(images.images[at : at + 1]), images.index[at : at + 1]
        if len(row["adversarial"]) != clean.numel():
            raise RunFolderError("the examples in the certificates are not of these images; check the data")
        x = torch.tensor(row["adversarial"], dtype=clean.dtype).view_as(clean)
        faults.add("hold an example outside its ball or box", index, ~inside(threat, clean, x))
        label = images.labels[at : at + 1]
        with torch.no_grad():
            target = threat.targets(label, network(clean), index, 0)
        one = {"label": label, "target": torch.full_like(label, -1) if target is None else target}
        judged = of_classes(network, x, one)
        faults.add("hold an example that does not break the network", index, ~judged.broken & judged.sure)
