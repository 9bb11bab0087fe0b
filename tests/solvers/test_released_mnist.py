"""The released attack on MNIST against a second reading of it: numpy, one image at a time, matrices multiplied out.

What the authors' code does, as found by reading and running it: it searches the perturbation d of an image, from zero,
within the ball alone. The two share no code but the noise that is added to eta.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from adrgd import ADRGD, Classify, LinfBall, Misclassify, Solution, UsageError, maximize
from adrgd.gates import find_layers
from adrgd.objective import cross_entropy
from adrgd.rows import RowRandom
from adrgd.solvers import PRESETS, Normalised, preset

Array = NDArray[np.float64]

EPS, STEPS = 0.2, 30


@pytest.fixture(scope="module")
def net() -> nn.Sequential:
    """A convolution and two linear layers over images of 5 x 5, the architecture of the MNIST networks in small."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        made = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(18, 8), nn.ReLU(), nn.Linear(8, 4))
    for parameter in made.parameters():
        parameter.data *= 2  # so that some normals are longer than one
    return made.double().eval().requires_grad_(False)


@pytest.fixture(scope="module")
def images() -> Tensor:
    return torch.rand(3, 1, 5, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(5))


def unrolled(net: nn.Sequential) -> list[tuple[Array, Array]]:
    """The matrix and the bias of each layer."""
    kernel, bias = net[0].weight.numpy(), net[0].bias.numpy()
    matrix = np.zeros((2, 3, 3, 5, 5))
    for channel in range(2):
        for row in range(3):
            for column in range(3):
                matrix[channel, row, column, row : row + 3, column : column + 3] = kernel[channel, 0]
    rest = [(layer.weight.numpy(), layer.bias.numpy()) for layer in (net[3], net[5])]
    return [(matrix.reshape(18, 25), np.repeat(bias, 9)), *rest]


@dataclass
class Trace:
    """d after each iteration, the best point recorded, and what happened on the way."""

    visited: list[Array]
    recorded: Array
    perturbed: int = 0
    most_torn: float = 0.0
    beta: float = 0.5


