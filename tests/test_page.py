"""Pages say how they were made, and what they show to those who do not see it."""

from __future__ import annotations

import html
import re
import shlex
from importlib.resources import files
from pathlib import Path

import pytest

from adrgd.cli import run
from adrgd.command import again, remember
from adrgd.page import COLOURS, chart

ATTACK = "--model bundled:mnist-pgd --data bundled:mnist --limit 2 --eps 0.35 --steps 2 --seed 3"
RUNS = {
    "attack": f"attack {ATTACK}",
    "evaluate": "evaluate --models bundled:mnist-pgd --data bundled:mnist --limit 2 --eps .1 .3 --steps 2",
    "reconstruct": "reconstruct --generator bundled:mnist-vae --data bundled:mnist --limit 1 --steps 2",
}


@pytest.mark.parametrize("name", RUNS)
def test_the_command_on_a_page_makes_it_again(name: str, tmp_path: Path) -> None:
    out = tmp_path / "a run"
    assert run([*RUNS[name].split(), "--out", str(out), "--quiet"]) == 0
    page = (out / "report.html").read_text()
    shown = re.search(r'<pre[^>]*aria-label="command">adrgd ([^<]+)</pre>', page)
    assert shown is not None
    assert run([*shlex.split(html.unescape(shown[1])), "--quiet"]) == 0
    assert (out / "config.yaml").read_text() == (tmp_path / "a run-again/config.yaml").read_text()


@pytest.mark.parametrize("name", RUNS)
def test_pages_can_be_read_without_eyes_or_a_mouse(name: str, tmp_path: Path) -> None:
    assert run([*RUNS[name].split(), "--out", str(tmp_path / "run"), "--quiet"]) == 0
    page = (tmp_path / "run/report.html").read_text()
    assert all(re.search(r'alt="[^"]+"', tag) for tag in re.findall(r"<img [^>]*>", page))
    assert all('role="img" aria-label="' in tag for tag in re.findall(r"<svg[^>]*>", page))
    assert all("tabindex" in tag for tag in re.findall(r"<pre[^>]*>|<div style=\"overflow[^>]*>", page))
    assert "<main>" in page
    assert "@media print" in page
    assert "http://" not in re.sub(r"http://(www\.w3\.org|purl\.org|creativecommons\.org)", "", page)


def luminance(colour: str) -> float:
    parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_words_stand_out_from_their_ground() -> None:
    """WCAG AA: 4.5 for words, 3 for curves."""
    style = files("adrgd").joinpath("page.html.j2").read_text()
    words = [re.search(rf"--{name}: (#\w{{6}})", style)[1] for name in ("ink", "soft", "bad", "accent")]  # type: ignore[index]
    for colour, least in [*((word, 4.5) for word in words), *((curve, 3.0) for curve in COLOURS)]:
        assert 1.05 / (luminance(colour) + 0.05) >= least, colour


def test_a_curve_in_words() -> None:
    found = chart([0, 4], {"a <b>": [0.0, 0.5], "c": [1.0, 2.0]}, xlabel="steps", ylabel="loss")
    assert 'aria-label="loss by steps 0 to 4; a &lt;b&gt;: from 0 to 0.5; c: from 1 to 2"' in found


def test_words_of_the_command() -> None:
    remember(["attack", "--out=a b", "--resume", "--quiet", "--eps", "8/255"])
    assert again() == "adrgd attack '--out=a b-again' --eps 8/255"
    remember([])
    assert again() == ""
