"""Formulas become MathML while the site is built: browsers draw it by themselves, without a script or fonts."""

from __future__ import annotations

import html
import re

from latex2mathml.converter import convert
from mkdocs.structure.pages import Page

FORMULA = re.compile(r'<(span|div) class="arithmatex">\\([(\[])(.*?)\\[)\]]</\1>', re.DOTALL)


def on_page_content(content: str, page: Page, **_: object) -> str:
    """Replace what arithmatex marked."""

    def drawn(match: re.Match[str]) -> str:
        display = "block" if match[2] == "[" else "inline"
        return f'<{match[1]} class="formula">{convert(html.unescape(match[3]), display=display)}</{match[1]}>'

    return FORMULA.sub(drawn, content)
