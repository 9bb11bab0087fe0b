"""What takes part in an evaluation: our own solvers, and plain random noise to compare them with."""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass
from typing import Any, Protocol

import torch

from adrgd.attacks.case import Case
from adrgd.attacks.ensemble.standard import Standard, find_attacker
from adrgd.attacks.evaluate import Attack, AttackResult, attack_batch
from adrgd.attacks.matrix.judge import Checked, checked, judge
from adrgd.defences.expected import Expected, passes_of
from adrgd.errors import UsageError
from adrgd.names import STANDARD
from adrgd.objective import Score, better, find_loss
from adrgd.rows import RowRandom, column
from adrgd.specs import join_spec, parse_value, split_spec

NOISE = "noise"


class Entrant(Protocol):
    """One attack of an evaluation.

    Attributes:
        name: unique in an evaluation.
        loss: the loss by which the inputs found are compared.
        seed: of all randomness.
    """

    @property
    def name(self) -> str: ...

    @property
    def loss(self) -> str: ...

    @property
    def seed(self) -> int: ...

    def settings(self) -> dict[str, Any]:
        """Everything that decides its results, for the file beside them."""

    def __call__(self, case: Case) -> Checked:
        """Attack one batch."""


@dataclass(frozen=True, kw_only=True)
class Own:
    """A solver of this package; the attack's threat is replaced by each case's own."""

    name: str
    attack: Attack

    @staticmethod
    def named(spec: str, defaults: Attack, *, step: str | None = None) -> Own:
        """A solver of `adrgd list`, with `?steps=N`, `?restarts=N`, `?loss=NAME` or its own fields where it differs.

        "standard" takes `?budget=N` and its like and `?loss=NAME`; steps, restarts and step rules of the others do not
        concern it.

        Args:
            step: the step rule of all that do not name one; their own unless given.

        Raises:
            UsageError: unknown solver or key, or a value that makes no sense.
        """
        name, query = split_spec(spec, error=UsageError)
        own = name == STANDARD
        keys = [key for key in (("loss",) if own else ("loss", "steps", "restarts")) if key in query]
        given: dict[str, Any] = {key: parse_value(query.pop(key)) for key in keys}
        for key in ("steps", "restarts"):
            if key in given and (type(given[key]) is not int or given[key] < 1):
                raise UsageError(f"expected {key} of at least 1 in {spec!r}, found {given[key]}; correct it")
        if own:
            given = {"steps": 100, "restarts": 1, "stop_at_success": True} | given
        elif step is not None:
            query.setdefault("step", step)
        solver = find_attacker(join_spec(name, query))
        return Own(name=spec, attack=dataclasses.replace(defaults, solver=solver, **given))

    @property
    def loss(self) -> str:
        return self.attack.loss

    @property
    def seed(self) -> int:
        return self.attack.seed

    def settings(self) -> dict[str, Any]:
        found = {field.name: getattr(self.attack, field.name) for field in dataclasses.fields(self.attack)}
        return {name: value for name, value in found.items() if name not in ("threat", "solver")} | {
            "solver": repr(self.attack.solver)
        }

    def __call__(self, case: Case) -> Checked:
        attack, model = dataclasses.replace(self.attack, threat=case.threat), case.model
        if attack.eot is not None and isinstance(model, Expected):
            model = model.model  # draws of its own, from its own seed
        return self.judged(case, attack_batch(model, case.clean, case.labels, attack, index=case.index, check=False))

    def judged(self, case: Case, result: AttackResult) -> Checked:
        """What was found of a case, by whoever worked on it, after it was looked at again."""
        attack = self.attack
        verdict = judge(case, result.adversarial, result.success)
        fields = {field.name: getattr(result, field.name) for field in dataclasses.fields(result)}
        spent = result.forward_passes + result.backward_passes
        if not isinstance(attack.solver, Standard) and not attack.stop_at_success and attack.restarts == 1:
            steps = min(attack.steps, attack.solver.most_steps or attack.steps)
            spent = (spent * (result.first_success + 1) / (steps + 1)).ceil().long()
        return Checked(
            **fields, outside=verdict.outside, unconfirmed=verdict.unconfirmed,
            silent=torch.zeros_like(result.success), broken_after=torch.where(result.success, spent, -1),
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Noise:
    """The best of a number of random inputs: half of them anywhere in the ball, half of them at its rim."""

    points: int = 100
    loss: str = "cross-entropy"
    seed: int = 0

    def __post_init__(self) -> None:
        find_loss(self.loss, targeted=False)

    @property
    def name(self) -> str:
        return NOISE

    def settings(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    def __call__(self, case: Case) -> Checked:
        began = time.perf_counter()
        clean, count = case.clean, len(case.clean)
        domain = case.threat.around(clean).bind(clean)
        random = RowRandom.seeded(self.seed, case.index.to(clean.device))
        x, best = clean, Score(case.loss(case.logits, case.goal), case.broken(case.logits.argmax(1)))
        first, everyone = torch.where(best.reached, 0, -1), torch.arange(count, device=clean.device)
        history = [best.value]
        for k in range(self.points):
            if k % 2:
                label = f"noise {k}"
                trial = domain.sample(random, label)
            else:
                direction = random.normal(tuple(clean.shape[1:]), "rim", k, clean.dtype)
                trial = domain.project(clean + domain.steepest(direction, clean))
            with torch.no_grad():
                logits = case.answer(trial, everyone)
            score = Score(case.loss(logits, case.goal), case.broken(logits.argmax(1)))
            first = torch.where(score.reached & (first < 0), k + 1, first)
            improved = better(score, best)
            x = torch.where(column(improved, clean), trial, x)
            best = Score(torch.where(improved, score.value, best.value), best.reached | score.reached)
            history.append(torch.maximum(score.value, history[-1]))
        passes = torch.full((count,), self.points * passes_of(case.model), device=clean.device)
        return checked(
            case, judge(case, x, best.reached), forwards=passes, backwards=torch.zeros_like(passes),
            seconds=time.perf_counter() - began, first_success=first, broken_after=first,
            silent=torch.zeros_like(best.reached), history=torch.stack(history, 1),
        )  # fmt: skip
