"""Where new tensors are made."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch


def made_on(device: str | torch.device) -> AbstractContextManager[object]:
    """New tensors are made there inside the block.

    Nothing is done where that is so already: torch would look at every call meanwhile, which takes a third of the time
    of small networks.
    """
    wanted = torch.device(device)
    return nullcontext() if torch.get_default_device() == wanted else wanted
