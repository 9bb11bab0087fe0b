"""Help and the sentences about wrong flags, over all commands."""

from __future__ import annotations

import re

import pytest

from adrgd.cli import run
from adrgd.cli.known import gather, known

from .commands import ALL

PARSERS = re.compile(r"\{None|\b(STR|INT|FLOAT|PATH|NoneType)\b|default: (None|True|False|\))")


@pytest.fixture
def helped(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    """The help of a command, in lines that are never broken."""
    monkeypatch.setenv("COLUMNS", "1000")
    with pytest.raises(SystemExit) as stop:
        run([*request.param, "--help"])
    assert stop.value.code == 0
    return capfd.readouterr().out


every = pytest.mark.parametrize("helped", ALL, indirect=True, ids=" ".join)


@every
def test_values_have_names(helped: str) -> None:
    """No word of the parser's own: what a value is, is said."""
    assert not re.search(
        r"\{None|\bSTR\b|\bINT\b|\bFLOAT\b|\bPATH\b|\bNoneType\b|default: (None|True|False|\))", helped
    )


@every
def test_every_option_has_text(helped: str) -> None:
    lines = [re.split(r"\s{2,}", line.strip("│ ")) for line in helped.splitlines()]
    flags = [at for at, parts in enumerate(lines) if parts[0].startswith("-")]
    assert flags
    for at in flags:
        text = [*lines[at], *(lines[at + 1] if len(lines[at]) == 1 else [])][1]
        assert len(text.removesuffix("(required)").split()) > 1, lines[at]


def test_the_table_of_names_is_what_the_classes_say() -> None:
    """If this fails, `python -m adrgd.cli.known` makes the table again."""
    found = gather()
    assert known().keys() == found.keys()
    for name, part in known().items():
        assert part == _as_read(found[name]), name


def _as_read(value: object) -> object:
    """json has lists for tuples."""
    if isinstance(value, dict):
        return {key: _as_read(one) for key, one in value.items()}
    return list(value) if isinstance(value, tuple) else value


ATTACK = ["attack", "--model", "bundled:mnist-pgd", "--data", "bundled:mnist"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([*ATTACK, "--eps", "8/255x"], "--eps: expected a number or a fraction such as 8/255, found '8/255x'"),
        ([*ATTACK, "--eps", "8/0"], "--eps: expected a number or a fraction such as 8/255, found '8/0'"),
        ([*ATTACK, "--eps"], "--eps needs a value, found none"),
        ([*ATTACK, "--eps", ".1", "--spread", "1"], "--spread needs 2 values, found fewer"),
        ([*ATTACK, "--eps", ".1", "--limit", "few"], "--limit: expected a whole number, found 'few'"),
        ([*ATTACK, "--eps", ".1", "--norm", "l7"], "--norm: expected one of linf, l2, l1, l0, found 'l7'"),
        ([*ATTACK, "--eps", ".1", "--sigma", "1"], "unknown option --sigma; did you mean --sigma0?"),
        ([*ATTACK, "--eps", ".1", "more"], "unknown option more"),
        ([*ATTACK, "--eps", ".1", "--budget", "9"], "--budget is a flag of --solver standard, and not of"),
        ([*ATTACK, "--eps", ".1", "--decay-rate", "9"], "--solver graduated-momentum, --step momentum, and not of"),
        (["attack"], "missing: --model MODEL, --data DATA"),
        (["maximize"], "missing: MODEL;"),
        (["maximize", "bundled:mnist-pgd"], "expected --lower and --upper"),
        (["evaluate", "--eps", "1/2", "x"], "missing: --models MODEL ..., --data DATA"),
        (["evaluate", "--models", "a", "--data", "b", "--eps", "1/2", "x"], "--eps: expected a number or a fraction"),
        (["inspect", "a", "--shape", "3", "x"], "--shape: expected a whole number, found 'x'"),
        ([*ATTACK, "--eps", ".1", "--solver", "magic"], "expected one of standard, graduated, "),
        ([*ATTACK, "--eps", ".1", "--solver", "magic"], ", adr:PRESET"),
    ],
)
def test_wrong_flags_are_one_sentence_of_ours(
    words: list[str], sentence: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    assert run(words) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith("error: ")
    assert sentence in err
