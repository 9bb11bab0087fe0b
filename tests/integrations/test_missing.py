"""A library that is not installed is named, together with what brings it."""

import importlib
import sys

import pytest

from adrgd.errors import MissingExtraError


@pytest.mark.parametrize(
    ("name", "package", "sentence"),
    [
        ("foolbox", "foolbox", r'pip install ".*\[foolbox\]"'),
        ("art", "art.attacks.attack", r'pip install ".*\[art\]"'),
        ("robustbench", "robustbench", r'pip install ".*\[robustbench\]"'),
        ("torchattacks", "torchattacks.attack", "pip install --no-deps torchattacks"),
    ],
)
def test_the_error_says_what_to_install(
    name: str, package: str, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.delitem(sys.modules, f"adrgd.integrations.{name}", raising=False)
    with pytest.raises(MissingExtraError, match=sentence):
        importlib.import_module(f"adrgd.integrations.{name}")
