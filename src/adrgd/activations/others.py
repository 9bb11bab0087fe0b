"""Nonlinear functions without gates: those whose own derivative is the right one, and those that hide what they do."""

from __future__ import annotations

KEEPS_OWN = frozenset(
    (
        "softmax",
        "log_softmax",
        "softmin",
        "_softmax",
        "_log_softmax",
        "gumbel_softmax",
        "layer_norm",
        "native_layer_norm",
        "group_norm",
        "native_group_norm",
        "instance_norm",
        "batch_norm",
        "rms_norm",
        "local_response_norm",
        "normalize",
        "scaled_dot_product_attention",
        "multi_head_attention_forward",
        "logsumexp",
        "exp",
        "exp2",
        "expm1",
        "square",
        "pow",
        "sqrt",
        "rsqrt",
        "log",
        "log2",
        "log10",
        "log1p",
    )
)
"""Normalisations, weights that sum to one, and the roots and powers that these are made of: softening them entry by
entry would break what they balance."""

HIDES = {
    "lstm": "a whole recurrent layer is one call; its gradients stay plain unless it is written with cells",
    "gru": "a whole recurrent layer is one call; its gradients stay plain unless it is written with cells",
    "rnn_tanh": "a whole recurrent layer is one call; its gradients stay plain unless it is written with cells",
    "rnn_relu": "a whole recurrent layer is one call; its gradients stay plain unless it is written with cells",
    "rrelu": "it is random in training mode",
    "rrelu_": "it is random in training mode",
    "where": "it chooses by a condition that is no function of the same numbers alone",
    "masked_fill": "it chooses by a condition that is no function of the same numbers alone",
    "adaptive_max_pool1d": "its windows differ in size",
    "adaptive_max_pool2d": "its windows differ in size",
    "adaptive_max_pool3d": "its windows differ in size",
    "adaptive_max_pool1d_with_indices": "its windows differ in size",
    "adaptive_max_pool2d_with_indices": "its windows differ in size",
    "adaptive_max_pool3d_with_indices": "its windows differ in size",
    "fractional_max_pool2d": "its windows are random",
    "fractional_max_pool3d": "its windows are random",
    "topk": "it chooses several of many numbers",
    "sort": "it puts numbers in order",
    "msort": "it puts numbers in order",
    "median": "it chooses one number by its rank",
    "nanmedian": "it chooses one number by its rank",
    "quantile": "it chooses a number by its rank",
    "kthvalue": "it chooses one number by its rank",
    "cummax": "it chooses among all numbers so far",
    "cummin": "it chooses among all numbers so far",
    "max": "it is taken over all entries, rows included",
    "min": "it is taken over all entries, rows included",
    "amax": "it is taken over all entries, rows included",
    "amin": "it is taken over all entries, rows included",
}
"""Why these calls, where they are not recognised as an activation, have no gates."""

MOVES_ROWS = frozenset(
    (
        "transpose",
        "transpose_",
        "permute",
        "movedim",
        "moveaxis",
        "swapaxes",
        "swapdims",
        "t",
        "einsum",
        "tensordot",
        "unfold",
        "stack",
        "T",
        "mT",
        "multi_head_attention_forward",
    )
)
"""Functions after which the rows of the batch may be along another dimension."""
