import pytest
import torch
from torch import nn

from .problems import Problem


@pytest.fixture
def problem() -> Problem:
    """Random weights; the labels are the network's own answers, with every tenth one changed."""
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(1, 6, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(96, 24), nn.ReLU(), nn.Linear(24, 4)
    )
    net.eval().requires_grad_(False)
    images = torch.rand(40, 1, 4, 4)
    logits = net(images)
    logits = logits - logits.mean(0)
    net[-1].bias -= net(images).mean(0)
    labels = net(images).argmax(1)
    labels[::10] = (labels[::10] + 1) % 4
    return Problem(net, images, labels)
