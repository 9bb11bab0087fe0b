"""Write a network of convolutions, ReLUs and linear layers to the files that `load_model` reads."""

import warnings
from pathlib import Path

import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn


def save(net: nn.Sequential, file: Path) -> None:
    """As torch.export, TorchScript or ONNX, by the file's ending; inputs are (B, 1, 28, 28)."""
    x = torch.zeros(2, 1, 28, 28)
    if file.suffix == ".pt2":
        batch = torch.export.Dim("batch")
        torch.export.save(torch.export.export(net, (x,), dynamic_shapes=({0: batch},)), file)
    elif file.suffix == ".pt":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.jit.trace(net, x).save(str(file))
    else:
        onnx.save(as_onnx(net), str(file))


def as_onnx(net: nn.Sequential, shape: tuple[int, ...] = (1, 1, 28, 28), outputs: int = 10) -> onnx.ModelProto:
    nodes, constants, at = [], [], "x"
    for k, layer in enumerate(net):
        out = f"t{k}"
        for name, value in layer.state_dict().items():
            constants.append(numpy_helper.from_array(value.detach().numpy(), f"{k}.{name}"))
        match layer:
            case nn.Conv2d():
                nodes.append(helper.make_node("Conv", [at, f"{k}.weight", f"{k}.bias"], [out]))
            case nn.Linear():
                nodes.append(helper.make_node("Gemm", [at, f"{k}.weight", f"{k}.bias"], [out], transB=1))
            case nn.ReLU():
                nodes.append(helper.make_node("Relu", [at], [out]))
            case nn.Flatten():
                nodes.append(helper.make_node("Flatten", [at], [out]))
            case _:
                raise TypeError(type(layer).__name__)
        at = out
    info = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes, "net", [info("x", TensorProto.FLOAT, shape)], [info(at, TensorProto.FLOAT, [1, outputs])], constants
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
