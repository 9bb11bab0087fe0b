"""ONNX operators that balance numbers against each other: softmax and the normalisations."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from adrgd.models.onnx.kernels import Builder, Kernel, Reach, Site
from adrgd.models.onnx.operators.axes import lifted


def softmax(function: Callable[[Tensor, int], Tensor]) -> Builder:
    def build(site: Site) -> Kernel:
        if site.node.opset >= 13:
            axis = site.from_end(site.attribute("axis", -1))
            return Kernel(lambda x: function(x, axis), (0,), Reach.BEHIND)
        # the older operator is one softmax over this and all later axes
        first = site.from_end(site.attribute("axis", 1))
        return Kernel(lambda x: function(x.flatten(first), -1).reshape(x.shape), (0,), Reach.BEHIND)

    return build


def batch_normalization(site: Site) -> Kernel:
    if site.attribute("training_mode", 0) or len([name for name in site.node.outputs if name]) > 1:
        raise site.unsupported("in training mode")
    epsilon = float(site.attribute("epsilon", 1e-5))

    def run(x: Tensor, scale: Tensor, bias: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
        return F.batch_norm(x, mean, variance, scale, bias, training=False, eps=epsilon)

    return Kernel(run, (0, 1, 2, 3, 4), Reach.ROW)


def instance_normalization(site: Site) -> Kernel:
    epsilon = float(site.attribute("epsilon", 1e-5))
    space = site.rank() - 2

    def run(x: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
        normal = F.group_norm(x, x.shape[1], eps=epsilon)
        return normal * _by_channel(scale, space) + _by_channel(bias, space)

    return Kernel(run, (0, 1, 2), Reach.ROW)


def group_normalization(site: Site) -> Kernel:
    epsilon, groups = float(site.attribute("epsilon", 1e-5)), int(site.attribute("num_groups", 1))
    space, channels = site.rank() - 2, site.shape(0)[1]

    def run(x: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
        normal = F.group_norm(x, groups, eps=epsilon)
        if scale.shape[-1] != channels:  # before opset 21 there is one a group
            scale, bias = (one.repeat_interleave(channels // groups, -1) for one in (scale, bias))
        return normal * _by_channel(scale, space) + _by_channel(bias, space)

    return Kernel(run, (0, 1, 2), Reach.ROW)


def _by_channel(x: Tensor, space: int) -> Tensor:
    return x.reshape(-1, *[1] * space)


def layer_normalization(site: Site) -> Kernel:
    epsilon, rank = float(site.attribute("epsilon", 1e-5)), site.rank()
    axis = site.from_end(site.attribute("axis", -1))
    sizes, axes = list(site.shape(0)[axis:]), list(range(axis, 0))
    fitting = site.shape(1) == tuple(sizes) and not any(site.varies(index) for index in (1, 2))
    if len([name for name in site.node.outputs if name]) == 1 and fitting:

        def plain(x: Tensor, scale: Tensor, bias: Tensor | None = None) -> Tensor:
            return F.layer_norm(x, sizes, scale, bias, epsilon)

        return Kernel(plain, site.given(), Reach.BEHIND)
    ranks = [site.rank(index) for index in site.given()]

    def run(x: Tensor, *weights: Tensor) -> tuple[Tensor, ...]:
        mean = x.mean(axes, keepdim=True)
        inverse = ((x - mean).square().mean(axes, keepdim=True) + epsilon).rsqrt()
        y = F.layer_norm(x, sizes, eps=epsilon)
        scale, *bias = [lifted(one, low, rank) for one, low in zip(weights, ranks[1:], strict=True)]
        y = y * scale + bias[0] if bias else y * scale
        return y, mean, inverse

    return Kernel(run, site.given(), Reach.BEHIND)


def rms_normalization(site: Site) -> Kernel:
    epsilon, rank, low = float(site.attribute("epsilon", 1e-5)), site.rank(), site.rank(1)
    axis = site.from_end(site.attribute("axis", -1))
    sizes = list(site.shape(0)[axis:])
    if site.shape(1) == tuple(sizes) and not site.varies(1):
        return Kernel(lambda x, scale: F.rms_norm(x, sizes, scale, epsilon), (0, 1), Reach.BEHIND)
    return Kernel(lambda x, scale: F.rms_norm(x, sizes, eps=epsilon) * lifted(scale, low, rank), (0, 1), Reach.BEHIND)


def local_response(site: Site) -> Kernel:
    size, alpha = int(site.attribute("size", 1)), float(site.attribute("alpha", 1e-4))
    beta, bias = float(site.attribute("beta", 0.75)), float(site.attribute("bias", 1.0))
    channel = 1 - site.rank()

    def run(x: Tensor) -> Tensor:
        before = (size - 1) // 2
        squares = F.pad(x.square(), [0, 0] * (-1 - channel) + [before, size - 1 - before])
        return x / (bias + alpha / size * squares.unfold(channel, size, 1).sum(-1)).pow(beta)

    return Kernel(run, (0,), Reach.BEHIND)


def lp_normalization(site: Site) -> Kernel:
    axis, p = site.from_end(site.attribute("axis", -1)), int(site.attribute("p", 2))

    def run(x: Tensor) -> Tensor:
        norm = torch.linalg.vector_norm(x, p, axis, keepdim=True)
        return x / torch.where(norm == 0, torch.ones_like(norm), norm)

    return Kernel(run, (0,), Reach.BEHIND)


def mean_variance(site: Site) -> Kernel:
    axes = [site.from_end(axis) for axis in site.attribute("axes", [0, 2, 3])]

    def run(x: Tensor) -> Tensor:
        centred = x - x.mean(axes, keepdim=True)
        return centred / (centred.square().mean(axes, keepdim=True).sqrt() + 1e-9)

    return Kernel(run, (0,), Reach.BEHIND)


OPERATORS: dict[str, Builder] = {
    "BatchNormalization": batch_normalization,
    "GroupNormalization": group_normalization,
    "InstanceNormalization": instance_normalization,
    "LRN": local_response,
    "LayerNormalization": layer_normalization,
    "LogSoftmax": softmax(torch.log_softmax),
    "LpNormalization": lp_normalization,
    "MeanVarianceNormalization": mean_variance,
    "RMSNormalization": rms_normalization,
    "Softmax": softmax(torch.softmax),
}
