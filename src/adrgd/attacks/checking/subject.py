"""What an attack was on, as its settings say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from adrgd.attacks.task import Answer, TaskAttack
from adrgd.attacks.threat import Threat, of_box
from adrgd.defences.expected import Expected
from adrgd.errors import RunFolderError
from adrgd.models.ensemble import Ensemble
from adrgd.models.outputs import Logits
from adrgd.names import EnsembleBy, TaskName

Network = Callable[[Tensor], Tensor]

OF_CELLS = ("norm", "target", "mask", "patch")
"""What the cells of an evaluation share of a threat."""


@dataclass(frozen=True)
class Subject:
    """One attack's model, data and threat.

    Attributes:
        model, data: specs; `limit` and `offset` belong to the data.
        judge, seed: the draws that judged a random model; None for others.
        ensemble, ensemble_by: specs of other models that were attacked as one with it, and how.
        task: what was asked of a network that does not answer with one class; None for others.
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
    task: TaskAttack | None = None

    @staticmethod
    def of(config: dict[str, Any]) -> Subject | None:
        """None where they are those of something else, or of objects that have no names.

        Raises:
            RunFolderError: they are no settings of an attack, though they look like them.
        """
        if not isinstance(config.get("threat"), dict) and not isinstance(config.get("cell"), dict):
            return None
        try:
            cell = config.get("cell")
            if cell is None:
                given = config["threat"]
            else:
                shared = {name: config[name] for name in OF_CELLS if name in config}
                given = {"eps": cell["eps"], **shared, **of_box(config)}
            threat, task = Threat(**given), config.get("task")
            if task in ("classification", "binary"):
                task = None
            found = Subject(
                config["model"] if cell is None else cell["model"], config["data"], config.get("limit"),
                config.get("offset", 0), threat, config.get("eot_judge"), config.get("seed", 0),
                tuple(config.get("ensemble", ())), config.get("ensemble_by", "logits"),
                None if task is None
                else TaskAttack(task=task, threat=threat, share=config["share"], band=config["band"]),
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

    @property
    def form(self) -> TaskName:
        """Of the labels."""
        return "classification" if self.task is None else self.task.task

    def judged(self, load: Callable[[str], Network], spec: str) -> Network:
        """What said which images are broken: the network of a spec, with others, or its mean over draws."""
        if self.task is not None:
            return Answer(load(spec))
        network: Network = Logits(load(spec))
        if self.ensemble:
            network = Ensemble([network, *map(load, self.ensemble)], self.ensemble_by)
        return network if self.judge is None else Expected(network, self.judge, self.seed, "judge")
