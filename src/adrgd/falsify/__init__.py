"""Counterexamples to properties of networks: ONNX and VNN-LIB files in, a verdict and a replayed input out."""

from adrgd.falsify.counterexample import Counterexample, read_counterexample
from adrgd.falsify.property import Case, Property, PropertyError
from adrgd.falsify.replay import Replay
from adrgd.falsify.run import Verdict, falsify
from adrgd.falsify.vnnlib import load_property, read_property
from adrgd.falsify.written import Rechecked, check_proof

__all__ = [
    "Case",
    "Counterexample",
    "Property",
    "PropertyError",
    "Rechecked",
    "Replay",
    "Verdict",
    "check_proof",
    "falsify",
    "load_property",
    "read_counterexample",
    "read_property",
]
