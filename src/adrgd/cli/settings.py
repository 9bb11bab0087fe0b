"""`--config FILE`: flags from a YAML file, by their own names or as a run's config.yaml has them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from adrgd.cli.known import Part, find_solver, find_step, known
from adrgd.cli.positional import positionals
from adrgd.errors import RunFolderError, UsageError
from adrgd.names import STANDARD
from adrgd.runs.configs import parse
from adrgd.specs import closest

OPTIONS = {
    ("attack",): "attack:Options", ("evaluate",): "evaluate:Options", ("maximize",): "maximize:Options",
    ("falsify",): "falsify:Options", ("train",): "train:Options", ("reconstruct",): "reconstruct:Options",
    ("rl", "train"): "rl:Train", ("rl", "play"): "rl:Play", ("rl", "attack"): "rl_attack:Siege",
    ("inspect",): "inspect:Options", ("check",): "check:Options",
    ("check-proof",): "check_proof:Options", ("list",): "list:Options",
    ("doctor",): "doctor:Options", ("completion",): "completion:Options",
}  # fmt: skip
"""Where the flags of each command stand."""

CODE = ("model", "models", "ensemble", "judge", "generator", "env")
"""Flags whose values may name a function or a module of Python."""

SCHEMES = ("bundled", "timm", "torchvision", "robustbench", "hf", "procgen")
"""What stands in front of a colon in such a value and is none."""

LEFT = ("adrgd", "most_steps", "gates.rule", "threat.lower", "threat.upper", "mask_digest")
"""Settings of runs that are no flags."""

OF_MINIMUM = ("threat.eps", "steps")
"""Settings of a search for smallest changes that are no flags of it."""

RUNS: dict[tuple[str, ...], dict[str, str]] = {
    ("attack",): {"threat.target": "targeted"},
    ("evaluate",): {"target": "targeted"},
    ("train",): {"rate": "learning_rate"},
    ("rl", "train"): {
        "steps": "env_steps", "noise": "exploration_noise", "limit": "episode_steps", "refine.solver": "refine",
        "refine.steps": "refine_steps", "refine.target": "target_critics", "refine.noise": "refined_noise",
        "refine.seed": "", "refine.closed_form": "",
    },
    ("rl", "attack"): {"passes": "budget", "limit": "episode_steps", "steps": "", "solver.gates": "", "solver.step": "",
                       "solver.budget": "", "solver.random_start": ""},
}  # fmt: skip
"""How settings of runs are called among the flags; "" for those that follow from others."""


def options_of(command: tuple[str, ...]) -> Any:
    """The dataclass that a command's flags come from."""
    module, _, name = OPTIONS[command].partition(":")
    return getattr(import_module(f"adrgd.cli.{module}"), name)


def fields_of(options: Any) -> dict[str, dataclasses.Field[Any]]:
    """The flags of a command by name, those of its parts among them."""
    found: dict[str, dataclasses.Field[Any]] = {}
    for field in dataclasses.fields(options):
        if field.name == "run" and field.default_factory is not dataclasses.MISSING:
            found |= fields_of(import_module("adrgd.cli.folders").Run)
        else:
            found[field.name] = field
    return found


def words_of(command: tuple[str, ...], file: Path, typed: Sequence[str] = ()) -> list[str]:
    """The words that a file of settings stands for, in front of those that were typed.

    Raises:
        UsageError: it cannot be read, has a setting that the command does not know, or would run code of its maker's.
    """
    try:
        config = parse(file)
    except RunFolderError as error:
        raise UsageError(f"--config: {str(error).partition(';')[0]}; give a YAML file of flags or settings") from error
    fields, unnamed = fields_of(options_of(command)), positionals(options_of(command))
    given = _as_flags(command, config)
    _refuse_code(given, file, {word.partition("=")[0] for word in typed})
    solver = str(given.get("solver", ""))
    parts = _parts(solver, str(given["step"]) if "step" in given else None) if "step" in fields else {}
    extra = {one.name: one.value() for part in parts.values() for one in part.fields}
    positional, words = [], []
    for name, value in given.items():
        if name not in fields and name not in extra:
            hint = closest(name, [*fields, *extra])
            raise UsageError(f"{file} has the setting {name!r}, which adrgd {' '.join(command)} does not know{hint}")
        if value is None:
            continue
        default = extra[name] if name in extra else fields[name].default
        if name in unnamed:
            positional.append(str(value))
        else:
            words += _flag(name.replace("_", "-"), value, default)
    return positional + words


def _refuse_code(given: dict[str, Any], file: Path, typed: set[str]) -> None:
    """What runs code is for a person to name: a file may be anybody's."""
    if given.get("trust"):
        raise UsageError(f"{file} asks for trust, which is for you to give: leave it out there, and type --trust")
    for name in CODE:
        values = given.get(name)
        for value in values if isinstance(values, list) else [values]:
            base = str(value).partition("?")[0]
            if ":" in base and base.partition(":")[0] not in SCHEMES and not typed & {f"--{name}", "--trust"}:
                raise UsageError(
                    f"{file} names {value!r}, which is imported and can run any code: type --{name} yourself, "
                    "or --trust where the command has it"
                )


def _flag(name: str, value: Any, default: Any) -> list[str]:
    if isinstance(value, bool):
        return [] if value is default else [f"--{name}" if value else f"--no-{name}"]
    if isinstance(value, list | tuple):
        return [f"--{name}", *map(str, value)]
    return [f"--{name}={value}"]


def _parts(solver: str, step: str | None) -> dict[str, Part]:
    if not solver:
        return {}
    parts = find_solver(solver, ensemble=True)
    return parts | ({"step": find_step(step)} if step is not None else {})


def _as_flags(command: tuple[str, ...], config: dict[str, Any]) -> dict[str, Any]:
    """The settings under the names of flags."""
    found: dict[str, Any] = {}
    names = RUNS.get(command, {})
    left = LEFT + (OF_MINIMUM if config.get("minimum") is True else ())
    for path, value in _flat(config, names):
        name = names.get(path, path.rpartition(".")[2].replace("-", "_"))
        if path in left or not name or path in ("solver.most_steps", "solver.gates.rule"):
            continue
        if path == "solver.name":
            found["solver"] = value
        elif path == "solver.step.rule":
            if value != _rule(config["solver"]["name"]):
                found["step"] = next(key for key, one in known()["steps"].items() if one["kind"] == value)
        elif name == "stop_at_success":
            found["keep_going"] = not value
        else:
            found[name] = value
    threat = config.get("threat")
    if isinstance(threat, Mapping) and threat.get("upper") is None:
        found["box"] = "none"
    return found


def _rule(solver: str) -> str:
    """The class of a solver's own step rule."""
    kind, _, variant = solver.partition(":")
    if kind == STANDARD:
        return ""
    found = known()["presets"][variant] if variant else known()["solvers"][kind]
    return str(found["step"]["kind"])


def _flat(config: Mapping[str, Any], names: Mapping[str, str], before: str = "") -> Iterator[tuple[str, Any]]:
    """The settings with the path to each; what `names` leaves out as a whole stays whole."""
    for key, value in config.items():
        path = f"{before}{key}"
        if isinstance(value, Mapping) and names.get(path) != "":
            yield from _flat(value, names, f"{path}.")
        else:
            yield path, value
