"""What each operator of ONNX does, in calls of torch: one room a kind, each with its table.

A table of one's own, and not a converter that exists:

- *Coverage.* A converter (onnx2torch) writes a module for the batch of the file, and stops at the first operator that
  it lacks. Here a graph for one example becomes a program for any number of them, and an operator that has no entry
  is replaced by those in which the ONNX standard defines it, where it does (`adrgd.models.onnx.functions`).
- *Gradients.* Each activation is the call of torch that `adrgd.activations` recognises, and what is piecewise constant
  keeps a path for its soft slope. Converters compare into truth values and cast into whole numbers, where gradients
  end; `onnx.reference` computes in numpy and has none.
- *Speed.* Constants are folded in double precision when the file is read, and values are freed after their last use.
- *Upkeep.* onnxruntime, and the tests of nodes that the package `onnx` ships with each release, are the oracle: a new
  opset shows in the table of `benchmarks/onnx_nodes.py`.
"""

from __future__ import annotations

from adrgd.models.onnx.kernels import Builder
from adrgd.models.onnx.operators import (
    activations,
    arithmetic,
    choosing,
    classical,
    comparison,
    constants,
    indexing,
    normalisation,
    padding,
    pools,
    products,
    quantisation,
    recurrent,
    reductions,
    resizing,
    shaping,
    signals,
    types,
    windows,
)

__all__ = ["OPERATORS"]

_ROOMS = (
    activations, arithmetic, choosing, classical, comparison, constants, indexing, normalisation, padding, pools,
    products, quantisation, recurrent, reductions, resizing, shaping, signals, types, windows,
)  # fmt: skip

OPERATORS: dict[str, Builder] = {name: build for room in _ROOMS for name, build in room.OPERATORS.items()}
"""By name; those of other domains than ONNX's own with the domain in front, as in com.microsoft.Gelu."""
