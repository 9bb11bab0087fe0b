"""ONNX operators that are products of matrices."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from adrgd.models.onnx.kernels import Builder, Kernel, Reach, Site
from adrgd.models.onnx.operators.axes import lifted


def gemm(site: Site) -> Kernel:
    alpha, beta = float(site.attribute("alpha", 1.0)), float(site.attribute("beta", 1.0))
    turn_a, turn_b = bool(site.attribute("transA", 0)), bool(site.attribute("transB", 0))
    b, c = (site.constants[index] if site.has(index) else None for index in (1, 2))
    if not turn_a and b is not None and not site.varies(2) and site.varies(0):
        weight = alpha * (b if turn_b else b.t())
        width = weight.shape[0]
        if c is None:
            return Kernel(F.linear, (0, weight.contiguous()), Reach.LAST)
        if c.numel() == 1 or (c.numel() == width and c.shape[-1] == width):
            bias = (beta * c).reshape(-1).expand(width).contiguous()
            return Kernel(F.linear, (0, weight.contiguous(), bias), Reach.LAST)
    low = site.rank(2) if site.has(2) else 2

    def run(a: Tensor, b: Tensor, *rest: Tensor) -> Tensor:
        product = alpha * ((a.mT if turn_a else a) @ (b.mT if turn_b else b))
        return product + beta * lifted(rest[0], low, 2) if rest else product

    return Kernel(run, (0, 1, 2) if site.has(2) else (0, 1), Reach.BEHIND)


def matmul(site: Site) -> Kernel:
    right = site.constants[1]
    if right is not None and right.ndim == 2 and site.varies(0):
        return Kernel(F.linear, (0, right.t().contiguous()), Reach.LAST)
    return Kernel(multiply(site.rank(0), site.rank(1)), (0, 1), Reach.BEHIND)


def multiply(left: int, right: int) -> Callable[[Tensor, Tensor], Tensor]:
    """The product of tensors whose last `left` and `right` axes are the file's."""
    rank = max(left, right, 2)

    def run(a: Tensor, b: Tensor) -> Tensor:
        a = a.unsqueeze(-2) if left == 1 else a
        b = b.unsqueeze(-1) if right == 1 else b
        product = lifted(a, max(left, 2), rank) @ lifted(b, max(right, 2), rank)
        product = product.squeeze(-1) if right == 1 else product
        return product.squeeze(-1 if right == 1 else -2) if left == 1 else product

    return run


def fused_matmul(site: Site) -> Kernel:
    """onnxruntime's own: a scaled product of matrices that may be turned over."""
    alpha = float(site.attribute("alpha", 1.0))
    turn_a, turn_b = bool(site.attribute("transA", 0)), bool(site.attribute("transB", 0))
    if site.attribute("transBatchA", 0) or site.attribute("transBatchB", 0):
        raise site.unsupported("with its first axes turned over")
    product = multiply(site.rank(0), site.rank(1))
    return Kernel(lambda a, b: alpha * product(a.mT if turn_a else a, b.mT if turn_b else b), (0, 1), Reach.BEHIND)


def einsum(site: Site) -> Kernel:
    equation = str(site.attribute("equation", "")).replace(" ", "")
    if "..." in equation:
        return Kernel(lambda *parts: torch.einsum(equation, *parts), site.given(), Reach.WHOLE)
    terms, arrow, result = equation.partition("->")
    if not arrow:  # letters that stand once, in order
        result = "".join(sorted(letter for letter in set(terms) - {","} if terms.count(letter) == 1))
    behind = ",".join(f"...{term}" for term in terms.split(",")) + f"->...{result}"
    return Kernel(lambda *parts: torch.einsum(behind, *parts), site.given(), Reach.BEHIND)


OPERATORS: dict[str, Builder] = {
    "Det": lambda _: Kernel(torch.linalg.det, (0,), Reach.BEHIND),
    "Einsum": einsum,
    "Gemm": gemm,
    "MatMul": matmul,
    "com.microsoft.FusedMatMul": fused_matmul,
}
