"""Axes without a screen."""

from collections.abc import Iterator

import matplotlib
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure


@pytest.fixture(autouse=True)
def no_screen() -> Iterator[None]:
    matplotlib.use("agg")
    yield
    from matplotlib import pyplot

    pyplot.close("all")


@pytest.fixture
def axes() -> Axes:
    return Figure().add_subplot()
