"""Softmax, normalisations and reductions, written with curves and products: each of them exactly."""

from __future__ import annotations

import math
import string
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from adrgd.activations.hinges import ABS
from adrgd.bounds.calls import Lowered, Seen
from adrgd.bounds.choosing import product, times
from adrgd.bounds.curves import EXP, LOG, RECIPROCAL, RSQRT, SQRT, SQUARE, Curve, power


def softmax(seen: Seen, x: Tensor, axis: int) -> Tensor:
    """1 / sum_j exp(x_j - x_i), with the entry itself left out of its sum, where it is one."""
    x = x.movedim(axis, -1)
    size = x.shape[-1]
    mask = seen.masked(x)
    if mask is not None:
        return _masked_softmax(seen, x, mask).movedim(-1, axis)
    apart = (x.unsqueeze(-2) - x.unsqueeze(-1)).flatten(-2)
    others = [i * size + j for i in range(size) for j in range(size) if i != j]
    terms = seen.bent(EXP, apart.index_select(-1, torch.tensor(others))) if others else apart * 0
    total = terms.reshape(*x.shape, max(1, size - 1)).sum(-1) + 1
    return seen.bent(RECIPROCAL, total).movedim(-1, axis)


def _masked_softmax(seen: Seen, x: Tensor, mask: Tensor) -> Tensor:
    """Along the last axis, where some entries are minus infinity: these are zero, and count for none."""
    size = x.shape[-1]
    left = ~mask
    counted = (left.unsqueeze(-2) & left.unsqueeze(-1) & ~torch.eye(size, dtype=torch.bool)).flatten()
    apart = x.masked_fill(mask, 0.0)
    apart = (apart.unsqueeze(-2) - apart.unsqueeze(-1)).flatten(1)
    terms = seen.bent(EXP, apart.index_select(1, counted.nonzero()[:, 0]))
    places = torch.where(counted, counted.cumsum(0), 0)  # the first of all is nothing
    whole = torch.nn.functional.pad(terms, (1, 0)).index_select(1, places)
    total = whole.reshape(*x.shape, size).sum(-1) + 1
    return seen.bent(RECIPROCAL, total) * left.to(x.dtype)


def _softmax(seen: Seen, given: Mapping[str, Any]) -> Tensor | None:
    axis = given.get("dim")
    return softmax(seen, given["input"], axis) if isinstance(axis, int) else None


def logsumexp(seen: Seen, x: Tensor, axes: Any) -> Tensor:
    """Along some axes, which are kept; of the distances from the mean, which are small where all numbers are large."""
    middle = x.mean(axes, keepdim=True)
    return middle + seen.bent(LOG, seen.bent(EXP, x - middle).sum(axes, keepdim=True))


def _log_softmax(seen: Seen, given: Mapping[str, Any]) -> Tensor | None:
    axis, x = given.get("dim"), given["input"]
    return x - logsumexp(seen, x, axis) if isinstance(axis, int) else None


def _logsumexp(seen: Seen, given: Mapping[str, Any]) -> Tensor:
    found = logsumexp(seen, given["input"], given["dim"])
    return found if given.get("keepdim", False) else found.squeeze(given["dim"])


def attention(seen: Seen, given: Mapping[str, Any]) -> Tensor | None:
    """F.scaled_dot_product_attention without dropout; a mask is a constant."""
    mask, causal = given.get("attn_mask"), given.get("is_causal")
    if given.get("dropout_p") or seen.varies(mask):
        return None
    query, key, value = given["query"], given["key"], given["value"]
    scale = given.get("scale") or 1 / math.sqrt(query.shape[-1])
    scores = matrix_product(seen, query * scale, key.transpose(-2, -1))
    if causal:
        mask = torch.ones(scores.shape[-2:], dtype=torch.bool).tril()
    if mask is not None and mask.dtype == torch.bool:
        scores = scores.masked_fill(~mask, -torch.inf)
    elif mask is not None:
        scores = scores + mask
    return matrix_product(seen, softmax(seen, scores, -1), value)


def matrix_product(seen: Seen, a: Tensor, b: Tensor) -> Tensor:
    """a b, both depending on the input: (..., n, k) and (..., k, m)."""
    found: Tensor = times(seen, a.unsqueeze(-1), b.unsqueeze(-3)).sum(-2)
    return found


