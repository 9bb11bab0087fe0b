"""Each notebook becomes a page: its text, code and the outputs that are kept in it."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from nbconvert import MarkdownExporter


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add NAME.md and its pictures for every notebooks/NAME.ipynb."""
    for file in list(files):
        if not file.src_uri.endswith(".ipynb"):
            continue
        notebook = nbformat.read(str(file.abs_src_path), as_version=4)
        name = Path(file.src_uri).stem
        text, resources = MarkdownExporter().from_notebook_node(notebook)
        for output, data in resources["outputs"].items():
            files.append(File.generated(config, f"notebooks/{name}/{output}", content=data))
            text = text.replace(f"]({output})", f"]({name}/{output})")
        text += f"\n\n---\n[The notebook itself]({Path(file.src_uri).name})\n"
        files.append(File.generated(config, f"notebooks/{name}.md", content=text))
    return files


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    """Links to notebooks lead to their pages, but for the one at a page's own end."""
    return re.sub(r"(\]\((?:[\w./-]*/)?\d[\w-]+)\.ipynb\)(?!\n*\Z)", r"\1.md)", markdown)
