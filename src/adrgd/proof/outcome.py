"""How far a proof has come."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Outcome:
    """The state of a proof.

    Attributes:
        proven: every claim is refuted.
        found: a point was accepted.
        stuck: parts were left that cannot be split any further, so that there will be no proof.
        share: of all that was to be refuted, between 0 and 1.
        nodes: parts that were bounded.
    """

    proven: bool = False
    found: bool = False
    stuck: bool = False
    share: float = 0.0
    nodes: int = 0

    @property
    def ended(self) -> bool:
        """Nothing is left to do."""
        return self.proven or self.found or self.stuck
