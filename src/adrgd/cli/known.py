"""What can be named on the command line, known without importing torch: help and wrong words answer at once.

`known.json` lies beside this file and is made from the classes themselves by `python -m adrgd.cli.known`; a test
compares the two.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_type_hints

from adrgd.errors import UsageError
from adrgd.files import write_text
from adrgd.names import STANDARD

FILE = Path(__file__).with_suffix(".json")
COMPOSED = ("gates", "step", "most_steps")  # fields of a solver that are no flags


@dataclass(frozen=True)
class Field:
    """One flag of a solver or of one of its rules.

    Attributes:
        kind: its type, as it is written.
        words: what it does.
    """

    name: str
    kind: str
    words: str
    default: Any

    def hint(self) -> Any:
        """The type itself."""
        return eval(self.kind, {"Literal": Literal})  # the words are our own, from the file beside this one

    def value(self) -> Any:
        """The default; json knows no tuples."""
        return tuple(self.default) if isinstance(self.default, list) else self.default


@dataclass(frozen=True)
class Part:
    """Something that is named, and whose fields are flags.

    Attributes:
        words: what it is, in a line.
    """

    words: str
    fields: tuple[Field, ...]


@cache
def known() -> dict[str, Any]:
    """All of `known.json`."""
    found: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    return found


def solver_names(*, ensemble: bool) -> list[str]:
    """Everything that --solver takes; the presets as adr:PRESET."""
    return [*([STANDARD] if ensemble else []), *known()["solvers"], "adr:PRESET"]


def find_solver(name: str, *, ensemble: bool = False) -> dict[str, Part]:
    """The flags of a solver by part: "own", "gates" and "step", or "own" alone for the ensemble.

    Raises:
        UsageError: there is no such solver or preset.
    """
    if ensemble and name == STANDARD:
        return _parts(known()["ensembles"][STANDARD])
    kind, _, variant = name.partition(":")
    if kind not in known()["solvers"]:
        raise UsageError(f"unknown solver {name!r}; expected one of {', '.join(solver_names(ensemble=ensemble))}")
    if not variant:
        return _parts(known()["solvers"][kind])
    if kind != "adr":
        raise UsageError(f"solver {kind!r} has no presets, found {variant!r} behind the colon; only adr has")
    if variant not in known()["presets"]:
        raise UsageError(f"unknown ADR-GD preset {variant!r}; expected one of {', '.join(known()['presets'])}")
    return _parts(known()["presets"][variant])


def find_step(name: str) -> Part:
    """The flags of a step rule.

    Raises:
        UsageError: there is no such rule.
    """
    steps = known()["steps"]
    if name not in steps:
        raise UsageError(f"unknown step rule {name!r}; expected one of {', '.join(steps)}")
    return _part(steps[name])


def _parts(found: dict[str, Any]) -> dict[str, Part]:
    return {name: _part(part) for name, part in found.items()}


def _part(found: dict[str, Any]) -> Part:
    kind, values = known()["parts"][found["kind"]], found["values"]
    fields = []
    for name, value in values.items():
        written, words = kind["fields"][name]
        fields.append(Field(name, written, words, value))
    return Part(kind["words"], tuple(fields))


def gather() -> dict[str, Any]:
    """What `known.json` has to hold, from the classes themselves."""
    from adrgd.attacks.ensemble.standard import Standard
    from adrgd.models.architectures import ARCHITECTURES
    from adrgd.models.bundled import BUNDLED, bundled_models
    from adrgd.objective import LOSSES
    from adrgd.solvers import PRESETS, SOLVERS, STEPS, make_solver

    solvers, steps = {name: make_solver(name) for name in SOLVERS}, {name: kind() for name, kind in STEPS.items()}
    things = [Standard(), *steps.values()]
    for solver in [*solvers.values(), *PRESETS.values()]:
        things += [solver, solver.gates, solver.step]
    return {
        "ensembles": {STANDARD: {"own": _values(Standard())}},
        "solvers": {name: _solver(solver) for name, solver in solvers.items()},
        "presets": {name: _solver(solver) for name, solver in PRESETS.items()},
        "settings": {name: _setting(name) for name in PRESETS},
        "steps": {name: _values(step) for name, step in steps.items()},
        "parts": {type(thing).__name__: _kind(type(thing)) for thing in things},
        "losses": {name: _summary(pair[0]) for name, pair in LOSSES.items()},
        "architectures": {name: kind.words() for name, kind in ARCHITECTURES.items()},
        "models": {f"bundled:{name}": BUNDLED[name].words for name in bundled_models()},
        "data": {"bundled:mnist": "the first 500 test images of MNIST"},
    }


def _setting(name: str) -> str:
    """What a preset of ADR-GD stands for."""
    from adrgd.solvers import SETTINGS

    source, _, job = name.partition("-")
    if not job:
        return f"the same as {source}-mnist-untargeted"
    if source == "paper":
        return f"the paper's settings for {job}, there {SETTINGS[job].T} iterations"
    return f"what the authors' released code does for {job}"


def _solver(solver: Any) -> dict[str, Any]:
    own = _values(solver, leave=COMPOSED)
    return {"own": own, "gates": _values(solver.gates), "step": _values(solver.step)}


def _values(thing: Any, leave: tuple[str, ...] = ()) -> dict[str, Any]:
    names = [field.name for field in dataclasses.fields(thing) if field.name not in leave]
    return {"kind": type(thing).__name__, "values": {name: getattr(thing, name) for name in names}}


def _kind(kind: Any) -> dict[str, Any]:
    """The fields of a dataclass: types and words."""
    from docstring_parser import parse

    words = {  # they stand with the class that a field comes from, and may be about several at once
        name: " ".join((one.description or "").split())
        for base in kind.__mro__[::-1]
        for one in parse(base.__doc__ or "").params
        for name in one.arg_name.split(", ")
    }
    hints = get_type_hints(kind)
    names = [field.name for field in dataclasses.fields(kind) if field.name not in COMPOSED]
    fields = {name: [_written(hints[name]), words.get(name, "")] for name in names}
    return {"words": _summary(kind), "fields": fields}


def _written(hint: Any) -> str:
    """A type as source has it."""
    return hint.__name__ if isinstance(hint, type) and "[" not in repr(hint) else repr(hint).replace("typing.", "")


def _summary(thing: Any) -> str:
    return (thing.__doc__ or "-").strip().splitlines()[0]


def write() -> None:
    """Make `known.json` again."""
    write_text(FILE, json.dumps(gather(), indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    write()
