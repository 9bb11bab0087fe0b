"""The repository's address is one setting: Homepage in pyproject.toml."""

from __future__ import annotations

import importlib.util
from types import ModuleType

import pytest

from docs.pages import PAGES, ROOT


@pytest.fixture(scope="module")
def address() -> ModuleType:
    spec = importlib.util.spec_from_file_location("address", ROOT / "packaging" / "address.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_place_has_the_address_of_pyproject(address: ModuleType) -> None:
    owner, name = address.home()
    for place in address.PLACES:
        text = (ROOT / place).read_text(encoding="utf-8")
        assert f"{owner}/{name}" in text
        assert address.given(text, owner, name) == text, f"run python packaging/address.py: {place} has another"


def test_no_page_has_it_besides(address: ModuleType) -> None:
    owner, name = address.home()
    pages = [page for page in PAGES if f"github.com/{owner}/{name}" in (ROOT / page).read_text(encoding="utf-8")]
    assert set(pages) <= set(address.PLACES)


def test_another_home_is_written_everywhere(address: ModuleType) -> None:
    for place in address.PLACES:
        text = (ROOT / place).read_text(encoding="utf-8")
        moved = address.given(text, "me", "mine")
        assert "github.com/" + "/".join(address.home()) not in moved, place
        assert address.given(moved, *address.home()) == text, place
