"""Many attacks on many models at several radii, on the same images and judged by the same check."""

from adrgd.attacks.matrix.entrants import Noise, Own
from adrgd.attacks.matrix.peers import Peer
from adrgd.attacks.matrix.run import run_matrix

__all__ = ["Noise", "Own", "Peer", "run_matrix"]
