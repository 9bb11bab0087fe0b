"""Networks of every common kind, as exporters write them, compute what they do in torch, and are gated whole."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from exported_nets import NETS
from torch import nn

from adrgd.errors import AdrgdWarning
from adrgd.gates import look
from adrgd.models.onnx import OnnxNet, load_onnx

RECURRENT = {"lstm", "gru"}
"""Which torch runs in one call, whose activations it does not show."""


def export(net: nn.Module, x: torch.Tensor, file: Path, **how: Any) -> OnnxNet:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of exporters about each other
        torch.onnx.export(net, (x,), str(file), input_names=["x"], **how)
    return load_onnx(file)


def assert_same(net: nn.Module, read: OnnxNet, x: torch.Tensor, *, recurrent: bool) -> None:
    seen = look(read, x)
    assert not [other for other in seen.others if not other.own]
    kinds = [layer.kind.removesuffix(", written out") for layer in seen.layers]
    assert kinds == [layer.kind.removesuffix(", written out") for layer in look(net, x).layers] or recurrent
    torch.testing.assert_close(read(x), net(x).flatten(1), rtol=1e-5, atol=2e-6)
    slopes = []
    for one in (net, read):
        leaf = x.clone().requires_grad_(True)
        slopes.append(torch.autograd.grad(one(leaf).flatten(1).square().sum(), leaf)[0])
    torch.testing.assert_close(slopes[1], slopes[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("batch", ["one", "free"])
@pytest.mark.parametrize("name", NETS)
def test_networks_of_the_older_exporter(name: str, batch: str, tmp_path: Path) -> None:
    make, shape = NETS[name]
    torch.manual_seed(0)
    net, x = make().eval(), torch.randn(4, *shape)
    axes = {"dynamic_axes": {"x": {0: "n"}}} if batch == "free" else {}
    read = export(net, x[:1], tmp_path / "net.onnx", dynamo=False, **axes).float()
    assert_same(net, read, x, recurrent=name in RECURRENT)


@pytest.mark.parametrize("name", ["vit, fused", "generator"])
def test_networks_of_the_newer_exporter(name: str, tmp_path: Path) -> None:
    """It writes weights into a file beside the network."""
    pytest.importorskip("onnxscript", "0.6", reason="onnxscript before 0.6 fails on networks with functions in them")
    logging.getLogger("onnxscript").setLevel(logging.ERROR)
    make, shape = NETS[name]
    torch.manual_seed(0)
    net, x = make().eval(), torch.randn(4, *shape)
    read = export(net, x[:1], tmp_path / "net.onnx", dynamo=True, verbose=False).float()
    assert_same(net, read, x, recurrent=False)


def test_models_of_scikit_learn(tmp_path: Path) -> None:
    converter = pytest.importorskip("skl2onnx")
    sklearn = pytest.importorskip("sklearn.neural_network")
    pipeline, scaling = pytest.importorskip("sklearn.pipeline"), pytest.importorskip("sklearn.preprocessing")
    x = torch.randn(40, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    y = x.abs().sum(1)
    model = pipeline.make_pipeline(
        scaling.StandardScaler(), sklearn.MLPRegressor(hidden_layer_sizes=(8, 8), max_iter=20, random_state=0)
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # so few updates do not converge
        model.fit(x.numpy(), y.numpy())
        written = converter.to_onnx(model, x[:1].float().numpy())
    file = tmp_path / "net.onnx"
    file.write_bytes(written.SerializeToString())
    net = load_onnx(file)
    torch.testing.assert_close(net(x)[:, 0], torch.from_numpy(model.predict(x.numpy())), rtol=1e-5, atol=1e-5)
    assert {layer.kind for layer in look(net, x).layers} == {"relu"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        classifier = sklearn.MLPClassifier(hidden_layer_sizes=(8,), max_iter=5, random_state=0).fit(
            x.numpy(), (y > 3).numpy().astype(int)
        )
        file.write_bytes(converter.to_onnx(classifier, x[:1].float().numpy()).SerializeToString())
    with pytest.warns(AdrgdWarning, match="output_probability is taken"):
        found = load_onnx(file)
    torch.testing.assert_close(found(x), torch.from_numpy(classifier.predict_proba(x.numpy())), rtol=1e-5, atol=1e-5)
