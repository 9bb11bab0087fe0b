"""A solver's dataclass is its flags: `--solver NAME` and `--step NAME` decide which flags a command has."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import re
from collections.abc import Callable
from typing import Annotated, Any, TypeVar, get_type_hints

import torch
import tyro
from docstring_parser import parse as docs

from adrgd.domain import as_eps
from adrgd.errors import UsageError
from adrgd.solvers import STEPS, Solver

S = TypeVar("S")
T = TypeVar("T")


def parse(
    options: type[T],
    argv: list[str],
    *,
    prog: str,
    description: str,
    make: Callable[[str], S],
    default: str = "graduated",
) -> tuple[T, S]:
    """Parse a command's own flags together with those of the solver it names.

    Args:
        make: what a solver's name stands for.
        default: the solver when none is named; that field's own default.
        options: a dataclass with the fields `solver: str` and `step: str | None`, among others.

    Raises:
        UsageError: unknown solver, preset or step rule.
        SystemExit: help was asked for, or a flag is wrong (exit code 2).
    """
    solver: Any = make(_peek(argv, "--solver") or default)
    step = _peek(argv, "--step")
    if step is not None:
        if not isinstance(solver, Solver):
            raise UsageError(f"--step needs a solver with one step rule, found {_peek(argv, '--solver')}; leave it out")
        if step not in STEPS:
            raise UsageError(f"unknown step rule {step!r}; expected one of {', '.join(STEPS)}")
        solver = dataclasses.replace(solver, step=STEPS[step]())
    flags = _flags(solver)
    both = dataclasses.make_dataclass(
        "Options",
        [
            ("command", Annotated[options, tyro.conf.arg(name="")]),
            ("tuning", Annotated[flags, tyro.conf.arg(name="")], dataclasses.field(default=flags(**_values(solver)))),
        ],
    )
    parsed: Any = cli(both, argv, prog=prog, description=description)
    tuned = {field.name: getattr(parsed.tuning, field.name) for field in dataclasses.fields(flags)}
    return parsed.command, dataclasses.replace(solver, **tuned)


def cli(options: Any, argv: list[str], *, prog: str, description: str) -> Any:
    """tyro, with flat flag names, and one line instead of a panel for a wrong flag."""
    argv, errors = _decimals(argv), io.StringIO()
    try:
        with contextlib.redirect_stderr(errors):
            return tyro.cli(
                options, args=argv, prog=prog, description=description,
                config=(tyro.conf.OmitArgPrefixes, tyro.conf.FlagCreatePairsOff),
            )  # fmt: skip
    except SystemExit as stop:
        if stop.code:
            raise UsageError(_one_line(errors.getvalue()) + f"; see {prog} --help") from None
        raise


_FRACTION = re.compile(r"\d+(\.\d+)?/\d+(\.\d+)?")


def _decimals(argv: list[str]) -> list[str]:
    """Radii may be fractions: 8/255 behind --eps becomes the number."""
    found, radius = [], False
    for word in argv:
        flag, equals, value = word.partition("=")
        radius = (flag == "--eps") if word.startswith("--") else radius
        if radius and equals and _FRACTION.fullmatch(value):
            word = f"{flag}={as_eps(value)!r}"
        elif radius and _FRACTION.fullmatch(word):
            word = repr(as_eps(word))
        found.append(word)
    return found


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
    try:
        torch.zeros(1, device=name)
    except (RuntimeError, AssertionError) as error:
        raise UsageError(
            f"device {name!r} cannot be used ({str(error).splitlines()[0]}); choose another, e.g. cpu"
        ) from error
    return name


def describe(solver: Any, name: str) -> dict[str, Any]:
    """The effective configuration of a solver or an ensemble, for config.yaml and the summary."""
    if not isinstance(solver, Solver):
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


def _values(solver: Any) -> dict[str, Any]:
    return {
        field.name: getattr(solver, field.name) for field in dataclasses.fields(solver) if field.name != "most_steps"
    }


def _flags(solver: Any) -> Any:
    """The solver's dataclass with `gates` and `step` narrowed to its own rules, so that their fields become flags."""
    hints = get_type_hints(type(solver))
    # the words about a field stand with the class that it comes from, where tyro does not look
    words = {
        part.arg_name: part.description for kind in type(solver).__mro__ for part in docs(kind.__doc__ or "").params
    }
    fields: list[Any] = []
    for name, value in _values(solver).items():
        inner = name in ("gates", "step")
        found = tyro.conf.arg(name="") if inner else tyro.conf.arg(help=words.get(name))
        kind: Any = Annotated[type(value) if inner else hints[name], found]
        fields.append((name, kind, dataclasses.field(default=value)))
    made = dataclasses.make_dataclass("Tuning", fields, frozen=True, kw_only=True)
    made.__doc__ = type(solver).__doc__
    return made


def _peek(argv: list[str], flag: str) -> str | None:
    for at, word in enumerate(argv):
        if word == flag and at + 1 < len(argv):
            return argv[at + 1]
        if word.startswith(flag + "="):
            return word.partition("=")[2]
    return None


def _one_line(panel: str) -> str:
    """The words of tyro's framed error, without the frame and without its hints on further reading."""
    words: list[str] = []
    for line in panel.splitlines():
        line = line.strip("│╭╮╰╯─ \t")
        if line.startswith("For full helptext"):
            break
        if line and line not in ("Parsing error", "Required options", "Unrecognized options"):
            words.append(line)
    return " ".join(" ".join(words).replace("Unrecognized options:", "unknown option:").split()).rstrip(".")
