"""The examples that an attack has saved, looked at once more: with the images, the ball and the box, and the network.

All of it is done in single and in double precision. What depends on rounding is said, and is no fault.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import torch
from safetensors.torch import load_file
from torch import Tensor

from adrgd.attacks.case import ROUNDING
from adrgd.attacks.run_folder import ADVERSARIAL, RESULTS
from adrgd.attacks.threat import Threat, of_box
from adrgd.data import Images
from adrgd.defences.expected import Expected
from adrgd.errors import RunFolderError
from adrgd.models.ensemble import Ensemble
from adrgd.names import EnsembleBy
from adrgd.objective import asked, margin, targeted_margin

Network = Callable[[Tensor], Tensor]

COLUMNS = ("index", "label", "target", "success", "distance")
BATCH = 128
NAMED = 5  # images that a sentence names


@dataclass
class Examples:
    """What was found in one attack's folder.

    Attributes:
        images: how many were looked at.
        broken: how many of them the attack has recorded as broken.
        findings: what is wrong, in sentences.
        notes: what depends on rounding, or could not be done.
    """

    images: int = 0
    broken: int = 0
    findings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Subject:
    """What an attack was on, as its settings say.

    Attributes:
        model, data: specs; `limit` and `offset` belong to the data.
        judge, seed: the draws that judged a random model; None for others.
        ensemble, ensemble_by: specs of other models that were attacked as one with it, and how.
    """

    model: str
    data: str
    limit: int | None
    offset: int
    threat: Threat
    judge: int | None = None
    seed: int = 0
    ensemble: tuple[str, ...] = ()
    ensemble_by: EnsembleBy = "logits"

    @staticmethod
    def of(config: dict[str, Any]) -> Subject | None:
        """None where they are those of something else, or of objects that have no names.

        Raises:
            RunFolderError: they are no settings of an attack, though they look like them.
        """
        if "task" in config:
            return None  # whose labels are no classes
        if not isinstance(config.get("threat"), dict) and not isinstance(config.get("cell"), dict):
            return None
        try:
            cell = config.get("cell")
            given = (
                config["threat"]
                if cell is None
                else {"eps": cell["eps"], **{k: config[k] for k in ("norm", "target")}, **of_box(config)}
            )
            found = Subject(
                config["model"] if cell is None else cell["model"], config["data"], config.get("limit"),
                config.get("offset", 0), Threat(**given), config.get("eot_judge"), config.get("seed", 0),
                tuple(config.get("ensemble", ())), config.get("ensemble_by", "logits"),
            )  # fmt: skip
        except (KeyError, TypeError, ValueError) as error:
            raise RunFolderError(
                f"the settings are no attack's ({type(error).__name__}: {error}); check them"
            ) from error
        right = isinstance(found.model, str) and isinstance(found.data, str) and isinstance(found.offset, int)
        right = right and isinstance(found.judge, int | None) and isinstance(found.seed, int)
        if not right or not isinstance(found.limit, int | None):
            raise RunFolderError("the settings are no attack's: expected names of a model and of data; check them")
        return found

    def judged(self, load: Callable[[str], Network], spec: str) -> Network:
        """What said which images are broken: the network of a spec, with others, or its mean over draws."""
        network = load(spec)
        if self.ensemble:
            network = Ensemble([network, *map(load, self.ensemble)], self.ensemble_by)
        return network if self.judge is None else Expected(network, self.judge, self.seed, "judge")


def check_examples(
    folder: Path,
    threat: Threat,
    images: Images,
    single: Network,
    double: Network | None,
    advance: Callable[[int], None] | None = None,
) -> Examples:
    """Look at every example of a finished attack, or of the batches that a stopped one has finished.

    Args:
        single, double: the network in float32 and float64, where it has the latter.
        advance: told the number of images of each batch.

    Raises:
        RunFolderError: a file cannot be read.
    """
    found = Examples()
    place = {int(index): row for row, index in enumerate(images.index)}
    faults: dict[str, list[int]] = {}
    for table, x in _saved(folder):
        rows = [place.get(int(index), -1) for index in table["index"]]
        if len(rows) != len(x) or x.shape[1:] != images.images.shape[1:]:
            raise RunFolderError(f"{folder}: the examples do not belong to its table, or not to these images")
        for start in range(0, len(rows), BATCH):
            part = slice(start, start + BATCH)
            batch = {name: column[part] for name, column in table.items()}
            at = torch.tensor(rows)[part]
            _look(batch, x[part], images, at, threat, single, double, faults)
            if advance is not None:
                advance(len(batch["index"]))
        found.images += len(rows)
        found.broken += int(table["success"].sum())
    for what, indices in faults.items():
        note = what.endswith("rounding")
        (found.notes if note else found.findings).append(f"{len(indices)} examples {what} (images {_named(indices)})")
    return found


def _look(
    batch: dict[str, Tensor],
    x: Tensor,
    images: Images,
    at: Tensor,
    threat: Threat,
    single: Network,
    double: Network | None,
    faults: dict[str, list[int]],
) -> None:
    def fault(what: str, rows: Tensor) -> None:
        if rows.any():
            faults.setdefault(what, []).extend(batch["index"][rows].tolist())

    known = at >= 0
    fault("are of images that the data does not hold", ~known)
    clean, labels = threat.clip(images.images[at]), images.labels[at]
    fault("are of images with other labels", known & (labels != batch["label"]))
    bound, exact = threat.around(clean), threat.around(clean.double())
    inside = bound.bind(clean).contains(x) & exact.bind(clean.double()).contains(x.double())
    fault("lie outside their ball or box", known & ~inside)
    if "distance" in batch:
        off = (threat.distance(x, clean) - batch["distance"]).abs() > 1e-6 * (1 + batch["distance"].abs())
        fault("have another distance than was recorded", known & batch["success"] & off)
    for network, points, name in ((single, x, "float32"), (double, x.double(), "float64")):
        if network is None:
            continue
        with torch.no_grad():
            aimed = batch["target"] >= 0
            goal = torch.where(aimed, batch["target"], batch["label"])
            logits = asked(network, points, goal, targeted=bool(aimed.any()))
        finite = logits.isfinite().all(1)
        fault(f"have logits that are not finite in {name}", ~finite)
        sure, broken = _judged(logits, batch)
        other = finite & (broken != batch["success"])
        fault(f"recorded as broken are not so in {name}", other & sure & batch["success"])
        fault(f"recorded as standing are broken in {name}", other & sure & ~batch["success"])
        fault(f"are judged otherwise in {name}, by a hair: that is rounding", other & ~sure)


def _judged(logits: Tensor, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """(B,) whether the judgement is more than rounding, and (B,) whether the example is broken."""
    label, target = batch["label"], batch["target"]
    aimed = target >= 0
    by = torch.where(aimed, targeted_margin(logits, target.clamp_min(0)), margin(logits, label))
    broken = torch.where(aimed, logits.argmax(1) == target, logits.argmax(1) != label)
    return by.abs() > ROUNDING * logits.abs().amax(1), broken


def _saved(folder: Path) -> Iterator[tuple[dict[str, Tensor], Tensor]]:
    """The table and the inputs of the whole attack, or of each batch that is finished."""
    pairs = [(folder / RESULTS, folder / ADVERSARIAL)]
    if not pairs[0][0].exists():
        parts = sorted((folder / "parts").glob("*.parquet"))
        pairs = [(part, part.with_suffix(".safetensors")) for part in parts]
    for table, tensors in pairs:
        try:
            columns = pq.read_table(table)
            columns = columns.select([name for name in COLUMNS if name != "distance" or name in columns.column_names])
            rows = {name: torch.from_numpy(columns[name].to_numpy().copy()) for name in columns.column_names}
            x = load_file(tensors)["adversarial"]
        except Exception as error:  # each format has errors of its own
            raise RunFolderError(f"{table} or {tensors.name} cannot be read ({type(error).__name__})") from error
        yield rows, x


def _named(indices: list[int]) -> str:
    more = f" and {len(indices) - NAMED} more" if len(indices) > NAMED else ""
    return ", ".join(map(str, indices[:NAMED])) + more
