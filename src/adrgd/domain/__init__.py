"""Where inputs may be: boxes, balls in four norms, masks, or everywhere."""

from adrgd.domain.balls import (
    BoundBox,
    BoundDomain,
    BoundL2Ball,
    Box,
    Domain,
    Everywhere,
    L2Ball,
    LinfBall,
    as_eps,
    round_down,
    round_up,
)
from adrgd.domain.l0 import L0Ball
from adrgd.domain.l1 import L1Ball
from adrgd.domain.masked import Masked

__all__ = [
    "BoundBox",
    "BoundDomain",
    "BoundL2Ball",
    "Box",
    "Domain",
    "Everywhere",
    "L0Ball",
    "L1Ball",
    "L2Ball",
    "LinfBall",
    "Masked",
    "as_eps",
    "round_down",
    "round_up",
]
