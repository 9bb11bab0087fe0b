"""The finished site loads nothing from elsewhere: no fonts, scripts, pictures or style sheets of other hosts."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError

LOADED = {
    "script": "src", "img": "src", "iframe": "src", "source": "src", "video": "src", "audio": "src", "embed": "src",
    "object": "data", "link": "href",
}  # fmt: skip
NOT_LOADED = {"canonical", "next", "prev", "alternate"}  # links that say where things are
ELSEWHERE = re.compile(r"(https?:)?//")
IN_STYLE = re.compile(r"(?:url\(\s*|@import\s+)['\"]?((?:https?:)?//[^'\")\s]+)")


class _Loads(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        address = given.get(LOADED.get(tag, ""), "") or ""
        if ELSEWHERE.match(address) and (tag != "link" or given.get("rel") not in NOT_LOADED):
            self.found.append(address)
        self.found += IN_STYLE.findall(given.get("style") or "")


def on_post_build(config: MkDocsConfig) -> None:
    """Look at every page and style sheet.

    Raises:
        PluginError: one of them loads something from another host.
    """
    for path in sorted(Path(config.site_dir).rglob("*")):
        found: list[str] = []
        if path.suffix == ".html":
            page = _Loads()
            page.feed(path.read_text(encoding="utf-8"))
            found = page.found
        elif path.suffix == ".css":
            found = IN_STYLE.findall(path.read_text(encoding="utf-8"))
        if found:
            raise PluginError(f"{path}: loads {', '.join(found)} from elsewhere; put it into the repository instead")
