"""From words to options: a command's own flags, and those of the solver it names."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

import tyro

from adrgd.cli.flags import RULES, flag
from adrgd.cli.known import Part, find_solver, find_step, known, solver_names
from adrgd.cli.panels import sentence
from adrgd.errors import UsageError
from adrgd.names import STANDARD

T = TypeVar("T")


@dataclass(frozen=True)
class Chosen:
    """A solver's name and its flags, before torch is there to make it.

    Attributes:
        step: another step rule than the solver's own.
        values: of the flags, by part: "own", "gates", "step".
    """

    name: str
    step: str | None
    values: dict[str, dict[str, Any]]

    def make(self) -> Any:
        """The solver, or the ensemble.

        Raises:
            UsageError: a value makes no sense.
        """
        from adrgd.attacks.standard import find_attacker
        from adrgd.solvers import STEPS

        solver: Any = find_attacker(self.name)
        changes = dict(self.values["own"])
        if "gates" in self.values:
            changes["gates"] = dataclasses.replace(solver.gates, **self.values["gates"])
            step = solver.step if self.step is None else STEPS[self.step]()
            changes["step"] = dataclasses.replace(step, **self.values["step"])
        return dataclasses.replace(solver, **changes)


def parse(
    options: type[T], argv: list[str], *, prog: str, description: str, ensemble: bool, default: str
) -> tuple[T, Chosen]:
    """Parse a command's own flags together with those of the solver it names.

    Args:
        options: a dataclass with the fields `solver: str` and `step: str | None`, among others.
        ensemble: whether `standard` can be named.
        default: the solver when none is named; that field's own default.

    Raises:
        UsageError: unknown solver, preset or step rule, or a wrong flag.
        SystemExit: help was asked for.
    """
    name, step = _peek(argv, "--solver") or default, _peek(argv, "--step")
    parts = find_solver(name, ensemble=ensemble)
    if step is not None:
        if "step" not in parts:
            raise UsageError(f"--step needs a solver with one step rule, found {name}; leave it out")
        parts["step"] = find_step(step)
    fields = [(part, f"{part}_flags", _dataclass(part, kind)) for part, kind in parts.items()]
    flat = tyro.conf.arg(name="")
    both = dataclasses.make_dataclass(
        "Options",
        [
            ("command", Annotated[options, flat]),
            *((field, Annotated[kind, flat], dataclasses.field(default=kind())) for _, field, kind in fields),
        ],
    )
    try:
        parsed = cli(both, argv, prog=prog, description=description)
    except UsageError as error:
        raise UsageError(_of_another(str(error), name, step, ensemble)) from None
    return parsed.command, Chosen(
        name, step, {part: dataclasses.asdict(getattr(parsed, field)) for part, field, _ in fields}
    )


def _dataclass(name: str, part: Part) -> Any:
    """The fields of a solver's part as tyro wants them."""
    fields: list[Any] = []
    for one in part.fields:
        field: Any = dataclasses.field(default=one.value())
        field.name = one.name
        fields.append((one.name, flag(field, one.hint(), one.words), field))
    return dataclasses.make_dataclass(f"{name.title()}Flags", fields, frozen=True, kw_only=True)


def _of_another(sentence: str, name: str, step: str | None, ensemble: bool) -> str:
    """What is said of an unknown flag that another solver or step rule has."""
    found = re.match(r"unknown option (--[^\s;]+)", sentence)
    if found is None:
        return sentence
    wanted = found[1].removeprefix("--").removeprefix("no-").replace("-", "_")
    solvers = [other for other in solver_names(ensemble=ensemble) if other != "adr:PRESET"]
    parts = {f"--solver {other}": [*find_solver(other, ensemble=ensemble).values()] for other in solvers}
    parts |= {f"--step {other}": [find_step(other)] for other in known()["steps"]}
    having = [
        other for other, found in parts.items() if any(one.name == wanted for part in found for one in part.fields)
    ]
    if not having:
        return sentence
    at = f"--solver {name}" + (f" --step {step}" if step else "")
    return f"{found[1]} is a flag of {', '.join(having)}, and not of {at}; name one that has it"


def cli(options: Any, argv: list[str], *, prog: str, description: str) -> Any:
    """tyro, with flat flag names, and one sentence instead of a panel for a wrong flag."""
    errors = io.StringIO()
    try:
        with contextlib.redirect_stderr(errors), _width(argv):
            return tyro.cli(
                options, args=argv, prog=prog, description=description, registry=RULES,
                config=(tyro.conf.OmitArgPrefixes, tyro.conf.FlagCreatePairsOff),
            )  # fmt: skip
    except SystemExit as stop:
        if stop.code:
            raise UsageError(f"{sentence(errors.getvalue())}; see {prog} --help") from None
        raise


@contextlib.contextmanager
def _width(argv: list[str]) -> Iterator[None]:
    """Errors are read as long lines, whatever the terminal is."""
    before = os.environ.get("COLUMNS")
    if not {"-h", "--help"} & set(argv):
        os.environ["COLUMNS"] = "1000"
    try:
        yield
    finally:
        os.environ.pop("COLUMNS", None)
        if before is not None:
            os.environ["COLUMNS"] = before


def positive(value: int, name: str) -> int:
    """The value of a flag that counts something.

    Raises:
        UsageError: it is below one.
    """
    if value < 1:
        raise UsageError(f"--{name} must be at least 1, found {value}")
    return value


def usable_device(name: str) -> str:
    """The name of a device that tensors can be put on.

    Raises:
        UsageError: they cannot.
    """
    import torch

    try:
        torch.zeros(1, device=name)
    except (RuntimeError, AssertionError) as error:
        raise UsageError(
            f"device {name!r} cannot be used ({str(error).splitlines()[0]}); choose another, e.g. cpu"
        ) from error
    return name


def describe(solver: Any, name: str) -> dict[str, Any]:
    """The effective configuration of a solver or an ensemble, for config.yaml and the summary."""
    if name == STANDARD or not hasattr(solver, "gates"):
        return {"name": name} | _plain(solver)
    return {
        "name": name,
        "gates": {"rule": type(solver.gates).__name__} | _plain(solver.gates),
        "step": {"rule": type(solver.step).__name__} | _plain(solver.step),
        "random_start": solver.random_start,
        "most_steps": solver.most_steps,
    }


def _plain(value: Any) -> dict[str, Any]:
    found = dataclasses.asdict(value) if dataclasses.is_dataclass(value) and not isinstance(value, type) else {}
    return {key: list(item) if isinstance(item, tuple) else item for key, item in found.items()}


def _peek(argv: list[str], flag: str) -> str | None:
    """The value of a flag, the last one if it comes several times."""
    found = None
    for word, following in zip(argv, [*argv[1:], None], strict=False):
        if word == flag:
            found = following
        elif word.startswith(flag + "="):
            found = word.partition("=")[2]
    return found
