"""The random networks of experiments/random_nets: their recipe, and their evaluation in one batch."""

import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from adrgd import Box, maximize
from adrgd.gates import find_layers

HERE = Path(__file__).resolve().parents[2] / "experiments" / "random_nets"


@pytest.fixture(scope="module")
def module() -> dict[str, Any]:
    return runpy.run_path(str(HERE / "nets.py"))


def test_recipe(module: dict[str, Any]) -> None:
    """Against the recipe written out: weights, then biases, layer by layer, rounded to float32."""
    widths, seed = (10, 64, 64, 1), 7
    x = np.linspace(-1, 1, 10)
    rng = np.random.default_rng(seed)
    h = x
    for k, (inside, outside) in enumerate(((10, 64), (64, 64), (64, 1))):
        weight = rng.uniform(-1, 1, (outside, inside)).astype(np.float32).astype(float)
        bias = rng.uniform(-1, 1, (outside,)).astype(np.float32).astype(float)
        h = weight @ h + bias
        h = np.maximum(h, 0) if k < 2 else h
    nets = module["Nets"](widths, [3, seed], dtype=torch.float64)
    found = nets(torch.from_numpy(x)[None], torch.tensor([1]))
    assert found.item() == pytest.approx(h.item(), rel=1e-12)


@pytest.mark.parametrize("restarts", [1, 3])
def test_batch_agrees_with_rows_one_by_one(module: dict[str, Any], restarts: int) -> None:
    nets = module["Nets"]((4, 8, 8, 1), range(5), dtype=torch.float64)
    rows = torch.arange(5).repeat(restarts)
    x = torch.rand(5 * restarts, 4, dtype=torch.float64)
    order = torch.arange(len(x)).flip(0)
    together = nets(x, rows)
    apart = nets(x[order], rows[order])
    assert torch.allclose(together[order], apart, rtol=1e-12)


def test_rows_beyond_the_number_of_nets_are_more_starts(module: dict[str, Any]) -> None:
    nets = module["Nets"]((4, 8, 1), range(3), dtype=torch.float64)
    x = torch.rand(3, 4, dtype=torch.float64).repeat(2, 1)
    values = nets(x, torch.arange(6))
    assert torch.equal(values[:3], values[3:])


def test_layers_are_batch_first(module: dict[str, Any]) -> None:
    nets = module["Nets"]((4, 8, 6, 1), range(3))
    layers = find_layers(lambda x: nets(x, torch.arange(3).repeat(2)), torch.zeros(6, 4))
    assert [layer.shape for layer in layers] == [(8,), (6,)]


def test_a_net_s_result_does_not_depend_on_its_company(module: dict[str, Any]) -> None:
    both = module["Nets"]((4, 8, 8, 1), [0, 1], dtype=torch.float64)
    alone = module["Nets"]((4, 8, 8, 1), [1], dtype=torch.float64)
    start = torch.zeros(2, 4, dtype=torch.float64)
    found = [
        maximize(
            nets, start[: len(name)], domain=Box(-1.0, 1.0), steps=20, restarts=3, identity=torch.tensor(name)
        ).value
        for nets, name in ((both, [0, 1]), (alone, [1]))
    ]
    assert found[0][1].item() == pytest.approx(found[1][0].item(), rel=1e-9)
