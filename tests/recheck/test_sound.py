"""The checker's bounds: never above what the network does, in either arithmetic, whatever the slopes are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator

from adrgd.recheck.arithmetic import Arithmetic, Exact, Floats
from adrgd.recheck.backward import Box, bounds
from adrgd.recheck.check import Checker, Leaf
from adrgd.recheck.dyadic import Dyadic
from adrgd.recheck.errors import UncheckedError
from adrgd.recheck.onnx_file import read_graph
from adrgd.recheck.proof import Claim
from recheck.nets import Array, Net, everything, mlp

ROUNDED = 1e-3  # of the networks themselves, which run in single precision


def values(content: bytes, points: Array) -> dict[str, Array]:
    """All tensors at points (n, inputs), flat, as onnx's own reference has them."""
    model = onnx.load_model_from_string(content)
    del model.graph.output[:]
    model.graph.output.extend(onnx.helper.make_empty_tensor_value_info(node.output[0]) for node in model.graph.node)
    run = ReferenceEvaluator(model)
    shape = [size.dim_value for size in model.graph.input[0].type.tensor_type.shape.dim]
    found = [run.run(None, {"x": point.reshape(shape).astype(np.float32)}) for point in points]
    names = [output.name for output in model.graph.output]
    return {name: np.array([one[k].reshape(-1) for one in found]) for k, name in enumerate(names)}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("make", "arithmetic"),
    [
        (everything, Floats()), (lambda seed: mlp(seed), Exact()),
        (lambda seed: mlp(seed, "LeakyRelu"), Exact()),
        (lambda seed: mlp(seed, "Sigmoid"), Floats()), (lambda seed: mlp(seed, "Tanh"), Floats()),
        (lambda seed: mlp(seed, "Relu", (3, 9, 8, 7, 2)), Floats()),
    ],
)  # fmt: skip
def test_no_point_is_below_a_bound(make: object, arithmetic: Arithmetic, seed: int) -> None:
    content = make(seed)  # type: ignore[operator]
    graph = read_graph(content)
    random = np.random.default_rng(seed)
    centre, radius = random.normal(size=graph.inputs), 0.5
    claim = Claim(centre - radius, centre + radius, random.normal(size=(2, graph.outputs)),
                  random.normal(size=(2, graph.inputs)), random.normal(size=2), 0)  # fmt: skip
    points = (random.uniform(-1, 1, size=(60, graph.inputs)).round(1) * radius + centre).astype(np.float32)
    seen = values(content, points)
    leaf = Leaf(claim, Box(claim.lower, claim.upper), ())
    checker = Checker(graph, arithmetic, {})
    around = checker.around(leaf)
    assert around is not None
    for name, lines, one in zip(graph.before, around, graph.activations, strict=True):
        at, made = seen[name], seen[next(s.output for s in graph.steps if s.activation is one)]
        assert (at > lines.lower - ROUNDED).all()
        assert (at < lines.upper + ROUNDED).all()
        assert (made > lines.lower_slope * at + lines.lower_offset - ROUNDED).all()
        assert (made < lines.upper_slope * at + lines.upper_offset + ROUNDED).all()
    reached = seen[graph.output] @ claim.on_outputs.T + points @ claim.on_inputs.T + claim.offset
    for _ in range(5):
        rows = random.uniform(0, 1, size=(1, 2))
        signs = tuple((int(n), int(random.choice([-1, 1]))) for n in random.permutation(sum(graph.sizes))[:2])
        part = Leaf(claim, leaf.box, signs)
        before = np.concatenate([seen[name] for name in graph.before], 1)
        inside = np.all([side * before[:, neuron] <= 0 for neuron, side in signs], 0)
        near = checker.around(part)
        if near is None:
            assert not inside.any()
            continue
        shares, weights = random.uniform(0, 1, sum(graph.sizes)), random.exponential(size=2)
        total = checker.values(part, near, rows, shares, weights)
        assert (reached[inside] @ rows[0] >= total.down()[0] - ROUNDED * (1 + weights.sum())).all()


@pytest.mark.parametrize("activation", ["Relu", "LeakyRelu"])
def test_float64_never_says_more_than_exact_numbers_and_hardly_less(activation: str) -> None:
    for seed in range(3):
        graph = read_graph(mlp(seed, activation, (3, 8, 8, 8, 2)))
        random = np.random.default_rng(seed)
        centre = random.normal(size=3)
        claim = Claim(centre - 1, centre + 1, random.normal(size=(4, 2)), None, random.normal(size=4), 0)
        leaf = Leaf(claim, Box(claim.lower, claim.upper), ((3, 1), (9, -1)))
        shares, weights = random.uniform(0, 1, 24), random.exponential(size=2)
        floats, exact = Checker(graph, Floats(), {}), Checker(graph, Exact(), {})
        around = floats.around(leaf)
        assert around is not None
        low = floats.values(leaf, around, np.eye(4), shares, weights).down()
        high = exact.values(leaf, around, np.eye(4), shares, weights).down()
        assert (low <= high).all()
        assert np.allclose(low, high, rtol=1e-9, atol=1e-9)


def test_whole_numbers_over_powers_of_two_are_exact() -> None:
    random = np.random.default_rng(0)
    a, b = random.normal(size=(3, 4)) * 10.0 ** random.integers(-12, 12, size=(3, 4)), random.normal(size=(4, 2))
    one = Dyadic.of(a)
    assert (one.down() == a).all()
    product = (one @ Dyadic.of(b)).down()
    assert np.allclose(product, a @ b, rtol=1e-12)
    assert ((one + (-one)).down() == 0).all()
    least = np.array([2.0**-1074, 0.0, -(2.0**-1074)])
    assert (Dyadic.of(least).down() == least).all()
    half = Dyadic.of(least) * Dyadic.of(np.array([0.5, 0.5, 0.5]))
    assert (half.down() == [0.0, 0.0, -(2.0**-1074)]).all()


def test_bounds_of_a_layer_get_better_by_slopes_of_their_own() -> None:
    graph = read_graph(mlp(1, widths=(2, 6, 5, 1)))
    box = Box(np.array([-1.0, -1.0]), np.array([1.0, 1.0]))
    usual = bounds(graph, Floats(), box, lambda *_: None)
    own = np.arange(5), np.full((2, 5, 6), 0.5)
    both = bounds(graph, Floats(), box, lambda layer, *_: own if layer == 1 else None)
    assert (both[1].lower >= usual[1].lower).all()
    assert (both[1].lower > usual[1].lower).any()


def large(op: str) -> bytes:
    """A few bytes that ask for very much."""
    net = Net((1, 1, 1000, 1000), 0)
    if op == "Gather":
        net.add("Gather", np.zeros(10_000, dtype=np.int64), axis=0)
    elif op == "Conv":
        net.add("Conv", net.draw(1, 1, 1, 1), pads=[10**6] * 4)
    else:
        net.shape = (1, 10**6, 10**6)
        net.add("Flatten")
    return net.content()


@pytest.mark.parametrize("op", ["Gather", "Conv", "Flatten"])
def test_networks_that_ask_for_too_much_are_refused(op: str) -> None:
    with pytest.raises(UncheckedError, match="at most 50000000 numbers"):
        read_graph(large(op))


@pytest.mark.parametrize(
    ("content", "reason"),
    [(mlp(0).replace(b"Relu", b"Elu2"), "Elu2"), (b"nothing", "expected an ONNX model"), (b"", "one input")],
)
def test_other_networks_are_refused(content: bytes, reason: str, tmp_path: Path) -> None:
    with pytest.raises(UncheckedError, match=reason):
        read_graph(content)
