"""Activation functions: what they compute, how their slopes soften under noise, and which calls they are."""

from adrgd.activations.hinges import RELU, Number, PiecewiseLinear
from adrgd.activations.normal import LOGISTIC
from adrgd.activations.pooling import MaxPool
from adrgd.activations.recognise import ENTRIES, RECOGNISERS
from adrgd.activations.slopes import Activation, Factor, Slope
from adrgd.activations.sshaped import SIGMOID, SIGN, TANH, SShaped

__all__ = [
    "ENTRIES", "LOGISTIC", "RECOGNISERS", "RELU", "SIGMOID", "SIGN", "TANH", "Activation", "Factor", "MaxPool",
    "Number", "PiecewiseLinear", "SShaped", "Slope",
]  # fmt: skip