def attacked(
    layers: list[tuple[Array, Array]], image: Array, wanted: int, sign: float, noise: Callable[[int, int], Array]
) -> Trace:
    """The whole attack on one image (n,): raise sign times the cross-entropy of class `wanted`."""
    hidden, (last, last_bias) = layers[:-1], layers[-1]

    def true(x: Array) -> tuple[list[Array], Array]:
        before = []
        for matrix, bias in hidden:
            before.append(matrix @ x + bias)
            x = np.maximum(before[-1], 0)
        return before, last @ x + last_bias

    def patterned(h: list[Array]) -> list[Array]:  # off: above one half, as the code counts
        return [np.where(one >= 0, 0.49, 0.51) for one in h]

    def loss(logits: Array) -> float:
        return sign * float(np.log(np.exp(logits - logits[wanted]).sum()))

    d, beta, accumulated = np.zeros_like(image), 0.5, 0.0
    eta, last_noise = patterned(true(image)[0]), [1] * len(hidden)
    trace = Trace([], image)
    best = loss(true(image)[1])
    for iteration in range(1, STEPS + 1):
        h, logits = true(image + d)
        if iteration > 1 and (iteration - 1) % 16 == 0:
            eta = patterned(h)
        gates = [1 - 1 / (1 + np.exp(-2000 * (e - 0.5))) for e in eta]
        # the surrogate network, its normals behind their gates, and the loss of its logits divided by their norm
        x, inner, normals, P = image + d, [], [], np.eye(len(image))
        for (matrix, bias), gate in zip(hidden, gates, strict=True):
            inner.append(matrix @ x + bias)
            x, P = gate * inner[-1], gate[:, None] * (matrix @ P)
            normals.append(np.maximum(1, np.linalg.norm(P, axis=1)))
        out = last @ x + last_bias
        unit = out / np.linalg.norm(out)
        share = np.exp(unit) / np.exp(unit).sum()
        back = sign * (share - (np.arange(len(out)) == wanted)) / np.linalg.norm(out)
        back = last.T @ back
        eta_of_objective: list[Array] = []
        for k in reversed(range(len(hidden))):
            eta_of_objective.insert(0, -2000 * gates[k] * (1 - gates[k]) * inner[k] * back)
            back = hidden[k][0].T @ (gates[k] * back)
        # the largest violation of each sign, layer by layer, and its gradients
        constraint, pull, eta_of_constraint = 0.0, [np.zeros_like(one) for one in h], [np.zeros_like(e) for e in eta]
        for k in range(len(hidden)):
            distance = h[k] / normals[k]
            for violation in (distance * np.maximum(eta[k] - 0.5, 0), distance * np.minimum(eta[k] - 0.5, 0)):
                j = int(violation.argmax())
                if violation[j] > 0:
                    constraint += violation[j]
                    pull[k][j] += (eta[k][j] - 0.5) / normals[k][j]
                    eta_of_constraint[k][j] += distance[j]
        down = np.zeros(len(h[-1]))
        for k in reversed(range(len(hidden))):
            down = hidden[k][0].T @ (np.where(h[k] > 0, down, 0) + pull[k])
        gradient = -back + beta * down
        moved, marked = [], False
        for k, e in enumerate(eta):
            step = -eta_of_objective[k] + beta * eta_of_constraint[k]
            size = np.linalg.norm(step)
            if size > 1:
                step = step / size
            if size <= 1e-5 and iteration - last_noise[k] >= 5:
                step, last_noise[k], marked = step - 1e-3 * noise(k, iteration), iteration, True
            moved.append(np.clip(e - 0.25 * step, 0.3, 0.7))
        if marked:
            trace.perturbed += 1
            if loss(logits) > best:
                best, trace.recorded = loss(logits), image + d
        eta = moved
        accumulated += constraint
        beta = float(np.clip(beta - 0.001 if accumulated <= 0.01 else beta + 1e-4 * accumulated, 0.2, 10))
        d = np.clip(d - gradient / max(1.0, float(np.linalg.norm(gradient))), -EPS, EPS)
        trace.visited.append(d)
        trace.most_torn = max(trace.most_torn, constraint)
    trace.beta = beta
    return trace


def walked(net: nn.Module, images: Tensor, goal: str, solver: ADRGD) -> tuple[list[Tensor], Solution, Tensor]:
    """The points d (B, n) of every iteration, the solution, and the classes that the attack was about."""
    labels = net(images).argmax(1)
    wanted = labels if goal == "untargeted" else (labels + 1) % 4
    points: list[Tensor] = []

    def model(x: Tensor) -> Tensor:
        if not torch._C._functorch.is_functorch_wrapped_tensor(x):  # where norms are measured
            points.append((x.detach() - images[: len(x)]).flatten(1))
        out: Tensor = net(x)
        return out

    objective = Misclassify(model, wanted) if goal == "untargeted" else Classify(model, wanted)
    found = maximize(objective, images, domain=LinfBall(images, EPS), solver=solver, steps=STEPS, seed=7, check=False)
    return [d for k, d in enumerate(points) if not k or not torch.equal(d, points[k - 1])], found, wanted


@pytest.mark.parametrize("goal", ["untargeted", "targeted"])
def test_the_same_iterates(net: nn.Sequential, images: Tensor, goal: str) -> None:
    """All of them, in a batch, and the same recorded points; noise, resets and torn constraints are among them."""
    visited, found, wanted = walked(net, images, goal, preset(f"released-mnist-{goal}"))
    random = RowRandom.seeded(7, torch.arange(len(images)))
    traces = []
    for k, image in enumerate(images):

        def noise(layer: int, iteration: int, k: int = k) -> Array:
            shape = ((2, 3, 3), (8,))[layer]
            return random.normal(shape, f"eta {layer}", iteration, torch.float64)[k].flatten().numpy()

        sign = 1.0 if goal == "untargeted" else -1.0
        traces.append(attacked(unrolled(net), image.flatten().numpy(), int(wanted[k]), sign, noise))
    assert len(visited) == STEPS + 1
    for iteration, d in enumerate(visited[1:]):
        expected = np.stack([trace.visited[iteration] for trace in traces])
        assert np.abs(d.numpy() - expected).max() < 1e-9, iteration
    assert found.recorded is not None
    expected = np.stack([trace.recorded for trace in traces])
    assert np.abs(found.recorded.x.flatten(1).numpy() - expected).max() < 1e-9
    assert (found.value >= found.recorded.value).all()
    assert all(trace.perturbed > 1 for trace in traces)
    assert max(trace.most_torn for trace in traces) > 1e-3
    assert max(trace.beta for trace in traces) > 0.5 - STEPS * 0.001  # it rose at times


