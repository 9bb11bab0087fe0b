"""Every shell command of README and the pages is one that exists, with flags that exist."""

from __future__ import annotations

import importlib
import re
import shlex
import tomllib
from typing import Any

import pytest
import tyro

from docs.pages import PAGES, ROOT

OTHERS = {
    "cd",
    "cp",
    "curl",
    "docker",
    "export",
    "hf",
    "git",
    "ls",
    "mkdir",
    "sha256sum",
    "conda",
    "uv",
    "source",
    "echo",
}
ASSIGNMENT = re.compile(r"[A-Z_]+=")


def commands(page: str) -> list[list[str]]:
    """The words of every command in the page's bash blocks."""
    text = (ROOT / page).read_text(encoding="utf-8")
    found = []
    for block in re.findall(r"^ *```(?:bash|sh|shell)\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            for part in re.split(r";|&&|\||<\(|\)", line.split(" #")[0]):
                words = shlex.split(part, comments=True)
                while words and ASSIGNMENT.match(words[0]):
                    words = words[1:]
                if words:
                    found.append(words)
    return found


EVERY = [(page, words) for page in PAGES for words in commands(page)]


class Parsed(BaseException):
    """The command line was understood."""


def understood(argv: list[str]) -> None:
    """Parse an adrgd command without carrying it out."""
    name, *rest = argv
    module = importlib.import_module(f"adrgd.cli.{name.replace('-', '_')}")
    try:
        module.command(rest)
    except Parsed:
        return
    except SystemExit as stop:
        if stop.code:
            pytest.fail(f"adrgd {shlex.join(argv)} is not understood")


@pytest.mark.parametrize(("page", "words"), EVERY, ids=[f"{page}: {' '.join(words)}"[:100] for page, words in EVERY])
def test_commands_exist(
    page: str, words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    parse = tyro.cli

    def stop(*args: Any, **more: Any) -> Any:
        parse(*args, **more)
        raise Parsed

    monkeypatch.setattr(tyro, "cli", stop)
    program, rest = words[0].rpartition("/")[2], words[1:]
    if program == "adrgd":
        at = rest.index("--config") if "--config" in rest else len(rest)
        plain = [word for word in rest[:at] + rest[at + 2 :] if word not in ("--debug", "--quiet", "--verbose", "...")]
        plain += ["--help"] if at < len(rest) else []  # the file has what is required
        if plain and not plain[0].startswith("-") and plain[0] != "list":
            understood(plain)
    elif program in ("python", "python3"):
        is_script(rest)
    elif program == "make":
        targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
        assert {word for word in rest if "=" not in word} <= set(targets), rest
    elif program == "pip":
        extras_exist(rest)
    else:
        assert program in OTHERS, f"{page}: nothing here knows the command {program!r}"


def is_script(rest: list[str]) -> None:
    """A file of the repository that knows the flags."""
    if rest[0] == "-m":
        return
    script = ROOT / rest[0]
    assert script.is_file(), f"there is no {rest[0]}"
    beside = [*script.parent.glob("*.py"), *(ROOT / "src" / "adrgd" / "cli").glob("*.py")]
    source = "".join(path.read_text(encoding="utf-8") for path in beside)
    for flag in (word.partition("=")[0] for word in rest[1:] if word.startswith("--")):
        name = flag[2:].removeprefix("no-")
        known = flag in source or re.search(rf"\b{name.replace('-', '_')}\b", source)
        assert known, f"{rest[0]} has no {flag}"


def extras_exist(rest: list[str]) -> None:
    """Extras of adrgd that are declared."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for word in rest:
        if match := re.search(r"(?:adrgd|\.)\[([a-z,-]+)\]", word):
            assert set(match[1].split(",")) <= set(project["optional-dependencies"]), word
