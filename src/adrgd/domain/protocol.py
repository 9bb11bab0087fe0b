"""What a domain is: where inputs may be.

A domain is first described (numbers or tensors, for all rows or one row each) and then *bound* to a batch by
`domain.bind(x0)`, which checks every shape and value. The bound domain projects, samples and gives steepest directions
row by row. `contains` is evaluated in float64 on the given numbers without any tolerance, and every projected point
passes it.
"""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from adrgd.rows import RowRandom

Value = float | Tensor


class BoundDomain(Protocol):
    """A domain with one row for each row of a batch."""

    @property
    def scale(self) -> Tensor:
        """The natural length of each coordinate: as long as a radius, spread over all of them. Broadcasts to x."""

    @property
    def noise(self) -> Tensor:
        """The deviation of probes, and of the noise whose gates are graduated, in each coordinate. Broadcasts to x."""

    def project(self, x: Tensor) -> Tensor:
        """The nearest point of the domain for each row."""

    def contains(self, x: Tensor) -> Tensor:
        """(B,) whether each row lies inside, exactly."""

    def sample(self, random: RowRandom, label: str = "start") -> Tensor:
        """One point a row, uniform over the box or the ball, then projected."""

    def steepest(self, gradient: Tensor, at: Tensor | None = None) -> Tensor:
        """The move of one radius along which a linear function with this gradient grows fastest.

        `at` (B, ...), inside, is where it starts: balls whose moves are sparse leave out what cannot go further there.
        """


class Domain(Protocol):
    """A description that can be bound to a batch."""

    def bind(self, x: Tensor) -> BoundDomain:
        """Check that it fits x (B, ...) and return it with one row each.

        Raises:
            DomainError: wrong shape, not a number, empty, or a centre outside its box.
        """


def relaxed(bound: BoundDomain) -> BoundDomain:
    """Where a search may move: the domain itself, unless it says that its points are rounded from those of another."""
    found: BoundDomain = getattr(bound, "relaxed", bound)
    return found
