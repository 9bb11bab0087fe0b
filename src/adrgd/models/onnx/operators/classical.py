"""Operators of ai.onnx.ml that compute with numbers, which converters of scikit-learn's models write beside ONNX's."""

from __future__ import annotations

import torch
from torch import Tensor

from adrgd.models.onnx.kernels import Builder, Kernel, Reach, Site
from adrgd.models.onnx.kinds import FLOAT, INT64
from adrgd.models.onnx.operators.comparison import step


def numbers(site: Site, name: str, default: list[float]) -> Tensor:
    return torch.tensor(site.attribute(name, default) or default, dtype=torch.float64)


def scaler(site: Site) -> Kernel:
    offset, scale = numbers(site, "offset", [0.0]), numbers(site, "scale", [1.0])
    return Kernel(lambda x, offset, scale: (x - offset) * scale, (0, offset, scale), Reach.BEHIND, (FLOAT,))


def binarizer(site: Site) -> Kernel:
    threshold = float(site.attribute("threshold", 0.0))
    return Kernel(lambda x: step(x - threshold, 0.0), (0,), Reach.POINT)


def normalizer(site: Site) -> Kernel:
    kind = site.attribute("norm", "MAX")
    if kind not in ("MAX", "L1", "L2"):
        raise site.unsupported(f"with the norm {kind!r}")

    def run(x: Tensor) -> Tensor:
        if kind == "MAX":
            size = x.amax(-1, keepdim=True)
        else:
            size = torch.linalg.vector_norm(x, int(kind[1]), -1, keepdim=True)
        return x / torch.where(size == 0, torch.ones_like(size), size)

    return Kernel(run, (0,), Reach.BEHIND, (FLOAT,))


def linear_regressor(site: Site) -> Kernel:
    targets = int(site.attribute("targets", 1))
    if site.attribute("post_transform", "NONE") != "NONE":
        raise site.unsupported("with something done to its results")
    weight = numbers(site, "coefficients", [0.0]).reshape(targets, -1)
    bias = numbers(site, "intercepts", [0.0] * targets)
    return Kernel(torch.nn.functional.linear, (0, weight, bias), Reach.LAST, (FLOAT,))


def linear_classifier(site: Site) -> Kernel:
    bias = numbers(site, "intercepts", [0.0])
    classes, ways = len(bias), {"NONE": None, "LOGISTIC": torch.sigmoid, "SOFTMAX": lambda x: x.softmax(-1)}
    names = site.attribute("classlabels_ints", None) or list(range(classes))
    after = site.attribute("post_transform", "NONE")
    if after not in ways or classes < 2 or len(names) != classes:
        raise site.unsupported("with other scores than one for each class" if after in ways else f"with {after}")
    weight, labels = numbers(site, "coefficients", [0.0]).reshape(classes, -1), torch.tensor(names, dtype=torch.float64)

    def run(x: Tensor, weight: Tensor, bias: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        scores = torch.nn.functional.linear(x, weight, bias)
        way = ways[after]
        return labels[scores.argmax(-1)], scores if way is None else way(scores)

    return Kernel(run, (0, weight, bias, labels), Reach.ROW, (INT64, FLOAT))


OPERATORS: dict[str, Builder] = {
    "ai.onnx.ml.Binarizer": binarizer,
    "ai.onnx.ml.LinearClassifier": linear_classifier,
    "ai.onnx.ml.LinearRegressor": linear_regressor,
    "ai.onnx.ml.Normalizer": normalizer,
    "ai.onnx.ml.Scaler": scaler,
}