@pytest.mark.parametrize(
    "other",
    [
        {"own_gate": False}, {"least_norm": 0.0}, {"unit_logits": False}, {"accumulate": False}, {"reset_every": 0},
        {"reduction": "sum"}, {"normalise_eta": "always"}, {"r": 0.1}, {"delta": 0.0}, {"T_p": 25}, {"alpha_beta": 0.1},
        {"beta0": 1.0}, {"gamma": 0.01}, {"alpha_eta": 0.1}, {"margin": 0.02}, {"scale_objective": True},
    ],
    ids=lambda other: next(iter(other)),
)  # fmt: skip
def test_each_switch_takes_part(net: nn.Sequential, images: Tensor, other: dict[str, Any]) -> None:
    """So that the agreement above says something about every one of them."""
    released = preset("released-mnist-untargeted")
    one = walked(net, images, "untargeted", released)[0]
    two = walked(net, images, "untargeted", replace(released, gates=replace(released.gates, **other)))[0]
    assert max(float((a - b).abs().max()) for a, b in zip(one, two, strict=True)) > 1e-9


def test_a_short_gradient_is_not_stretched(net: nn.Sequential, images: Tensor) -> None:
    released = preset("released-mnist-untargeted")
    near = [
        walked(net, images, "untargeted", replace(released, step=Normalised(length=1.0, least=least)))[0][1]
        for least in (0.0, 1.0)
    ]
    assert (near[1].norm(dim=1) < near[0].norm(dim=1)).all()


def test_what_the_start_already_is_stays_recorded(net: nn.Sequential, images: Tensor) -> None:
    """Where eta is never perturbed no point is looked at, while the best iterate is kept all the same."""
    released = preset("released-mnist-untargeted")
    _, found, _ = walked(net, images, "untargeted", replace(released, gates=replace(released.gates, perturb=False)))
    assert found.recorded is not None
    assert torch.equal(found.recorded.x, images)
    assert (found.value > found.recorded.value).all()


def test_rows_go_on_after_success(net: nn.Sequential, images: Tensor) -> None:
    """The point to be recorded may come later."""
    _, found, _ = walked(net, images, "untargeted", preset("released-mnist-untargeted"))
    assert found.reached.any()
    assert (found.backwards == found.backwards[0]).all()


def test_needs_logits(net: nn.Sequential, images: Tensor) -> None:
    with pytest.raises(UsageError, match="this objective has none"):
        maximize(lambda x: net(x)[:, 0], images, domain=LinfBall(images, EPS), solver=preset("released-mnist-targeted"))


@pytest.mark.parametrize("size", [1.0, 1e4])
def test_the_loss_is_no_layer(net: nn.Sequential, images: Tensor, size: float) -> None:
    """What a loss does with logits, sure ones as well, is no activation of the network."""
    objective = Misclassify(lambda x: size * net(x), net(images).argmax(1)).of_unit_logits()
    plain = replace(objective, loss=cross_entropy)
    assert len(find_layers(lambda x: plain(x, torch.arange(len(x))).value, images)) == 2
    assert len(find_layers(lambda x: objective(x, torch.arange(len(x))).value, images)) == 2


@pytest.mark.parametrize("name", ["cifar10-untargeted", "imagenet-targeted", "td3", "fruitbot"])
def test_nothing_is_called_released_that_was_not(name: str) -> None:
    assert f"paper-{name}" in PRESETS
    with pytest.raises(UsageError, match="unknown ADR-GD preset"):
        preset(f"released-{name}")
