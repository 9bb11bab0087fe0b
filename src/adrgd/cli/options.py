"""From words to options: a command's own flags, and those of the solver it names."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

import tyro

from adrgd.cli.flags import RULES, flag
from adrgd.cli.known import Part, find_solver, find_step, known, solver_names
from adrgd.cli.panels import sentence
from adrgd.cli.positional import positionals
from adrgd.deprecation import say_renamed
from adrgd.errors import UsageError
from adrgd.specs import split_spec

T = TypeVar("T")

GOES = "0.3"  # the version in which old names of flags go

DEVICE = re.compile(r"auto|cpu|mps|(cuda|xpu)(:\d+)?")


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
        from adrgd.attacks.ensemble.standard import find_attacker
        from adrgd.solvers import make_step

        solver: Any = find_attacker(self.name)
        changes = dict(self.values["own"])
        if "gates" in self.values:
            changes["gates"] = dataclasses.replace(solver.gates, **self.values["gates"])
            step: Any = solver.step if self.step is None else make_step(self.step)
            changes["step"] = dataclasses.replace(step, **self.values["step"])
        return dataclasses.replace(solver, **changes)


def parse(
    options: type[T], argv: list[str], *, prog: str, description: str, ensemble: bool, default: str,
    renamed: Mapping[str, str] | None = None,
) -> tuple[T, Chosen]:  # fmt: skip
    """Parse a command's own flags together with those of the solver it names.

    Args:
        options: a dataclass with the fields `solver: str` and `step: str | None`, among others.
        ensemble: whether `standard` can be named.
        default: the solver when none is named; that field's own default.

    Raises:
        UsageError: unknown solver, preset or step rule, or a wrong flag.
        SystemExit: help was asked for.
    """
    argv = _in_place(options, _spelled_out(argv))
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
        parsed = cli(both, argv, prog=prog, description=description, renamed=renamed)
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
        fields.append((one.name, flag(field, one.hint(), one.words[:1].upper() + one.words[1:]), field))
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


def cli(options: Any, argv: list[str], *, prog: str, description: str, renamed: Mapping[str, str] | None = None) -> Any:
    """tyro, with flat flag names, and one sentence instead of a panel for a wrong flag.

    Args:
        renamed: flags that go on to be taken by their old names, with a warning: {"--old": "--new"}.
    """
    argv, errors = _in_place(options, list(_today(argv, renamed or {}))), io.StringIO()
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


def _in_place(options: Any, argv: list[str]) -> list[str]:
    """`--model MODEL` as `MODEL`, for commands that take it without its name; another command has the flag."""
    own = positionals(options) if dataclasses.is_dataclass(options) else []
    given = {name: value for name in own if (value := _peek(argv, f"--{name.replace('_', '-')}")) is not None}
    if not given:
        return argv
    left, words = [], iter(argv)
    for word in words:
        flag, equals, _ = word.partition("=")
        if flag.startswith("--") and flag[2:].replace("-", "_") in given:
            if not equals:
                next(words, None)
        else:
            left.append(word)
    return [*(given[name] for name in own if name in given), *left]


def _today(argv: list[str], renamed: Mapping[str, str]) -> Iterator[str]:
    """The words with today's names of flags; a flag whose new name has no dashes has become a word of its own."""
    for word in argv:
        flag, equals, value = word.partition("=")
        if flag not in renamed:
            yield word
            continue
        new = renamed[flag]
        say_renamed(flag, new, goes=GOES)
        if new.startswith("--"):
            yield new + equals + value
        elif equals:
            yield value


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


def class_or_rule(text: str | None) -> Any:
    """What --targeted stands for: a class number, or the name of a rule by which classes are chosen."""
    return int(text) if text is not None and text.lstrip("-").isdigit() else text


def positive(value: int, name: str) -> int:
    """The value of a flag that counts something.

    Raises:
        UsageError: it is below one.
    """
    if value < 1:
        raise UsageError(f"--{name} must be at least 1, found {value}")
    return value


def usable_device(name: str) -> str:
    """The name of a device that tensors can be put on; "auto" is the first GPU, or the processor where there is none.

    Raises:
        UsageError: they cannot.
    """
    if not DEVICE.fullmatch(name):
        raise UsageError(f"unknown device {name!r}; expected auto, cpu, cuda, cuda:N, mps, xpu or xpu:N")
    import torch

    if name == "auto":
        found = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
        return "cpu" if found is None else found.type
    try:
        torch.zeros(1, device=name)
    except (RuntimeError, AssertionError) as error:
        raise UsageError(
            f"device {name!r} cannot be used here ({str(error).splitlines()[0]}); choose another, e.g. auto or cpu"
        ) from error
    return name


def _spelled_out(argv: list[str]) -> list[str]:
    """`--solver NAME?key=value` as `--solver NAME --key value`.

    Raises:
        UsageError: this is no such spec, or a key is given as a flag as well.
    """
    spec = _peek(argv, "--solver") or ""
    if "?" not in spec:
        return argv
    name, query = split_spec(spec, error=UsageError)
    found = [word.replace(spec, name) if word in (spec, f"--solver={spec}") else word for word in argv]
    for key, text in query.items():
        flag = f"--{key.replace('_', '-')}"
        if _peek(argv, flag) is not None:
            raise UsageError(f"expected {key} once, found it in {spec!r} and as {flag}; keep one of them")
        if text.lower() in ("true", "false"):
            found.append(flag if text.lower() == "true" else f"--no-{flag[2:]}")
        else:
            found += [flag, *text.split(",")]
    return found


def _peek(argv: list[str], flag: str) -> str | None:
    """The value of a flag, the last one if it comes several times."""
    found = None
    for word, following in zip(argv, [*argv[1:], None], strict=False):
        if word == flag:
            found = following
        elif word.startswith(flag + "="):
            found = word.partition("=")[2]
    return found
