"""Calls of torch that are affine in the tensors that depend on the input, and what may be asked of these, by name."""

from __future__ import annotations

MOVES = frozenset([
    "__get__", "__getitem__", "alias", "broadcast_to", "cat", "chunk", "clone", "concat", "contiguous", "copy_",
    "detach", "double", "expand", "expand_as", "flatten", "flip", "index_select", "movedim", "narrow", "pad",
    "permute", "pixel_shuffle", "pixel_unshuffle", "repeat", "repeat_interleave", "reshape", "reshape_as", "roll",
    "select", "split", "squeeze", "squeeze_", "stack", "swapaxes", "swapdims", "t", "tile", "to", "transpose",
    "type", "type_as", "unbind", "unflatten", "unfold", "unsqueeze", "unsqueeze_", "view", "view_as",
])  # fmt: skip
"""Calls that only move numbers."""

SUMS = frozenset([
    "adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d", "avg_pool1d", "avg_pool2d", "avg_pool3d",
    "cumsum", "mean", "sum",
])  # fmt: skip
"""Calls that add numbers with weights that are not negative."""

PRODUCTS = frozenset([
    "__matmul__", "__rmatmul__", "addmm", "bmm", "conv1d", "conv2d", "conv3d", "conv_transpose1d",
    "conv_transpose2d", "conv_transpose3d", "einsum", "linear", "matmul", "mm", "mv",
])  # fmt: skip
"""Products of which one factor is a constant."""

ADDS = frozenset(["__add__", "__iadd__", "__radd__", "add", "add_"])
SUBTRACTS = frozenset(["__isub__", "__rsub__", "__sub__", "rsub", "sub", "sub_"])
SCALES = frozenset([
    "__div__", "__imul__", "__itruediv__", "__mul__", "__rmul__", "__truediv__", "div", "div_", "divide", "mul",
    "mul_", "multiply", "true_divide",
])  # fmt: skip
NEGATES = frozenset(["__neg__", "neg", "neg_", "negative"])
SWITCHED_OFF = frozenset([
    "dropout", "dropout1d", "dropout2d", "dropout3d", "dropout_", "alpha_dropout", "feature_alpha_dropout",
])  # fmt: skip

LIKE = frozenset(["__get__", "expand_as", "reshape_as", "to", "type_as", "view_as"])
"""Calls that take no numbers of their second argument."""

FRESH = frozenset(
    ["empty_like", "full_like", "new_empty", "new_full", "new_ones", "new_zeros", "ones_like", "zeros_like"]
)
"""Calls that take a tensor's shape and type, and none of its numbers."""

CHOOSES = frozenset(["masked_fill", "where"])
"""By a condition that does not depend on the input."""

ASKS = frozenset([
    "is_inference",
    "__get__", "__len__", "dim", "element_size", "is_complex", "is_contiguous", "is_floating_point", "ndimension",
    "nelement", "numel", "size", "storage_offset", "stride",
])  # fmt: skip
"""What may be asked of a tensor that depends on the input; anything else that is no tensor could depend on numbers."""

KNOWN = (
    MOVES
    | SUMS
    | PRODUCTS
    | ADDS
    | SUBTRACTS
    | SCALES
    | NEGATES
    | SWITCHED_OFF
    | CHOOSES
    | {"batch_norm", "interpolate"}
)
