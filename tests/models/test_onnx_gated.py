"""Activations of ONNX files are gated, and agree with onnxruntime where their form changes as anywhere else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from onnx_cases import VECTOR, model
from onnx_gated import KNOWN_AS, POINTS
from test_onnx import expected, load

from adrgd import GraduatedADR, LinfBall, maximize
from adrgd.gates import look

pytest.importorskip("onnxruntime")

FLAT = {
    "Ceil",
    "Floor",
    "Round",
    "Sign",
    "Greater",
    "Not LessOrEqual",
    "And",
    "ArgMax",
    "Hardmax",
    "Cast to whole numbers",
}


@pytest.mark.parametrize("name", KNOWN_AS)
def test_an_activation_is_seen_and_exact(name: str, tmp_path: Path) -> None:
    nodes, opset, constants, kinds = KNOWN_AS[name]
    proto = model(nodes, VECTOR, opset, **constants)
    net = load(proto, tmp_path).float()
    seen = look(net, torch.from_numpy(POINTS))
    assert sorted(layer.kind for layer in seen.layers) == sorted(kinds)
    assert not [other for other in seen.others if not other.own]
    wanted = np.stack([expected(proto, row[None]) for row in POINTS])
    np.testing.assert_allclose(net(torch.from_numpy(POINTS)).numpy(), wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", sorted(FLAT))
def test_what_is_piecewise_constant_can_be_climbed(name: str, tmp_path: Path) -> None:
    nodes, opset, constants, _ = KNOWN_AS[name]
    net = load(model(nodes, VECTOR, opset, **constants), tmp_path).float()
    weights = torch.linspace(1, 2, net.classes)
    x = torch.full((4, 6), -0.3) - 0.01 * torch.arange(24.0).reshape(4, 6)
    before = net(x) @ weights
    solution = maximize(lambda x: net(x) @ weights, x, domain=LinfBall(x, 3.0), solver=GraduatedADR(), steps=30)
    assert bool((solution.value > before).any())
    assert bool((solution.value >= before).all())
