"""Every page can be reached from the site's menu."""

from __future__ import annotations

import re

import pytest

from docs.pages import PAGES, ROOT

FILES = re.compile(r"`[^`\n]*?\b((?:tests|src|docs|benchmarks|experiments|packaging)/[\w./*-]*[\w*/])")


def test_every_page_is_in_the_menu() -> None:
    menu = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    pages = [page.removeprefix("docs/") for page in PAGES if page.startswith("docs/")]
    missing = [page for page in pages if page not in menu]
    assert not missing, f"name these under nav in mkdocs.yml: {missing}"


@pytest.mark.parametrize("page", PAGES)
def test_files_that_are_named_exist(page: str) -> None:
    names = FILES.findall((ROOT / page).read_text(encoding="utf-8"))
    missing = [name for name in names if not (ROOT / name).exists() and not any(ROOT.glob(name))]
    assert not missing, f"{page} names files that are not in the repository: {missing}"
