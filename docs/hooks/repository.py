"""Pages link to files of the repository outside docs/, as readers of the repository do: the site takes these files in.

Every file that a page names by a relative link becomes a page (Markdown) or a file of the site, under `files/`, and so
do those that they name in turn. Links are rewritten to where the site has them.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[2]
ALWAYS = ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")
INSIDE, TAKEN = "docs/", "files/"
LINK = re.compile(r"(\]\(\s*)([^)\s#]+)([^)]*\))")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add what is linked, and what that links."""
    queue = [INSIDE + file.src_uri for file in files.documentation_pages()] + list(ALWAYS)
    seen = set(queue)
    while queue:
        path = queue.pop()
        if not path.startswith(INSIDE):
            uri = TAKEN + path
            if not path.endswith(".md") and not _shown(path):
                uri += ".txt"
            files.append(File.generated(config, uri, abs_src_path=str(ROOT / path)))
        if path.endswith(".md"):
            text = (ROOT / path).read_text(encoding="utf-8")
            fresh = {target for target in _targets(text, path) if target not in seen and not target.startswith(INSIDE)}
            seen |= fresh
            queue += sorted(fresh)
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Point every relative link at its place in the site."""
    here = page.file.src_uri
    real = here.removeprefix(TAKEN) if here.startswith(TAKEN) else INSIDE + here
    if real.startswith(("benchmarks/", "experiments/")):
        page.meta["hide"] = ["navigation", "toc"]  # tables of results need the width

    def moved(match: re.Match[str]) -> str:
        target = _resolve(match[2], real)
        if target is None:
            return match[0]
        inside = target.startswith(INSIDE)
        uri = target.removeprefix(INSIDE) if inside else TAKEN + target
        if not inside and not target.endswith(".md") and not _shown(target):
            uri += ".txt"
        return match[1] + posixpath.relpath(uri, posixpath.dirname(here)) + match[3]

    return LINK.sub(moved, markdown)


def _targets(text: str, path: str) -> set[str]:
    return {target for match in LINK.finditer(text) if (target := _resolve(match[2], path))}


def _resolve(link: str, path: str) -> str | None:
    """The repository's path of a relative link in `path`; None for anything else."""
    if re.match(r"[a-z]+:", link):
        return None
    target = posixpath.normpath(posixpath.join(posixpath.dirname(path), link))
    return target if not target.startswith("..") and (ROOT / target).is_file() else None


def _shown(path: str) -> bool:
    """Whether a browser knows what to do with it."""
    return Path(path).suffix in {".csv", ".gif", ".ipynb", ".json", ".png", ".svg", ".txt"}
