"""A public name in code type links to its place in the reference, in docstrings and on every other page."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from mkdocs.structure.pages import Page

SOURCE = Path(__file__).resolve().parents[2] / "src" / "adrgd"
ROOMS = ("attacks", "exact", "falsify", "latent", "rl", "training", "plot", "gates")
CODE = re.compile(
    r"(<a\b[^>]*>(?:(?!</a>).)*</a>|<h\d\b.*?</h\d>|<pre\b.*?</pre>)|<code>([A-Za-z_.]+)(\(\))?</code>", re.DOTALL
)


def _exported(path: Path) -> list[str]:
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__":
            return list(ast.literal_eval(node.value))
    return []


def _names() -> dict[str, str]:
    """Each public name, alone and with its rooms, and where it is imported from."""
    found: dict[str, str] = {}
    for room in (*reversed(ROOMS), ""):
        path = SOURCE / room / "__init__.py" if room else SOURCE / "api.py"
        for name in _exported(path) if path.exists() else []:
            full = f"adrgd.{room}.{name}" if room else f"adrgd.{name}"
            found[name] = found[full] = full
    return found


NAMES = _names()
NAMES |= {name: f"adrgd.attacks.minimum.{name}" for name in ("Minimum", "Smallest", "smallest_changes")}


def on_page_content(content: str, page: Page, **_: object) -> str:
    """Links for the names that stand alone; those in headings, links and code blocks stay as they are."""

    def linked(match: re.Match[str]) -> str:
        target = None if match[1] else NAMES.get(match[2])
        if target is None:
            return match[0]
        return f'<autoref identifier="{target}" optional>{match[0]}</autoref>'

    return CODE.sub(linked, content)
