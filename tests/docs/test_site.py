"""Every page can be reached from the site's menu."""

from __future__ import annotations

from docs.pages import PAGES, ROOT


def test_every_page_is_in_the_menu() -> None:
    menu = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    pages = [page.removeprefix("docs/") for page in PAGES if page.startswith("docs/")]
    missing = [page for page in pages if page not in menu]
    assert not missing, f"name these under nav in mkdocs.yml: {missing}"
