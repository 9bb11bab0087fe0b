"""A table's columns and the rules between them, from a small file: a domain for the inputs of a network of tables.

columns:
  - {name: age, lower: 18, upper: 90, whole: true}
  - {name: income, lower: 0, upper: 200000}
  - {name: job, values: [clerk, nurse, smith]}      # one input for each value, one of which is 1
rules:
  - income <= 3000 * age
  - age >= 30 * job.smith
"""

from __future__ import annotations

import ast
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from adrgd.domain import Box, Discrete, Domain, Polytope
from adrgd.errors import DataError
from adrgd.files import reading

KEYS = ("name", "lower", "upper", "whole", "values")


@dataclass(frozen=True)
class Column:
    """One column: a number between two bounds, or one of several values, each of which has an input of its own."""

    name: str
    lower: float = 0.0
    upper: float = 1.0
    whole: bool = False
    values: tuple[str, ...] = ()

    @property
    def inputs(self) -> list[str]:
        """What rules call them."""
        return [f"{self.name}.{value}" for value in self.values] or [self.name]


@dataclass(frozen=True)
class Columns:
    """Columns, and rules as (coefficients, operator, number): `<=` or `==`."""

    columns: tuple[Column, ...]
    rules: tuple[tuple[dict[str, float], str, float], ...] = ()

    @property
    def inputs(self) -> list[str]:
        """The names of the network's inputs, in its order."""
        return [name for column in self.columns for name in column.inputs]

    def domain(self) -> Domain:
        """Of rows (B, n) or of any shape with n numbers, n that of the inputs."""
        at = {name: k for k, name in enumerate(self.inputs)}
        low = torch.tensor([column.lower for column in self.columns for _ in column.inputs], dtype=torch.float64)
        high = torch.tensor([column.upper for column in self.columns for _ in column.inputs], dtype=torch.float64)
        box = Box(low, high)
        upto, same = (self._matrix(operator) for operator in ("<=", "=="))
        domain = Polytope(*upto, *same, box) if self.rules else box
        whole = [at[column.name] for column in self.columns if column.whole]
        groups = [[at[name] for name in column.inputs] for column in self.columns if column.values]
        return Discrete(domain, whole, groups) if whole or groups else domain

    def _matrix(self, operator: str) -> tuple[Any, Any]:
        """The rules of one operator as a matrix and its right side; None for both where there is none."""
        chosen = [(weights, side) for weights, kind, side in self.rules if kind == operator]
        if not chosen:
            return None, None
        return [[weights.get(name, 0.0) for name in self.inputs] for weights, _ in chosen], [side for _, side in chosen]

    def named(self, point: Tensor) -> dict[str, Any]:
        """A point (n,) by the names of the columns; categories by their value."""
        found: dict[str, Any] = {}
        numbers = iter(point.flatten().tolist())
        for column in self.columns:
            mine = [next(numbers) for _ in column.inputs]
            if column.values:
                found[column.name] = column.values[mine.index(max(mine))]
            else:
                found[column.name] = int(mine[0]) if column.whole else mine[0]
        return found


def read_columns(file: Path) -> Columns:
    """Read a file of columns.

    Raises:
        DataError: it cannot be read, or says something else than columns and rules.
    """
    try:
        content = reading.read_yaml(reading.read_text(file, "config"))
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(f"expected a YAML file of columns at {str(file)!r}, found: {reason}; correct it") from error
    if not isinstance(content, Mapping) or not isinstance(content.get("columns"), list) or not content["columns"]:
        raise DataError(f"expected a list named columns in {str(file)!r}, and perhaps one named rules; write them")
    if unknown := set(content) - {"columns", "rules"}:
        raise DataError(
            f"expected columns and rules in {str(file)!r}, found {sorted(unknown)[0]!r} as well; leave it out"
        )
    columns = tuple(_column(given, k) for k, given in enumerate(content["columns"]))
    found = Columns(columns)
    if len(set(found.inputs)) < len(found.inputs):
        raise DataError(f"two columns of {str(file)!r} have one name; give each its own")
    rules = content.get("rules") or []
    return Columns(columns, tuple(_rule(str(rule), found.inputs) for rule in rules))


