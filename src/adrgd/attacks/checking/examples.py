"""The examples that an attack has saved, looked at once more: with the images, the ball and the box, and the network.

All of it is done in single and in double precision. What depends on rounding is said, and is no fault.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow.parquet as pq
import torch
from safetensors.torch import load_file
from torch import Tensor

from adrgd.attacks.checking.found import ROUNDED, Examples, Faults
from adrgd.attacks.checking.verdicts import Network, Table, Verdict, of_classes, of_task
from adrgd.attacks.run_folder import ADVERSARIAL, RESULTS
from adrgd.attacks.task import TaskAttack
from adrgd.attacks.threat import Threat
from adrgd.data import Images
from adrgd.errors import RunFolderError

COLUMNS = ("index", "success")
OTHERS = ("label", "target", "distance")  # of attacks on classes; those of earlier versions have no distance
BATCH = 128


def check_examples(
    folder: Path,
    threat: Threat,
    images: Images,
    single: Network,
    double: Network | None,
    advance: Callable[[int], None] | None = None,
    task: TaskAttack | None = None,
) -> Examples:
    """Look at every example of a finished attack, or of the batches that a stopped one has finished.

    Args:
        single, double: the network in float32 and float64, where it has the latter.
        advance: told the number of images of each batch.
        task: what was asked, if the network does not answer with one class.

    Raises:
        RunFolderError: a file cannot be read.
    """
    found, faults = Examples(), Faults("examples")
    place = {int(index): row for row, index in enumerate(images.index)}
    for table, x in _saved(folder, () if task is not None else OTHERS[:2]):
        rows = [place.get(int(index), -1) for index in table["index"]]
        if len(rows) != len(x) or x.shape[1:] != images.images.shape[1:]:
            raise RunFolderError(f"{folder}: the examples do not belong to its table, or not to these images")
        for start in range(0, len(rows), BATCH):
            part = slice(start, start + BATCH)
            batch = {name: column[part] for name, column in table.items()}
            at = torch.tensor(rows)[part]
            _look(batch, x[part], images, at, threat, single, double, task, faults)
            if advance is not None:
                advance(len(batch["index"]))
        found.images += len(rows)
        found.broken += int(table["success"].sum())
    faults.into(found)
    return found


def _look(
    batch: Table,
    x: Tensor,
    images: Images,
    at: Tensor,
    threat: Threat,
    single: Network,
    double: Network | None,
    task: TaskAttack | None,
    faults: Faults,
) -> None:
    def fault(what: str, rows: Tensor) -> None:
        faults.add(what, batch["index"], rows)

    known = at >= 0
    fault("are of images that the data does not hold", ~known)
    clean, labels = threat.clip(images.images[at]), images.labels[at]
    if task is None:
        fault("are of images with other labels", known & (labels != batch["label"]))
    outside = ~inside(threat, clean, x)
    fault("lie outside their ball or box", known & outside)
    if "distance" in batch:
        off = (threat.distance(x, clean) - batch["distance"]).abs() > 1e-6 * (1 + batch["distance"].abs())
        fault("have another distance than was recorded", known & batch["success"] & off)
    for network, points, name in ((single, x, "float32"), (double, x.double(), "float64")):
        if network is None:
            continue
        found = of_classes(network, points, batch) if task is None else of_task(task, network, points, labels)
        fault(f"have {'logits' if task is None else 'outputs'} that are not finite in {name}", ~found.finite)
        compare(found, batch["success"], name, fault)


def compare(found: Verdict, recorded: Tensor, name: str, fault: Callable[[str, Tensor], None]) -> None:
    """What is judged otherwise than it was recorded (B,), in a precision of this name."""
    other = found.finite & (found.broken != recorded)
    fault(f"recorded as broken are not so in {name}", other & found.sure & recorded)
    fault(f"recorded as standing are broken in {name}", other & found.sure & ~recorded)
    fault(f"are judged otherwise in {name}, by a hair: that is {ROUNDED}", other & ~found.sure)


def inside(threat: Threat, clean: Tensor, x: Tensor) -> Tensor:
    """(B,) whether x lies in the ball and the box, in both precisions."""
    bound, exact = threat.around(clean), threat.around(clean.double())
    return bound.bind(clean).contains(x) & exact.bind(clean.double()).contains(x.double())


def _saved(folder: Path, needed: tuple[str, ...]) -> Iterator[tuple[Table, Tensor]]:
    """The table and the inputs of the whole attack, or of each batch that is finished."""
    pairs = [(folder / RESULTS, folder / ADVERSARIAL)]
    if not pairs[0][0].exists():
        parts = sorted((folder / "parts").glob("*.parquet"))
        pairs = [(part, part.with_suffix(".safetensors")) for part in parts]
    for table, tensors in pairs:
        try:
            columns = pq.read_table(table)
            columns = columns.select(
                [name for name in COLUMNS + OTHERS if name in (*COLUMNS, *needed) or name in columns.column_names]
            )
            rows = {name: torch.from_numpy(columns[name].to_numpy().copy()) for name in columns.column_names}
            x = load_file(tensors)["adversarial"]
        except Exception as error:  # each format has errors of its own
            raise RunFolderError(f"{table} or {tensors.name} cannot be read ({type(error).__name__})") from error
        yield rows, x
