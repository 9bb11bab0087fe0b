"""Which operators of torch a file from anywhere may name: those that make numbers of numbers, and nothing else."""

from __future__ import annotations

import re

FILES = ("from_file", "save")
"""They read or write files of their choice."""

PRIVATE = re.compile(
    r"_(adaptive_avg_pool[23]d|assert_async|assert_scalar|assert_tensor_metadata|convolution|log_softmax|softmax"
    r"|native_batch_norm_legit_no_training|native_multi_head_attention|scaled_dot_product_efficient_attention"
    r"|scaled_dot_product_flash_attention_for_cpu|set_item|shape_as_tensor|tensor_to_list|to_copy"
    r"|transformer_encoder_layer_fwd|unsafe_view|upsample_(bicubic|bilinear)2d_aa|weight_norm|_\w+__)"
)
"""Of those that torch keeps to itself, and which do not all look at what they are given, the ones that layers use."""


def harmless(name: str) -> bool:
    """Whether an operator, without its namespace and overload, can do nothing but compute."""
    return bool(PRIVATE.fullmatch(name)) if name.startswith("_") else name not in FILES
