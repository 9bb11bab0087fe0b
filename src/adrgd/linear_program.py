"""Linear programs under rules, with whole numbers or without, by HiGHS."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from adrgd.errors import AdrgdError

Array = np.ndarray[Any, np.dtype[Any]]

SECONDS = 60.0  # for one program


class NoPointError(AdrgdError):
    """No point satisfies the rules."""


class NoBoundError(AdrgdError):
    """The goal has no bound under the rules."""


@dataclass(frozen=True)
class Program:
    """least <= matrix x <= most, low <= x <= high, in float64; `whole` (n,) says which numbers have to be whole."""

    matrix: Array
    least: Array
    most: Array
    low: Array
    high: Array
    whole: Array | None = None

    def model(self, goal: Array, constant: float = 0.0) -> Any:
        """What HiGHS is given to make goal . x + constant largest."""
        import highspy  # when there is something to solve: it takes a while to load

        program: Any = highspy.HighsLp()
        program.num_col_, program.num_row_ = len(goal), len(self.matrix)
        program.col_cost_, program.col_lower_, program.col_upper_ = goal, self.low, self.high
        program.row_lower_, program.row_upper_ = self.least, self.most
        program.sense_, program.offset_ = highspy.ObjSense.kMaximize, constant
        rows, columns = np.nonzero(self.matrix)
        program.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
        program.a_matrix_.start_ = np.concatenate([[0], np.bincount(rows, minlength=len(self.matrix)).cumsum()])
        program.a_matrix_.index_, program.a_matrix_.value_ = columns, self.matrix[rows, columns]
        if self.whole is not None and self.whole.any():
            kinds = (highspy.HighsVarType.kContinuous, highspy.HighsVarType.kInteger)
            program.integrality_ = [kinds[int(one)] for one in self.whole]
        return program

    def best(self, goal: Array) -> Array:
        """The x that makes goal . x largest.

        Raises:
            NoPointError: no x satisfies all of it.
            NoBoundError: goal . x has no bound.
            AdrgdError: the solver gave up.
        """
        import highspy

        solver: Any = highspy.Highs()  # type: ignore[no-untyped-call]
        solver.setOptionValue("output_flag", False)
        solver.setOptionValue("threads", 1)
        solver.setOptionValue("time_limit", SECONDS)
        solver.setOptionValue("mip_rel_gap", 0.0)
        solver.passModel(self.model(goal))
        solver.run()
        status = solver.getModelStatus()
        states = highspy.HighsModelStatus
        if status == states.kInfeasible:
            raise NoPointError("no point satisfies the rules")
        if status == states.kUnboundedOrInfeasible and goal.any():
            self.best(np.zeros_like(goal))  # says whether there is a point at all
            raise NoBoundError("the goal has no bound under the rules")
        if status == states.kUnbounded:
            raise NoBoundError("the goal has no bound under the rules")
        if status != states.kOptimal:
            raise AdrgdError(f"HiGHS gave up on the rules: {solver.modelStatusToString(status)}; simplify them")
        return np.array(solver.getSolution().col_value)
