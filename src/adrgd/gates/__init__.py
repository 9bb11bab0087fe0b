"""Sees the activations inside any callable, and replaces what they compute."""

from adrgd.gates.call import Call
from adrgd.gates.layers import Layer, Layers, Picked, Selected, select
from adrgd.gates.look import ROWS, Inventory, Other, count_neurons, find_layers, look
from adrgd.gates.mode import Gates, noting
from adrgd.gates.summary import Gating

__all__ = [
    "ROWS",
    "Call",
    "Gates",
    "Gating",
    "Inventory",
    "Layer",
    "Layers",
    "Other",
    "Picked",
    "Selected",
    "count_neurons",
    "find_layers",
    "look",
    "noting",
    "select",
]
