"""Networks of hinges as what they are, linear pieces: the best point of one, and walks from piece to piece."""

from adrgd.polytopes.mixed import Expressions, Optimum, expressions, hinged, optimum
from adrgd.polytopes.pieces import Cell, Pieces, hinges
from adrgd.polytopes.summit import Summit, summit
from adrgd.polytopes.walk import Walked, walk

__all__ = [
    "Cell", "Expressions", "Optimum", "Pieces", "Summit", "Walked", "expressions", "hinged", "hinges", "optimum",
    "summit", "walk",
]  # fmt: skip