def _column(given: Any, k: int) -> Column:
    if not isinstance(given, Mapping) or "name" not in given:
        raise DataError(
            f"expected column {k + 1} as a name with bounds or values, found {given!r}; write {{name: ...}}"
        )
    name = str(given["name"])
    if unknown := [key for key in given if key not in KEYS]:
        raise DataError(f"column {name!r} has {unknown[0]!r}; expected of {', '.join(KEYS)}")
    if "values" in given:
        values = tuple(map(str, given["values"])) if isinstance(given["values"], list) else ()
        if len(values) < 2 or len(given) > 2:
            raise DataError(f"column {name!r} has values; expected a list of two at least, and no bounds beside it")
        return Column(name, values=values)
    try:
        lower, upper = float(given["lower"]), float(given["upper"])
    except (KeyError, TypeError, ValueError):
        raise DataError(f"column {name!r} needs a lower and an upper bound, two numbers, or a list of values") from None
    if not (math.isfinite(lower) and math.isfinite(upper) and lower <= upper):
        raise DataError(f"column {name!r} has bounds {lower:g} and {upper:g}; expected finite ones, lower <= upper")
    whole = given.get("whole", False)
    if not isinstance(whole, bool):
        raise DataError(f"column {name!r} has whole: {whole!r}; expected true or false")
    return Column(name, lower, upper, whole)


def _rule(text: str, names: list[str]) -> tuple[dict[str, float], str, float]:
    """A linear comparison as coefficients on the left and a number on the right."""
    try:
        tree: Any = ast.parse(text.strip(), mode="eval").body
        operators = {ast.LtE: 1.0, ast.GtE: -1.0, ast.Eq: 1.0}
        if not isinstance(tree, ast.Compare) or len(tree.ops) != 1 or type(tree.ops[0]) not in operators:
            raise ValueError("a comparison by <=, >= or ==")
        left, right = _linear(tree.left, names), _linear(tree.comparators[0], names)
    except (SyntaxError, ValueError, ZeroDivisionError, RecursionError) as error:
        reason = "a comparison by <=, >= or ==" if isinstance(error, SyntaxError) else str(error)
        raise DataError(f"cannot take the rule {text!r}: expected {reason}; write e.g. income <= 3000 * age") from None
    sign = operators[type(tree.ops[0])]
    weights = {name: sign * (left.get(name, 0.0) - right.get(name, 0.0)) for name in {*left, *right} - {""}}
    operator = "==" if isinstance(tree.ops[0], ast.Eq) else "<="
    return weights, operator, sign * (right.get("", 0.0) - left.get("", 0.0))


def _linear(node: Any, names: list[str]) -> dict[str, float]:
    """The coefficients of an expression; its number is that of ""."""
    match node:
        case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
            return {"": float(value)}
        case ast.Name(id=name):
            return _known(name, names)
        case ast.Attribute(value=ast.Name(id=name), attr=value):
            return _known(f"{name}.{value}", names)
        case ast.UnaryOp(op=ast.USub(), operand=inner):
            return _times(_linear(inner, names), -1.0)
        case ast.BinOp(left=left, op=ast.Add() | ast.Sub() as op, right=right):
            one, other = _linear(left, names), _times(_linear(right, names), 1.0 if isinstance(op, ast.Add) else -1.0)
            return {name: one.get(name, 0.0) + other.get(name, 0.0) for name in {*one, *other}}
        case ast.BinOp(left=left, op=ast.Mult(), right=right):
            one, other = _linear(left, names), _linear(right, names)
            plain, factor = (one, other) if set(other) <= {""} else (other, one)
            if not set(factor) <= {""}:
                raise ValueError("columns times numbers, not times columns")
            return _times(plain, factor.get("", 0.0))
        case ast.BinOp(left=left, op=ast.Div(), right=right):
            factor = _linear(right, names)
            if not set(factor) <= {""}:
                raise ValueError("division by numbers, not by columns")
            return _times(_linear(left, names), 1 / factor.get("", 0.0))
    raise ValueError("sums of columns times numbers")


def _known(name: str, names: list[str]) -> dict[str, float]:
    if name not in names:
        raise ValueError(f"one of {', '.join(names)}, found {name}")
    return {name: 1.0}


def _times(one: dict[str, float], factor: float) -> dict[str, float]:
    return {name: factor * value for name, value in one.items()}
