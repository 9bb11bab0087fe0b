"""What pages show of a command's output is what it prints, up to rounding. `make outputs` writes it anew."""

from __future__ import annotations

from pathlib import Path

import pytest

from docs.outputs import Block, blocks, differ, orphans, printed, renewed, skeleton, untimed
from docs.pages import PAGES

EVERY = [block for page in PAGES for block in blocks(page)]


@pytest.mark.parametrize("block", EVERY, ids=[f"{block.page}: {block.commands[-1]}"[:100] for block in EVERY])
def test_pages_show_what_is_printed(block: Block, tmp_path: Path) -> None:
    found = renewed(block.lines, printed(block, tmp_path))
    if not block.loose:
        pairs = zip(untimed(block.lines), untimed(found), strict=True)
        wrong = [(one, other) for one, other in pairs if differ(one, other)]
        assert not wrong, f"run `make outputs` and read {block.page}: it shows and is printed: {wrong}"


@pytest.mark.parametrize("page", PAGES)
def test_every_output_has_its_command(page: str) -> None:
    assert not orphans(page), f"{page}: put the command in front, as a bash block: {orphans(page)}"


def test_lines_are_found_by_their_words() -> None:
    assert skeleton(" images    50") == "images #"
    assert skeleton("(X_0 -1.5e-3)") == "(X_0 #)"
    found = [" images   50", " rate     0.041 (0.01 to 0.13)", " images   7"]
    assert renewed([" images 48", "...", " images 1"], found) == [" images   50", "...", " images   7"]
    with pytest.raises(ValueError, match="not printed"):
        renewed([" rate 1 (0 to 1)", " rate 1 (0 to 1)"], found)


def test_seconds_are_not_compared() -> None:
    lines = [" attack  broken  seconds", " pgd     0.5        1.24", "", " seconds  3", " seed  0"]
    assert untimed(lines) == [" attack  broken  ", " pgd     0.5     ", "", " seed  0"]


@pytest.mark.parametrize(
    ("shown", "found", "materially"),
    [("5576 / 4804", "5580 / 4790", False), ("rate 0.04", "rate 0.06", False), ("rate 0.04", "rate 0.1", True)],
)
def test_rounding_is_no_difference(shown: str, found: str, materially: bool) -> None:
    assert differ(shown, found) is materially
