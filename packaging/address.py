"""Where the repository lives: `Homepage` in pyproject.toml. Change it there, then run `python packaging/address.py`.

The files below cannot read that setting, and are given it; a test says when one of them has another.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PLACES = (
    "pyproject.toml", "docs/install.md", "CITATION.cff", ".github/ISSUE_TEMPLATE/config.yml",
    "packaging/conda/recipe.yaml",
)  # fmt: skip
PART = r"[\w.-]+"


def home() -> tuple[str, str]:
    """Whose it is, and its name."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    match = re.fullmatch(rf"https://github\.com/({PART})/({PART})", project["urls"]["Homepage"])
    if match is None:
        raise SystemExit("expected Homepage = https://github.com/OWNER/NAME in pyproject.toml, found another form")
    return match[1], match[2]


def given(text: str, owner: str, name: str) -> str:
    """A text with this address in all its forms."""
    for host in ("github.com", "raw.githubusercontent.com"):
        text = re.sub(rf"(?<=//){re.escape(host)}/{PART}/{PART}", f"{host}/{owner}/{name}", text)
    text = re.sub(rf"(?<=//){PART}\.github\.io/{PART}", f"{owner}.github.io/{name}", text)
    return re.sub(rf"(git clone \S+) && cd {PART}", rf"\1 && cd {name}", text)


def main() -> None:
    owner, name = home()
    for place in PLACES:
        path = ROOT / place
        text = path.read_text(encoding="utf-8")
        if (new := given(text, owner, name)) != text:
            path.write_text(new, encoding="utf-8")
            print(f"{place}: changed")


if __name__ == "__main__":
    main()
