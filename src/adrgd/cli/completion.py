"""adrgd completion"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args, get_type_hints

import tyro

from adrgd.cli import COMMANDS
from adrgd.cli.flags import flags
from adrgd.cli.known import known, solver_names
from adrgd.cli.options import cli
from adrgd.cli.positional import positionals
from adrgd.cli.settings import OPTIONS, fields_of, options_of

DESCRIPTION = "Print what makes a shell complete commands and flags: put it where your shell reads it, or source it."

EVERYWHERE = ("--help", "--config", "--quiet", "--verbose", "--debug")

BASH = """\
# bash: source <(adrgd completion bash)      zsh: the same, after autoload -U bashcompinit && bashcompinit
_adrgd() {{
    local now="${{COMP_WORDS[COMP_CWORD]}}" before="${{COMP_WORDS[COMP_CWORD-1]}}" at="${{COMP_WORDS[1]}}" words=""
    [[ "$at" == rl && $COMP_CWORD -gt 2 ]] && at="rl ${{COMP_WORDS[2]}}"
    if [[ $COMP_CWORD -eq 1 ]]; then
        words="{commands}"
    elif [[ "$at" == rl ]]; then
        words="{rl}"
    elif [[ "$now" == --* ]]; then
        case "$at" in
{flags}
        esac
    else
        case "$at $before" in
{values}
        esac
    fi
    COMPREPLY=( $(compgen -W "$words" -- "$now") )
    [[ ${{#COMPREPLY[@]}} -eq 0 ]] && COMPREPLY=( $(compgen -f -- "$now") )
}}
complete -o filenames -F _adrgd adrgd
"""


@flags
@dataclass(frozen=True, kw_only=True)
class Options:
    """For which shell."""

    shell: tyro.conf.Positional[Literal["bash", "zsh", "fish"]]
    """The shell."""


def command(argv: list[str]) -> int:
    """Run `adrgd completion`."""
    options: Options = cli(Options, argv, prog="adrgd completion", description=DESCRIPTION)
    print(_fish() if options.shell == "fish" else _bash(), end="")
    return 0


def _all_flags() -> dict[str, dict[str, list[str]]]:
    """The flags of each command and the words that may follow each of them."""
    found = {}
    for words in OPTIONS:
        options = options_of(words)
        hints: dict[str, Any] = {}
        for kind in (options, *([get_type_hints(options)["run"]] if "run" in get_type_hints(options) else [])):
            hints |= get_type_hints(kind)
        unnamed = positionals(options)
        plain = {name: field for name, field in fields_of(options).items() if name not in unnamed}
        found[" ".join(words)] = {
            f"--{'no-' if field.default is True else ''}{name.replace('_', '-')}": _choices(name, hints.get(name))
            for name, field in plain.items()
        }
    return found


def _choices(name: str, hint: Any) -> list[str]:
    if name in ("solver", "solvers"):
        return [one for one in solver_names(ensemble=True) if one != "adr:PRESET"]
    named = {"step": known()["steps"], "loss": known()["losses"], "device": ("auto", "cpu", "cuda", "mps")}
    if name in named:
        return list(named[name])
    if name in ("model", "models", "generator"):
        return list(known()["models"])
    if name in ("data", "test"):
        return list(known()["data"])
    parts = [hint, *get_args(hint)]
    return [str(word) for part in parts if getattr(part, "__origin__", None) is Literal for word in get_args(part)]


def _bash() -> str:
    found = _all_flags()
    flag_lines = [f'            "{at}") words="{" ".join([*EVERYWHERE, *names])}" ;;' for at, names in found.items()]
    value_lines = [
        f'            "{at} {name}") words="{" ".join(words)}" ;;'
        for at, names in found.items()
        for name, words in names.items()
        if words
    ]
    rl = " ".join(words[1] for words in OPTIONS if words[0] == "rl")
    return BASH.format(commands=" ".join(COMMANDS), rl=rl, flags="\n".join(flag_lines), values="\n".join(value_lines))


def _fish() -> str:
    lines = ["# fish: adrgd completion fish | source"]
    first = "not __fish_seen_subcommand_from " + " ".join(COMMANDS)
    lines += [f'complete -c adrgd -n "{first}" -f -a {name} -d "{what}"' for name, what in COMMANDS.items()]
    rl = [words[1] for words in OPTIONS if words[0] == "rl"]
    seen = "__fish_seen_subcommand_from"
    lines += [f'complete -c adrgd -n "{seen} rl; and not {seen} {" ".join(rl)}" -f -a {name}' for name in rl]
    for at, names in _all_flags().items():
        on = "; and ".join(f"{seen} {word}" for word in at.split())
        on += "" if at.startswith("rl") or at in ("list", "doctor") else f"; and not {seen} rl"
        for name, words in names.items():
            more = f' -x -a "{" ".join(words)}"' if words else ""
            lines.append(f'complete -c adrgd -n "{on}" -l {name.removeprefix("--")}{more}')
    return "\n".join(lines) + "\n"
