"""How much of a network a solver's gates stand for, in numbers and in one sentence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from adrgd.activations import PiecewiseLinear
from adrgd.gates.layers import Picked
from adrgd.gates.look import Inventory, Other

UNSELECTED = "it is not among the layers that were asked for"
NO_HINGE = "it is not piecewise linear, and this solver's gates are hinges"


@dataclass(frozen=True)
class Gating:
    """What a gated solver does with the activation calls of one evaluation.

    Attributes:
        gated: calls that have a gate, by kind.
        plain: calls that have none, and why.
        outside: calls that a property or a loss makes, which are not counted with the network's.
    """

    gated: Mapping[str, int] = field(default_factory=dict)
    plain: tuple[Other, ...] = ()
    outside: int = 0

    @staticmethod
    def of(inventory: Inventory, picked: Picked, *, hinges: bool) -> Gating:
        """Sum up a choice of layers, for a solver that gates all kinds or only `hinges`."""
        gated: Counter[str] = Counter()
        left: Counter[Other] = Counter()
        for layer in inventory.layers:
            if layer.outside:
                continue
            if layer.number in picked:
                gated[layer.kind] += 1
            else:
                wrong = hinges and not isinstance(layer.phi, PiecewiseLinear)
                left[Other(layer.kind, NO_HINGE if wrong else UNSELECTED, own=not wrong)] += 1
        plain = tuple(Other(o.kind, o.why, o.own, count) for o, count in left.items())
        outside = sum(layer.outside for layer in inventory.layers)
        return Gating(dict(gated), (*plain, *inventory.others), outside)

    @property
    def seen(self) -> int:
        """All activation calls: those with a gate, those left out, and those that lack one."""
        return sum(self.gated.values()) + sum(other.count for other in self.plain if not _balanced(other))

    @property
    def lost(self) -> tuple[Other, ...]:
        """The calls whose missing gate is nobody's wish."""
        return tuple(other for other in self.plain if not other.own)

    @property
    def sentence(self) -> str:
        """E.g. "4 of 5 activation calls have gates: 4 gelu; not 1 lstm (...); 2 softmax keep their own derivative"."""
        if not self.seen:
            return "no activation call was seen: the gradients are plain"
        count = sum(self.gated.values())
        words = [f"{count} of {self.seen} activation calls have gates" + (f": {_list(self.gated)}" if count else "")]
        words += [f"not {o.count} {o.kind} ({o.why})" for o in self.plain if not _balanced(o)]
        own = {other.kind: other.count for other in self.plain if _balanced(other)}
        return "; ".join([*words, f"{_list(own)} keep their own derivative"] if own else words)

    @property
    def warning(self) -> str:
        """What has to be said without being asked; empty where every activation has its gate."""
        if not self.gated and self.outside and all(other.own for other in self.plain):
            return ""  # nothing of the network's own has a gate that it could be given
        if not self.gated and not any(other.why == UNSELECTED for other in self.plain):
            reason = "; ".join(f"{other.kind}: {other.why}" for other in self.plain)
            return (
                f"no activation is gated, so this solver follows plain gradients ({reason or 'none was seen'}); pass a "
                "model whose activations are called from Python, or choose pgd"
            )
        if not self.lost:
            return ""
        reason = "; ".join(f"{other.count} {other.kind}: {other.why}" for other in self.lost)
        return f"{sum(other.count for other in self.lost)} of {self.seen} activation calls have no gate ({reason})"

    def facts(self) -> dict[str, Any]:
        """As plain data, for JSON."""
        return {"seen": self.seen, "gated": dict(self.gated), "plain": [asdict(other) for other in self.plain]}


def _balanced(other: Other) -> bool:
    """Whether a call keeps its own derivative because that is the right one."""
    return other.own and other.why != UNSELECTED


def _list(kinds: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in kinds.items())
