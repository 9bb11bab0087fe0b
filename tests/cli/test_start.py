"""Help, lists and wrong words answer before torch is imported."""

from __future__ import annotations

import json
import subprocess
import sys

from .commands import ALL

HEAVY = {"torch", "numpy", "pyarrow", "onnx", "matplotlib", "PIL", "stable_baselines3", "foolbox", "ray"}

WORDS = {
    0: ["--help", "--version", "list", "list --json", *(" ".join(name) + " --help" for name in ALL)],
    2: ["attack --model a --data b --eps much", "attack --solver magic", "evaluate", "fly", "rl fly", "maximize a",
        "falsify --processes x"],
}  # fmt: skip

EACH = """
import json, sys
from adrgd.cli import run
codes = {}
for words in json.loads(sys.argv[1]):
    try:
        codes[words] = run(words.split())
    except SystemExit as stop:
        codes[words] = stop.code
print(json.dumps([codes, list(sys.modules)]), file=sys.__stderr__)
"""


def test_help_lists_and_wrong_words_import_nothing_heavy() -> None:
    wanted = {words: code for code, all_words in WORDS.items() for words in all_words}
    done = subprocess.run(
        [sys.executable, "-c", EACH, json.dumps(list(wanted))], capture_output=True, text=True, check=True
    )
    codes, modules = json.loads(done.stderr.splitlines()[-1])
    assert codes == wanted
    assert not HEAVY & set(modules)


def test_the_front_door_imports_no_parser() -> None:
    """Not even what other commands take for their flags."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "adrgd", "--help"], capture_output=True, text=True, check=True
    )
    modules = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}
    assert "adrgd.cli" in modules
    assert not modules & (HEAVY | {"tyro", "rich", "yaml"})
