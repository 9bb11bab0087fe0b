"""Every Python block of README and the pages runs, top to bottom, in one namespace a page; so do docstrings' examples.

A block that is not run says why: `<!-- skip: next "trains for an hour" -->` in front of it. What a block needs and a
reader has, such as a trained agent, is made in `<!-- invisible-code-block: python ... -->`.
"""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from unittest import SkipTest

import matplotlib
import pytest
from sybil import Sybil
from sybil.document import PythonDocStringDocument
from sybil.parsers.markdown import PythonCodeBlockParser, SkipParser
from sybil.parsers.rest import DocTestParser

from docs.pages import PAGES, ROOT

BLOCKS = Sybil([PythonCodeBlockParser(), SkipParser()])
DOCSTRINGS = Sybil([DocTestParser()], document_types={".py": PythonDocStringDocument})
WITH_BLOCKS = [page for page in PAGES if "```python" in (ROOT / page).read_text(encoding="utf-8")]
WITH_EXAMPLES = sorted(
    path.relative_to(ROOT).as_posix()
    for path in (ROOT / "src").rglob("*.py")
    if re.search(r"^ +>>> ", path.read_text(encoding="utf-8"), re.MULTILINE)
)


def run(sybil: Sybil, page: str) -> None:
    ran, why = 0, []
    for example in sybil.parse(ROOT / page).examples():
        try:
            example.evaluate()
            ran += 1
        except SkipTest as reason:
            why.append(str(reason))
    if not ran:
        pytest.skip("; ".join(why))


@pytest.mark.parametrize("page", WITH_BLOCKS)
def test_blocks_run(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    matplotlib.use("agg")
    with warnings.catch_warnings():
        warnings.filterwarnings("error")
        warnings.filterwarnings("ignore", category=DeprecationWarning)  # of the libraries that a page shows
        run(BLOCKS, page)


@pytest.mark.parametrize("module", WITH_EXAMPLES)
def test_examples_of_docstrings_hold(module: str) -> None:
    run(DOCSTRINGS, module)


@pytest.mark.parametrize("module", WITH_EXAMPLES)
def test_examples_stand_under_the_heading_that_the_reference_knows(module: str) -> None:
    text = (ROOT / module).read_text(encoding="utf-8")
    assert not re.search(r"^ +Example:$", text, re.MULTILINE), f"{module}: write Examples:, not Example:"


@pytest.mark.parametrize("page", PAGES)
def test_what_is_not_run_says_why(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    for directive in re.findall(r"<!--+ *skip:.*?-->", text):
        assert re.search(r'"[^"]+"', directive), f"{page}: {directive} gives no reason"
