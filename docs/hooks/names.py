"""A name of the reference, in code type, links to its place there: in docstrings and on every other page."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from mkdocs.structure.pages import Page

REFERENCE = Path(__file__).resolve().parents[1] / "reference"
SOURCE = REFERENCE.parents[1] / "src"
CODE = re.compile(
    r"(<a\b[^>]*>(?:(?!</a>).)*</a>|<h\d\b.*?</h\d>|<pre\b.*?</pre>)|<code>([\w.]+)(\(\))?</code>", re.DOTALL
)


def _names() -> dict[str, str]:
    """Where each name of the reference stands, by its whole path and, if there is no second one, by its last part."""
    pages = "".join(page.read_text(encoding="utf-8") for page in sorted(REFERENCE.glob("*.md")))
    paths = re.findall(r"^::: (\S+)$", pages, re.MULTILINE)
    last = Counter(path.rpartition(".")[2] for path in paths)
    short = {path.rpartition(".")[2]: path for path in paths if last[path.rpartition(".")[2]] == 1}
    same = (path for path in paths if re.search(r"\.(\w+)\.\1$", path))  # a function in the module of its name
    twice = {path.rpartition(".")[0]: path for path in same if _is_module(path.rpartition(".")[0])}
    return short | twice | {path: path for path in paths}


def _is_module(path: str) -> bool:
    return (SOURCE / f"{path.replace('.', '/')}.py").exists()


NAMES = _names()


def on_page_content(content: str, page: Page, **_: object) -> str:
    """Links for the names that stand alone; those in headings, links and code blocks stay as they are."""

    def linked(match: re.Match[str]) -> str:
        target = None if match[1] else NAMES.get(match[2])
        if target is None:
            return match[0]
        return f'<autoref identifier="{target}" optional>{match[0]}</autoref>'

    return CODE.sub(linked, content)
