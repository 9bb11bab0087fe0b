"""What commands print, in the pages: `make outputs` runs the commands and writes it anew.

A text block shows lines of what the bash block in front of it prints. A line of a page stands for the next printed
one that is the same but for its numbers; pages leave lines out as they like, and `...` says so where it matters. In
front of the bash block an invisible comment may name a script that makes files which a reader has and a test has not,
and say that numbers are not compared, as where seconds decide or the first find:

    <!-- output: after tests/docs/instance.py, numbers differ by machine -->

    PYTHONPATH=tests python -m docs.outputs [PAGE ...]
"""

from __future__ import annotations

import contextlib
import io
import math
import re
import runpy
import shlex
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from adrgd.cli import run
from docs.pages import PAGES, ROOT

SHOWN = re.compile(
    r"^(?:<!-- output: (?P<remark>[^\n]*) -->\n)?```bash\n(?P<commands>(?:(?!```)[^\n]*\n)+)```\n\n"
    r"```text\n(?P<lines>(?:(?!```)[^\n]*\n)+)```$",
    re.MULTILINE,
)
NUMBER = re.compile(r"(?<![\w.])-?\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?")
ANYTHING = "..."


@dataclass(frozen=True)
class Block:
    """A text block of a page, and the commands whose output it shows."""

    page: str
    commands: tuple[str, ...]
    lines: tuple[str, ...]
    start: int
    """Where the lines begin in the page, in characters."""
    after: str
    """A script of the repository that makes files which the commands read; empty for none."""
    loose: bool
    """Whether numbers are others on another machine."""


def blocks(page: str) -> Iterator[Block]:
    """Every text block of a page, which shows what the block in front of it prints."""
    text = (ROOT / page).read_text(encoding="utf-8")
    for match in SHOWN.finditer(text):
        remark = match["remark"] or ""
        commands = match["commands"].replace("\\\n", " ").splitlines()
        yield Block(
            page, tuple(commands), tuple(match["lines"].splitlines()), match.start("lines"),
            "".join(re.findall(r"after ([^\s,]+)", remark)), "differ by machine" in remark,
        )  # fmt: skip


def orphans(page: str) -> list[str]:
    """The first lines of text blocks that no command is known for."""
    text = (ROOT / page).read_text(encoding="utf-8")
    known = {block.start for block in blocks(page)}
    return [
        match[1].splitlines()[0]
        for match in re.finditer(r"^ *```text\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL)
        if match.start(1) not in known
    ]


def printed(block: Block, folder: Path) -> list[str]:
    """Run the commands one after the other in a folder of their own; the lines on standard output."""
    out = io.StringIO()
    with contextlib.chdir(folder), contextlib.redirect_stdout(out):
        if block.after:
            runpy.run_path(str(ROOT / block.after), run_name="__main__")
        for command in block.commands:
            words = shlex.split(command, comments=True)
            if words[:1] not in ([], ["adrgd"]):
                raise ValueError(f"{block.page}: the output of {words[0]!r} is shown; expected adrgd commands alone")
            if words and (code := run(words[1:])):
                raise ValueError(f"{block.page}: {command} ended with exit code {code}")
    return [line.rstrip() for line in out.getvalue().splitlines()]


def skeleton(line: str) -> str:
    """A line without its numbers, its spacing and the lengths of its bars."""
    return " ".join(re.sub(r"([█━─═])\1*", r"\1", NUMBER.sub("#", line)).split())


def numbers(line: str) -> list[float]:
    """The numbers of a line."""
    return [float(one.replace(",", "")) for one in NUMBER.findall(line)]


def renewed(shown: Sequence[str], found: Sequence[str]) -> list[str]:
    """The page's lines with what was printed this time.

    Raises:
        ValueError: a line of the page is printed no more, or not in this order.
    """
    made: list[str] = []
    at = 0
    for line in shown:
        if line.strip() in ("", ANYTHING):
            made.append(line)
            continue
        places = [k for k in range(at, len(found)) if skeleton(found[k]) == skeleton(line)]
        if not places:
            raise ValueError(f"the page shows {line.strip()!r}, which is not printed after what stands above it")
        at = places[0] + 1
        made.append(found[places[0]])
    return made


def untimed(lines: Sequence[str]) -> list[str]:
    """Lines without seconds: a row of that name is left out, and so is a last column of that name."""
    kept, end = [], None
    for line in lines:
        if not re.match(r"\W*seconds\b", line):
            if line.endswith(" seconds"):
                end = len(line) - len("seconds")
            elif not line.strip():
                end = None
            kept.append(line[:end])
    return kept


def differ(shown: str, found: str) -> bool:
    """Whether numbers of a line are others than rounding and the order of sums make them: by more than a tenth."""
    pairs = zip(numbers(shown), numbers(found), strict=True)
    return not all(math.isclose(one, other, rel_tol=0.1, abs_tol=0.021) for one, other in pairs)


def main(pages: Sequence[str]) -> None:
    """Write what the commands of these pages, or of all, print now."""
    for page in pages or PAGES:
        path = ROOT / page
        text = path.read_text(encoding="utf-8")
        for block in reversed(list(blocks(page))):
            with tempfile.TemporaryDirectory() as folder:
                lines = renewed(block.lines, printed(block, Path(folder)))
            end = block.start + len("".join(f"{line}\n" for line in block.lines))
            text = text[: block.start] + "".join(f"{line}\n" for line in lines) + text[end:]
            print(f"{page}: {block.commands[-1].strip()}", flush=True)
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
