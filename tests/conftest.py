"""Fixtures that every test may use."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Generator
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, settings
from rounding import WAYS, Rounding
from torch import nn

# the same examples everywhere, however slow the machine
settings.register_profile("everywhere", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("everywhere")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--rounding", choices=WAYS, help="compute as another processor would, always or for some batches")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    way = item.config.getoption("--rounding")
    if way is None:
        return (yield)
    with Rounding(way):
        return (yield)


@pytest.fixture(scope="session")
def assets() -> Path:
    """A folder of trained networks that are too large, or not free, to keep in the repository."""
    default = Path(__file__).resolve().parents[2] / "shared" / "assets"
    folder = Path(os.environ.get("ADRGD_ASSETS", default))
    if not folder.is_dir():
        pytest.skip("needs a folder of trained networks; set ADRGD_ASSETS to it")
    return folder


@pytest.fixture
def mlp() -> nn.Sequential:
    """A fixed random 5-16-16-3 ReLU network in eval mode."""
    torch.manual_seed(0)
    layers = [nn.Linear(5, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 3)]
    return nn.Sequential(*layers).eval().requires_grad_(False)


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    """Tiny networks run fastest on one thread, and the same bits come out on every machine."""
    torch.set_num_threads(1)


@pytest.fixture(autouse=True, scope="session")
def interruptible() -> None:
    """Shells start what runs in the background, and some CI what they run at all, with interruptions ignored."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def seeded() -> None:
    """What a test draws without a generator of its own does not depend on the tests before it."""
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)


class Clock:
    """A clock that only moves when it is read, each time by a second: as slow as any machine, always equally."""

    now = 1000.0

    def read(self) -> float:
        self.now += 1
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """What `time` tells in tests of time limits."""
    clock = Clock()
    for name in ("monotonic", "perf_counter"):
        monkeypatch.setattr(time, name, clock.read)
    return clock
