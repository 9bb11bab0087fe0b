"""Every field of every solver refuses what it cannot be, and can be set by a spec."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from adrgd.attacks.ensemble.standard import Standard, find_attacker
from adrgd.errors import UsageError
from adrgd.solvers import PRESETS, SOLVERS, STEPS, make_solver

PARTS = {type(part).__name__: part for name in SOLVERS for part in (make_solver(name), make_solver(name).gates)}
PARTS |= {name: kind() for name, kind in STEPS.items()} | {"standard": Standard()}
FIELDS = [
    (part, field.name)
    for part, thing in PARTS.items()
    for field in dataclasses.fields(thing)
    if isinstance(getattr(thing, field.name), int | float | str | tuple)
]
WRONG = {
    bool: [7, "yes", None], int: [2.5, "x", -3], float: ["x", float("nan"), -1.0, None], str: [3, None],
    tuple: [3, (0.1,), (0.1, 0.2, 0.3), ("x", 0.5), (0.2, -1.0)],
}  # fmt: skip


@pytest.mark.parametrize(("part", "name"), FIELDS)
def test_wrong_values_are_refused_in_a_sentence(part: str, name: str) -> None:
    thing: Any = PARTS[part]
    for value in WRONG[type(getattr(thing, name))]:
        with pytest.raises(UsageError, match=name):
            dataclasses.replace(thing, **{name: value})


@pytest.mark.parametrize("name", [*SOLVERS, *(f"adr:{name}" for name in PRESETS), "standard"])
def test_a_spec_of_its_own_values_changes_nothing(name: str) -> None:
    plain: Any = find_attacker(name)
    values: dict[str, Any] = {}
    for part in (plain, getattr(plain, "gates", None), getattr(plain, "step", None)):
        for field in dataclasses.fields(part) if part is not None else ():
            if isinstance(value := getattr(part, field.name), int | float | str | tuple):
                values[field.name] = ",".join(map(str, value)) if isinstance(value, tuple) else value
    spec = "&".join(f"{key}={value}" for key, value in values.items())
    assert find_attacker(f"{name}?{spec}") == plain


def test_specs_reach_every_part() -> None:
    solver: Any = make_solver("graduated?step=gradient&rate=0.5&sigma0=1&spread=0.5,2&layers=0,2&random_start=true")
    assert (solver.step.rate, solver.gates.sigma0, solver.gates.spread) == (0.5, 1.0, (0.5, 2.0))
    assert (solver.gates.layers, solver.random_start) == ("0,2", True)
    assert find_attacker("standard?budget=200&walk=0") == Standard(budget=200, walk=0.0)


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        ("pgd?lenght=1", "did you mean 'length'"), ("pgd?length", "key=value"), ("pgd?step=foo", "unknown step rule"),
        ("standard?steps=3", "only the keys branch, budget, flip, program, walk"), ("pgdd?length=1", "unknown solver"),
        ("pgd?length=1&length=2", "once"), ("pgd?schedule=sometimes", "one of constant, linear, power"),
    ],
)  # fmt: skip
def test_wrong_specs_are_refused_in_a_sentence(spec: str, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        find_attacker(spec)
