"""Where new tensors are made, and that nothing watches torch's calls where that is so already."""

from __future__ import annotations

from contextlib import nullcontext

import torch

from adrgd.devices import made_on


def test_tensors_are_made_where_it_says() -> None:
    assert isinstance(made_on("cpu"), nullcontext)
    with made_on("meta"):
        assert torch.zeros(1).device.type == "meta"
        assert isinstance(made_on("meta"), nullcontext)
        with made_on("cpu"):
            assert torch.zeros(1).device.type == "cpu"
        assert torch.zeros(1).device.type == "meta"
    assert torch.zeros(1).device.type == "cpu"
