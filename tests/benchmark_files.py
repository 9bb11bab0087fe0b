"""Benchmarks as modules, for tests that try a little of what they measure."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

FOLDER = Path(__file__).parents[1] / "benchmarks"


def load_benchmark(name: str) -> ModuleType:
    """The module benchmarks/NAME.py; skips the test where that folder is missing."""
    file = FOLDER / f"{name}.py"
    if not file.is_file():
        pytest.skip("the folder of benchmarks is not here")
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
