"""VNN-LIB 1.0: declared constants X_i and Y_j, and asserted formulas over them, in the notation of SMT-LIB.

The file is read in one pass. Every closing parenthesis turns the expression that it ends into a value: a term, a
formula, or nothing for a command. So nesting costs no recursion, and an error knows its line.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable, Iterator
from typing import Any, get_args

from adrgd.falsify.alternatives import check_time
from adrgd.falsify.cases import build_property
from adrgd.falsify.formula import Formula, Joint, Linear, Opposite, Written, add, at_most, multiply, scale
from adrgd.falsify.property import Property, PropertyError

TOKEN = re.compile(r""";[^\n]*|\|[^|]*\||"[^"]*"|[()]|[^\s();|"]+|\S""")
NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
VARIABLE = re.compile(r"([XY])_(0|[1-9]\d*)")

DONE = object()
"""The value of a command, which no other expression may hold."""

IGNORED = {"set-logic", "set-info", "set-option", "check-sat", "get-model", "exit"}


PIECE = 2**20  # characters that are taken apart at a time
GLANCE = 2**14  # tokens between looks at the clock

FORMULA = get_args(Formula)


def parse(text: str, *, deadline: float = math.inf) -> Property:
    """The property that the text states.

    Raises:
        PropertyError: with the line, where one is to blame.
        TimeUpError: the deadline, a value of `time.monotonic()`, has passed.
    """
    reader = _Reader(deadline)
    reader.read(text)
    if not reader.variables:
        raise PropertyError("expected declarations such as (declare-const X_0 Real), found none; is the file whole?")
    inputs, outputs = reader.count("X"), reader.count("Y")
    return build_property(reader.asserted, inputs=inputs, outputs=outputs, deadline=deadline)


class _Reader:
    def __init__(self, deadline: float) -> None:
        self.deadline = deadline
        self.variables: dict[str, Linear] = {}
        self.asserted: list[Formula] = []
        self.rules: dict[str, Callable[[list[Any]], Any]] = {
            "declare-const": self._declare,
            "declare-fun": self._declare,
            "assert": self._assert,
            "and": lambda args: Joint(True, self._formulas(args)),
            "or": lambda args: Joint(False, self._formulas(args)),
            "not": lambda args: Opposite(*self._formulas(args, count=1)),
            "=>": self._implies,
            "<=": lambda args: self._chain(args, lambda a, b: at_most(a, b)),
            ">=": lambda args: self._chain(args, lambda a, b: at_most(b, a)),
            "<": lambda args: self._chain(args, lambda a, b: at_most(a, b, strict=True)),
            ">": lambda args: self._chain(args, lambda a, b: at_most(b, a, strict=True)),
            "=": lambda args: self._chain(args, lambda a, b: Joint(True, (at_most(a, b), at_most(b, a)))),
            "+": lambda args: add(self._terms(args)),
            "*": lambda args: multiply(self._terms(args)),
            "-": self._minus,
            "/": self._divide,
            **dict.fromkeys(IGNORED, lambda args: DONE),
        }

    def read(self, text: str) -> None:
        frame: list[Any] = []
        outer: list[list[Any]] = []
        opened: list[int] = []
        for at, token in enumerate(_tokens(text)):
            if not at % GLANCE:
                check_time(self.deadline)
            if token == "(":
                outer.append(frame)
                opened.append(at)
                frame = []
            elif token == ")":
                if not outer:
                    raise PropertyError(f"line {_line(text, at)}: expected '(' before this ')', found none; remove it")
                opened.pop()
                try:
                    value = self._value(frame)
                except PropertyError as error:
                    raise PropertyError(f"line {_line(text, at)}: {error}") from None
                frame = outer.pop()
                frame.append(value)
            elif token[0] != ";":
                frame.append(token)
            if not outer and frame:
                if frame != [DONE]:
                    raise PropertyError(
                        f"line {_line(text, at)}: expected a command such as (assert ...), found {_show(frame[0])}"
                    )
                frame = []
        if outer:
            raise PropertyError(
                f"line {_line(text, opened[-1])}: expected ')' for the '(' here, found the end; is the file whole?"
            )

    def count(self, letter: str) -> int:
        """How many variables of that letter there are; they are numbered without a gap."""
        found = sum(name[0] == letter for name in self.variables)
        for index in range(found):
            if f"{letter}_{index}" not in self.variables:
                raise PropertyError(
                    f"expected {found} variables {letter}_0 to {letter}_{found - 1}, found no {letter}_{index}; "
                    "declare the variables without a gap"
                )
        return found

    def _value(self, frame: list[Any]) -> Any:
        if not frame:
            return ()
        rule = self.rules.get(frame[0]) if isinstance(frame[0], str) else None
        if rule is None:
            raise PropertyError(f"expected one of {', '.join(self.rules)} after '(', found {_show(frame[0])}")
        return rule(frame[1:])

    def _declare(self, args: list[Any]) -> object:
        name = args[0] if args and isinstance(args[0], str) else ""
        match = VARIABLE.fullmatch(name)
        if match is None or args[1:] not in (["Real"], [(), "Real"]):
            raise PropertyError(
                f"expected a real variable X_i or Y_i, found a declaration of {' '.join(map(_show, args))}; "
                "write (declare-const X_0 Real)"
            )
        if name in self.variables:
            raise PropertyError(f"expected each variable to be declared once, found {name} again; remove one of them")
        index = int(match[2])
        self.variables[name] = Linear({index if match[1] == "X" else -1 - index: 1.0}, 0.0)
        return DONE

    def _assert(self, args: list[Any]) -> object:
        self.asserted.extend(self._formulas(args, count=1))
        return DONE

    def _implies(self, args: list[Any]) -> Formula:
        given, then = self._formulas(args, count=2)
        return Joint(False, (Opposite(given), then))

    def _chain(self, args: list[Any], compare: Callable[[Linear, Linear], Formula]) -> Formula:
        terms = self._terms(args, least=2)
        if len(terms) == 2:
            return compare(*terms)
        return Joint(True, [compare(left, right) for left, right in itertools.pairwise(terms)])

    def _minus(self, args: list[Any]) -> Linear:
        first, *rest = self._terms(args)
        return add([first, *(scale(term, -1.0) for term in rest)]) if rest else scale(first, -1.0)

    def _divide(self, args: list[Any]) -> Linear:
        term, *divisors = self._terms(args, least=2)
        for divisor in divisors:
            if divisor.weights or not divisor.constant:
                raise PropertyError("expected a constant other than zero as divisor, found another term")
            weights = {variable: weight / divisor.constant for variable, weight in term.weights.items()}
            term = Linear(weights, term.constant / divisor.constant)
        return term

    def _formulas(self, args: list[Any], count: int | None = None) -> list[Formula]:
        if len(args) != count if count else not args:
            raise PropertyError(f"expected {count or 'at least one'} formula here, found {len(args)}")
        for value in args:
            if not isinstance(value, FORMULA):
                raise PropertyError(f"expected a formula such as (<= Y_0 Y_1), found {_show(value)}")
        return args

    def _terms(self, args: list[Any], least: int = 1) -> list[Linear]:
        if len(args) < least:
            raise PropertyError(f"expected at least {least} terms here, found {len(args)}")
        return [self._term(value) for value in args]

    def _term(self, value: Any) -> Linear:
        if isinstance(value, Linear):
            return value
        if isinstance(value, str):
            if value in self.variables:
                return self.variables[value]
            if NUMBER.fullmatch(value):
                return Linear({}, Written(value))
            raise PropertyError(f"expected a number or a declared variable, found {value!r}; declare it above")
        raise PropertyError(f"expected a number, a variable or a linear term, found {_show(value)}")


def _tokens(text: str) -> Iterator[str]:
    """The tokens one after the other; all of them at once would take many times the room of the text."""
    if '"' in text or "|" in text:  # what stands between two of these may go over several lines
        yield from (match[0] for match in TOKEN.finditer(text))
        return
    start = 0
    while start < len(text):
        end = text.find("\n", min(start + PIECE, len(text))) + 1 or len(text)
        if end - start > 2 * PIECE:
            yield from (match[0] for match in TOKEN.finditer(text, start, end))
        else:
            yield from TOKEN.findall(text, start, end)
        start = end


def _line(text: str, at: int) -> int:
    """The line of the at-th token."""
    for place, match in enumerate(TOKEN.finditer(text)):
        if place == at:
            return text.count("\n", 0, match.start()) + 1
    return text.count("\n") + 1


def _show(value: Any) -> str:
    if isinstance(value, str):
        return repr(value)
    return "a term" if isinstance(value, Linear) else "a formula" if isinstance(value, FORMULA) else "a command"
