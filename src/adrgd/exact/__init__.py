"""Certified global maxima of small ReLU networks."""

from adrgd.exact.affine import Mlp
from adrgd.exact.certificate import Certificate
from adrgd.exact.certify import certify
from adrgd.exact.extract import mlp_from_module
from adrgd.exact.probe import mlp_from_network

__all__ = ["Certificate", "Mlp", "certify", "mlp_from_module", "mlp_from_network"]
