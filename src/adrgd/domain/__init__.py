"""Where inputs may be: boxes, balls, ellipsoids, linear rules, whole numbers, masks, patches, or everywhere."""

from adrgd.domain.ball import Ball, as_eps
from adrgd.domain.box import BoundBox, Box, round_down, round_up
from adrgd.domain.discrete import Discrete
from adrgd.domain.ellipsoid import Ellipsoid
from adrgd.domain.everywhere import Everywhere
from adrgd.domain.l0 import L0Ball
from adrgd.domain.l1 import L1Ball
from adrgd.domain.l2 import BoundL2Ball, L2Ball
from adrgd.domain.linf import LinfBall
from adrgd.domain.lp import LpBall
from adrgd.domain.masked import Masked
from adrgd.domain.norms import NORMS, across, as_norm, ball, distance, norm_of
from adrgd.domain.patch import Patch
from adrgd.domain.polytope import Polytope
from adrgd.domain.product import Packing, Product
from adrgd.domain.protocol import BoundDomain, Domain, relaxed
from adrgd.domain.simplex import Simplex
from adrgd.names import Norm

__all__ = [
    "NORMS",
    "Ball",
    "BoundBox",
    "BoundDomain",
    "BoundL2Ball",
    "Box",
    "Discrete",
    "Domain",
    "Ellipsoid",
    "Everywhere",
    "L0Ball",
    "L1Ball",
    "L2Ball",
    "LinfBall",
    "LpBall",
    "Masked",
    "Norm",
    "Packing",
    "Patch",
    "Polytope",
    "Product",
    "Simplex",
    "across",
    "as_eps",
    "as_norm",
    "ball",
    "distance",
    "norm_of",
    "relaxed",
    "round_down",
    "round_up",
]
