"""The command line: `adrgd COMMAND ...`. Each command is a module of its own, imported when it is called."""

from __future__ import annotations

import importlib
import sys
import traceback
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from adrgd import __version__
from adrgd.cli import loudness, signals
from adrgd.command import remember
from adrgd.errors import AdrgdError, AdrgdWarning, UsageError

Words = list[str]
"""A name of its own: `list` is a module of this package once that command was called."""

COMMANDS = {
    "attack": "attack a classifier over a data set, into a folder with results and a report",
    "evaluate": "evaluate models under many attacks, other libraries' among them, and check the attacks",
    "maximize": "maximise one output of a network over a box, with a proof on request",
    "falsify": "find a counterexample to a VNN-LIB property of an ONNX network, or prove that there is none",
    "check-proof": "check a proof of falsify again, by other code, in float64 or in exact numbers",
    "train": "train a classifier on clean or adversarial images",
    "reconstruct": "find the codes of a generator that explain what was measured of images",
    "rl": "train agents whose actions are refined by maximising the critic, and watch them",
    "inspect": "show a model as the solvers see it: activations, gates, problems",
    "check": "check a run's folder: files against checksums, adversarial examples against model and data",
    "list": "show solvers, presets, losses, bundled models and data",
    "doctor": "show versions, devices and extras, and see that everything works here",
    "completion": "print what makes a shell complete commands and flags",
}


def main(argv: Sequence[str] | None = None) -> None:
    """Run one command and exit: 0 done, 1 failed, 2 bad usage, 130 interrupted, 143 terminated."""
    signals.install()
    code = run(list(sys.argv[1:] if argv is None else argv))
    signals.leave()
    sys.exit(code)


def run(argv: list[str]) -> int:
    """Run one command and return its exit code; every failure is one line on standard error."""
    debug = "--debug" in argv
    argv = loudness.begin([word for word in argv if word != "--debug"])
    if not argv or argv[0] in ("-h", "--help"):
        print(_usage())
        return 0 if argv else 2
    if argv[0] == "--version":
        print(f"adrgd {__version__}")
        return 0
    if argv[0] not in COMMANDS:
        print(f"error: unknown command {argv[0]!r}; expected one of {', '.join(COMMANDS)}", file=sys.stderr)
        return 2
    if "" not in sys.path:
        sys.path.insert(0, "")  # `--model my_module:factory` finds my_module.py in the folder one stands in
    shown = warnings.showwarning
    warnings.showwarning = lambda *words, **more: _say(shown, *words, **more)
    try:
        words = _with_settings(argv)
        remember(words)
        name, *rest = words
        code: int = importlib.import_module(f"adrgd.cli.{name.replace('-', '_')}").command(rest)
        return code
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except AdrgdError as error:
        if debug:
            traceback.print_exc()
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except Exception as error:
        if debug:
            traceback.print_exc()
        first = str(error).strip().splitlines()[0] if str(error).strip() else "no message"
        print(f"error: {type(error).__name__}: {first} (run again with --debug for the traceback)", file=sys.stderr)
        return 1
    finally:
        warnings.showwarning = shown
        remember([])


def _with_settings(argv: list[str]) -> list[str]:
    """The words with those that --config FILE stands for, which come first, so that typed ones go before."""
    if not any(word.partition("=")[0] == "--config" for word in argv):
        return argv
    from adrgd.cli.settings import words_of

    count = 2 if argv[0] == "rl" else 1
    command = argv[:count]
    words: Words = []
    files: Words = []
    rest = iter(argv[count:])
    for word in rest:
        flag, equals, value = word.partition("=")
        if flag != "--config":
            words.append(word)
        elif not (file := value if equals else next(rest, "")):
            raise UsageError("--config needs a value, found none; name a YAML file, e.g. a run's config.yaml")
        else:
            files += words_of(tuple(command), Path(file), argv)
    return [*command, *files, *words]


def _say(shown: Any, message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
    """Our own warnings as one line, all others as ever."""
    if issubclass(category, AdrgdWarning):
        print(f"warning: {message}", file=sys.stderr)
    else:
        shown(message, category, *place, **more)


def _usage() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {what}" for name, what in COMMANDS.items()]
    return "\n".join(
        [
            f"adrgd {__version__}: optimise the inputs of trained networks",
            "",
            "usage: adrgd COMMAND [options]      adrgd COMMAND --help      adrgd --version",
            "",
            *lines,
            "",
            "of all commands:",
            "  --config FILE  flags from a YAML file, such as a run's own config.yaml; typed ones go before",
            "  --quiet        no progress and no summary: warnings and errors alone",
            "  --verbose      what is loaded, where, and how long it takes",
            "  --debug        the traceback of an error",
            "",
            "exit codes: 0 done, 1 failed or found wanting, 2 bad usage, 130 interrupted, 143 terminated",
        ]
    )
