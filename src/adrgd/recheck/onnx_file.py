"""An ONNX file as steps: a small table of operators, one example at a time, everything else refused by name."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from adrgd.recheck.arithmetic import Array
from adrgd.recheck.errors import UncheckedError
from adrgd.recheck.moves import MOVES, Attributes
from adrgd.recheck.steps import Activation, Convolution, Graph, Matrix, Move, Scale, Step

LARGEST = 50_000_000  # numbers in the matrix of an operator
MOST_NEURONS = 20_000

Shape = tuple[int, ...]

ACTIVATIONS = ("Relu", "LeakyRelu", "Sigmoid", "Tanh")


def read_graph(content: bytes) -> Graph:
    """The steps of an ONNX file, for one example.

    Raises:
        UncheckedError: it has an operator, or a form of one, that is not among those known here.
    """
    try:
        model = onnx.load_model_from_string(content)
    except Exception as error:  # protobuf raises its own errors, which differ between its implementations
        raise UncheckedError(
            f"expected an ONNX model, found other content ({error}); name the network's file"
        ) from error
    try:
        return _Reader(model).graph()
    except (ValueError, IndexError, KeyError, TypeError, AttributeError) as error:
        raise UncheckedError(f"expected a network whose shapes fit, found: {error}; export it again") from error


class _Reader:
    """Goes through the nodes once."""

    def __init__(self, model: Any) -> None:
        self.nodes = list(model.graph.node)
        self.constants: dict[str, Array] = {one.name: numpy_helper.to_array(one) for one in model.graph.initializer}
        entries = [one for one in model.graph.input if one.name not in self.constants]
        if len(entries) != 1 or not model.graph.output:
            raise UncheckedError(f"expected a network with one input, found {len(entries)}; export it so")
        self.input, self.output = entries[0].name, model.graph.output[0].name
        sizes = entries[0].type.tensor_type.shape.dim
        self.shapes: dict[str, Shape] = {self.input: tuple(one.dim_value if one.dim_value > 0 else 1 for one in sizes)}
        _check_size(math.prod(self.shapes[self.input]))
        self.steps: list[Step] = []
        self.activations: list[Activation] = []
        self.before: list[str] = []

    def graph(self) -> Graph:
        needed = {self.output}
        nodes = []
        for node in reversed(self.nodes):
            if needed & set(node.output):
                needed |= set(node.input)
                nodes.append(node)
        for node in reversed(nodes):
            self._node(node)
        size = {name: math.prod(shape) for name, shape in self.shapes.items()}
        sizes = tuple(size[name] for name in self.before)
        if sum(sizes) > MOST_NEURONS:
            raise UncheckedError(
                f"proofs are written and checked for at most {MOST_NEURONS} neurons, and there are {sum(sizes)}"
            )
        return Graph(
            self.input, size[self.input], self.output, size[self.output], tuple(self.steps), tuple(self.activations),
            sizes, tuple(self.before),
        )  # fmt: skip

    def _node(self, node: Any) -> None:
        attributes = {one.name: onnx.helper.get_attribute_value(one) for one in node.attribute}
        moving = [name for name in node.input if name in self.shapes]
        if node.op_type == "Constant":
            self.constants[node.output[0]] = self._constant(node, attributes)
        elif not moving and node.op_type in MOVES:
            given = [self.constants[name] for name in node.input if name]
            self.constants[node.output[0]] = MOVES[node.op_type](given[0], attributes, given[1:])
        elif node.domain not in ("", "ai.onnx") or (table := self._table().get(node.op_type)) is None:
            raise UncheckedError(
                f"no proof is checked for operator {node.op_type!r} (node {node.name!r}); leave --proof away"
            )
        else:
            table(node, attributes)

    def _table(self) -> dict[str, Callable[[Any, Attributes], None]]:
        return {
            **dict.fromkeys(MOVES, self._move), **dict.fromkeys(ACTIVATIONS, self._activation), "Add": self._sum,
            "Sub": self._sum, "Neg": self._scale, "Mul": self._scale, "Div": self._scale, "MatMul": self._product,
            "Gemm": self._gemm, "Conv": self._convolution, "Concat": self._concat,
        }  # fmt: skip

    def _constant(self, node: Any, attributes: Attributes) -> Array:
        value = attributes.get("value")
        if value is not None:
            return np.asarray(numpy_helper.to_array(value))
        [(_, number)] = attributes.items()
        return np.array(number)

    def _fixed(self, name: str, node: Any) -> Array:
        if name not in self.constants:
            raise UncheckedError(
                f"no proof is checked for operator {node.op_type!r} (node {node.name!r}) of two tensors that depend on "
                "the input; leave --proof away"
            )
        return np.asarray(self.constants[name], dtype=np.float64)

    def _add(
        self, node: Any, shape: Shape, parts: list[tuple[str, Any]], added: Array | None = None,
        activation: Activation | None = None,
    ) -> None:  # fmt: skip
        if added is not None:
            added = np.ascontiguousarray(np.broadcast_to(added, shape), dtype=np.float64).reshape(-1)
        self.shapes[node.output[0]] = tuple(shape)
        self.steps.append(Step(node.output[0], math.prod(shape), tuple(parts), added, activation))

    def _move(self, node: Any, attributes: Attributes) -> None:
        name = node.input[0]
        size = math.prod(self.shapes[name])
        if node.op_type == "Gather":
            axis = int(attributes.get("axis", 0))
            _check_size(size // max(1, self.shapes[name][axis]) * self.constants[node.input[1]].size)
        given = [self.constants[other] for other in node.input[1:] if other and node.op_type != "Dropout"]
        numbers = MOVES[node.op_type](np.arange(size).reshape(self.shapes[name]), attributes, given)
        at = numbers.reshape(-1)
        same = len(at) == size and bool((at == np.arange(size)).all())
        self._add(node, numbers.shape, [(name, None if same else Move(at, np.arange(len(at)), size, len(at)))])

    def _concat(self, node: Any, attributes: Attributes) -> None:
        shapes = [self.shapes[name] if name in self.shapes else self.constants[name].shape for name in node.input]
        places = [np.full(shape, k) for k, shape in enumerate(shapes)]
        axis = int(attributes["axis"])
        owner = np.concatenate(places, axis)
        parts, added = [], np.zeros(owner.shape)
        for k, name in enumerate(node.input):
            to = np.flatnonzero(owner.reshape(-1) == k)
            if name in self.shapes:
                # C order is kept inside each part, whatever the axis is
                parts.append((name, Move(np.arange(len(to)), to, len(to), owner.size)))
            else:
                added.reshape(-1)[to] = self._fixed(name, node).reshape(-1)
        self._add(node, owner.shape, parts, added)

    def _activation(self, node: Any, attributes: Attributes) -> None:
        slope = float(attributes.get("alpha", 0.01)) if node.op_type == "LeakyRelu" else 0.0
        if not 0 <= slope <= 1:
            raise UncheckedError(f"no proof is checked for a LeakyRelu with slope {slope:g}; leave --proof away")
        made = Activation(node.op_type, len(self.activations), slope)
        self.activations.append(made)
        self.before.append(node.input[0])
        self._add(node, self.shapes[node.input[0]], [(node.input[0], None)], activation=made)

    def _sum(self, node: Any, attributes: Attributes) -> None:
        first, second = node.input
        shape = np.broadcast_shapes(*(self.shapes.get(name) or self.constants[name].shape for name in node.input))
        sign = -1.0 if node.op_type == "Sub" else 1.0
        parts, added = [], None
        for name, factor in ((first, 1.0), (second, sign)):
            if name in self.shapes:
                parts.append((name, self._spread(name, shape, factor)))
            else:
                added = factor * self._fixed(name, node)
        self._add(node, shape, parts, added)

    def _spread(self, name: str, shape: Shape, factor: float) -> Any:
        if self.shapes[name] != shape and math.prod(self.shapes[name]) != math.prod(shape):
            raise UncheckedError("no proof is checked for sums that repeat a tensor; leave --proof away")
        return None if factor == 1.0 else Scale(np.full(math.prod(shape), factor))

    def _scale(self, node: Any, attributes: Attributes) -> None:
        if node.op_type == "Neg":
            name, scale = node.input[0], np.array(-1.0)
        else:
            name = next((one for one in node.input if one in self.shapes), node.input[0])
            other = node.input[1] if name == node.input[0] else node.input[0]
            scale = self._fixed(other, node)
            if node.op_type == "Div" and name != node.input[0]:
                raise UncheckedError("no proof is checked for a division by what depends on the input")
        shape = np.broadcast_shapes(self.shapes[name], scale.shape)
        self._spread(name, shape, 1.0)
        full = np.ascontiguousarray(np.broadcast_to(scale, shape)).reshape(-1)
        self._add(node, shape, [(name, Scale(full, divides=node.op_type == "Div"))])

    def _product(self, node: Any, attributes: Attributes) -> None:
        left, right = node.input
        if left in self.shapes:
            matrix, shape = self._fixed(right, node), self.shapes[left]
            if matrix.ndim != 2:
                raise UncheckedError("no proof is checked for a MatMul with more than a matrix; leave --proof away")
            columns = math.prod(shape[:-1])
            self._add(node, (*shape[:-1], matrix.shape[1]), [(left, Matrix(_whole(matrix.T), columns))])
            return
        matrix, shape = self._fixed(left, node), self.shapes[right]
        if matrix.ndim != 2 or math.prod(shape) != matrix.shape[1]:
            raise UncheckedError("no proof is checked for a MatMul with more than a matrix; leave --proof away")
        self._add(node, (len(matrix), *shape[1:]), [(right, Matrix(_whole(matrix)))])

    def _gemm(self, node: Any, attributes: Attributes) -> None:
        name, shape = node.input[0], self.shapes[node.input[0]]
        matrix = self._fixed(node.input[1], node)
        if attributes.get("alpha", 1.0) != 1.0 or attributes.get("transA", 0) or attributes.get("beta", 1.0) != 1.0:
            raise UncheckedError("no proof is checked for a Gemm with alpha, beta or transA; leave --proof away")
        matrix = matrix if attributes.get("transB", 0) else matrix.T
        added = self._fixed(node.input[2], node) if len(node.input) > 2 and node.input[2] else None
        self._add(node, (shape[0], len(matrix)), [(name, Matrix(_whole(matrix), shape[0]))], added)

    def _convolution(self, node: Any, attributes: Attributes) -> None:
        name, weight = node.input[0], self._fixed(node.input[1], node)
        shape = self.shapes[name]
        if weight.ndim != 4 or shape[0] != 1 or attributes.get("auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID"):
            raise UncheckedError("no proof is checked for a Conv of this form; leave --proof away")
        top, left, bottom, right = attributes.get("pads", [0, 0, 0, 0])
        steps, gaps = attributes.get("strides", [1, 1]), attributes.get("dilations", [1, 1])
        height, width = shape[2:]
        kernel = weight.shape[2:]
        reach = [gap * (size - 1) + 1 for gap, size in zip(gaps, kernel, strict=True)]
        outer = (height + top + bottom - reach[0]) // steps[0] + 1, (width + left + right - reach[1]) // steps[1] + 1
        _check_size(len(weight) * max(outer[0], 1) * max(outer[1], 1) * math.prod(kernel))
        places = []
        rows, columns = np.indices(outer).reshape(2, -1)
        for y, x in np.ndindex(*kernel):
            down, along = rows * steps[0] + y * gaps[0] - top, columns * steps[1] + x * gaps[1] - left
            inside = (down >= 0) & (down < height) & (along >= 0) & (along < width)
            places.append((y, x, (down * width + along)[inside], np.flatnonzero(inside)))
        made = Convolution(
            weight, int(attributes.get("group", 1)), tuple(places), (shape[1], height, width), (len(weight), *outer)
        )
        added = self._fixed(node.input[2], node)[:, None, None] if len(node.input) > 2 and node.input[2] else None
        self._add(node, (1, len(weight), *outer), [(name, made)], added)


def _whole(matrix: Array) -> Array:
    _check_size(matrix.size)
    return np.ascontiguousarray(matrix)


def _check_size(numbers: int) -> None:
    if numbers > LARGEST:
        raise UncheckedError(f"proofs are checked for operators of at most {LARGEST} numbers, found {numbers}")