def einsum(seen: Seen, given: Mapping[str, Any]) -> Tensor | None:
    """Of two tensors that both depend on the input."""
    equation, parts = given["equation"], given["operands"]
    if not isinstance(equation, str) or len(parts) != 2:
        return None
    left, arrow, out = equation.replace(" ", "").partition("->")
    terms = left.split(",")
    more = {part.ndim - len(term.replace("...", "")) for term, part in zip(terms, parts, strict=True) if "..." in term}
    if len(more) > 1 or not set(equation) <= set(string.ascii_lowercase + " ,->."):
        return None
    dots = string.ascii_uppercase[: max(more, default=0)]
    terms, out = [term.replace("...", dots) for term in terms], out.replace("...", dots)
    if not arrow or any(len(set(term)) < len(term) for term in terms):
        return None
    every = out + "".join(sorted(set("".join(terms)) - set(out)))
    laid = []
    for term, part in zip(terms, parts, strict=True):
        order = sorted(range(len(term)), key=lambda k: every.index(term[k]))
        turned = part.permute(order)
        shape = iter(turned.shape)
        laid.append(turned.reshape([next(shape) if letter in term else 1 for letter in every]))
    found = product(seen, *laid)
    summed = tuple(range(len(out), len(every)))
    return found.sum(summed) if summed else found


def normal(seen: Seen, x: Tensor, axes: tuple[int, ...], eps: float, *, centred: bool = True) -> Tensor:
    """Mean zero, unless it is left as it is, and mean square one along the axes.

    No entry is larger than the root of their number, less one where their mean is zero. This is said by a clamp, which
    changes nothing, since the bounds of a product know nothing of it.
    """
    x = x - x.mean(axes, keepdim=True) if centred else x
    squares = seen.bent(SQUARE, x).mean(axes, keepdim=True)
    count = x.numel() // max(1, squares.numel())
    most = math.sqrt(max(1, count - centred))
    found = product(seen, x, seen.bent(RSQRT, squares + eps))
    return seen.bent(Curve("clamp", lambda h: h.clamp(-most, most), (-most, most)), found)


def _scaled(x: Tensor, given: Mapping[str, Any], space: int = 0) -> Tensor:
    for name in ("weight", "bias"):
        if given.get(name) is not None:
            one = given[name].reshape(*given[name].shape, *[1] * space)
            x = x * one if name == "weight" else x + one
    return x


def layer_norm(seen: Seen, given: Mapping[str, Any]) -> Tensor:
    """F.layer_norm."""
    axes = tuple(range(-len(given["normalized_shape"]), 0))
    return _scaled(normal(seen, given["input"], axes, given.get("eps", 1e-5)), given)


def rms_norm(seen: Seen, given: Mapping[str, Any]) -> Tensor:
    """F.rms_norm."""
    x, eps = given["input"], given.get("eps")
    axes = tuple(range(-len(given["normalized_shape"]), 0))
    eps = torch.finfo(x.dtype).eps if eps is None else eps
    return _scaled(normal(seen, x, axes, eps, centred=False), given)


def group_norm(seen: Seen, given: Mapping[str, Any]) -> Tensor:
    """F.group_norm."""
    x, groups = given["input"], given["num_groups"]
    parts = x.reshape(len(x), groups, -1)
    return _scaled(normal(seen, parts, (-1,), given.get("eps", 1e-5)).reshape(x.shape), given, x.ndim - 2)


def instance_norm(seen: Seen, given: Mapping[str, Any]) -> Tensor | None:
    """F.instance_norm by the input's own mean and variance."""
    if not given.get("use_input_stats", True):
        return None
    return group_norm(seen, {**given, "num_groups": given["input"].shape[1]})


def norm(seen: Seen, given: Mapping[str, Any]) -> Tensor | None:
    """Lengths of vectors along some axes: of order 1, 2, or another positive one."""
    x, axes = given["input"], given.get("dim")
    order = given.get("ord", given.get("p", 2))
    order = 2 if order in (None, "fro") else order
    keep = bool(given.get("keepdim", False))
    if axes is None or isinstance(order, str) or order <= 0 or math.isinf(order):
        return None
    if order == 1:
        return seen.bent(_curve_of_abs(), x).sum(axes, keepdim=keep)
    if order == 2:
        return seen.bent(SQRT, seen.bent(SQUARE, x).sum(axes, keepdim=keep))
    powers = seen.bent(power(order), seen.bent(_curve_of_abs(), x))
    return seen.bent(power(1 / order), powers.sum(axes, keepdim=keep))


def _curve_of_abs() -> Curve:
    return Curve("abs", ABS.value, (0.0,))


def normalize(seen: Seen, given: Mapping[str, Any]) -> Tensor | None:
    """F.normalize."""
    axes = given.get("dim", 1)
    length = norm(seen, {"input": given["input"], "p": given.get("p", 2.0), "dim": axes, "keepdim": True})
    if length is None:
        return None
    return product(seen, given["input"], seen.bent(RECIPROCAL, length.clamp_min(given.get("eps", 1e-12))))


def variance(seen: Seen, given: Mapping[str, Any], *, root: bool) -> Tensor | None:
    """torch.var and torch.std along some axes."""
    x, axes, keep = given["input"], given.get("dim"), bool(given.get("keepdim", False))
    if axes is None or isinstance(axes, bool):
        return None
    less = given.get("correction", given.get("unbiased", 1))
    centred = x - x.mean(axes, keepdim=True)
    squares = seen.bent(SQUARE, centred)
    count = x.numel() // max(1, x.mean(axes).numel())
    if count <= float(less):
        return None
    found = squares.sum(axes, keepdim=keep) / (count - float(less))
    return seen.bent(SQRT, found) if root else found


def multiplied(seen: Seen, given: Mapping[str, Any]) -> Tensor | None:
    """torch.prod along an axis, in rounds of pairs."""
    axis, found = given.get("dim"), given["input"]
    if not isinstance(axis, int):
        return None
    while (size := found.shape[axis]) > 1:
        half = size // 2
        pairs = product(seen, found.narrow(axis, 0, half), found.narrow(axis, half, half))
        found = torch.cat([pairs, found.narrow(axis, 2 * half, 1)], axis) if size % 2 else pairs
    whole: Tensor = found if given.get("keepdim", False) else found.squeeze(axis)
    return whole


def so_far(seen: Seen, given: Mapping[str, Any]) -> Tensor | None:
    """torch.cumprod."""
    found, *rest = given["input"].unbind(given["dim"])
    parts = [found]
    for one in rest:
        parts.append(product(seen, parts[-1], one))
    return torch.stack(parts, given["dim"])


NORMED = ("input", "normalized_shape", "weight", "bias", "eps")
ALONG = ("input", "dim")
BALANCES: dict[str, tuple[tuple[str, ...], Lowered]] = {
    "softmax": (ALONG, _softmax), "log_softmax": (ALONG, _log_softmax),
    "softmin": (ALONG, lambda seen, given: _softmax(seen, {**given, "input": -given["input"]})),
    "logsumexp": (("input", "dim", "keepdim"), _logsumexp),
    "scaled_dot_product_attention": (("query", "key", "value", "attn_mask", "dropout_p", "is_causal"), attention),
    "layer_norm": (NORMED, layer_norm), "rms_norm": (NORMED[:3] + NORMED[4:], rms_norm),
    "group_norm": (("input", "num_groups", "weight", "bias", "eps"), group_norm),
    "instance_norm": (
        ("input", "running_mean", "running_var", "weight", "bias", "use_input_stats", "momentum", "eps"),
        instance_norm,
    ),
    "linalg_vector_norm": (("input", "ord", "dim", "keepdim"), norm),
    "norm": (("input", "p", "dim", "keepdim"), norm),
    "normalize": (("input", "p", "dim", "eps"), normalize),
    "var": (ALONG, lambda seen, given: variance(seen, given, root=False)),
    "std": (ALONG, lambda seen, given: variance(seen, given, root=True)),
    "prod": (("input", "dim", "keepdim"), multiplied), "cumprod": (ALONG, so_far),
}  # fmt: skip
"""By the plain names of torch's functions: their arguments' names, and what they give."""
