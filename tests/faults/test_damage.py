"""Flipped bits, in any file of any run: found, named, and mended to the same bits."""

from __future__ import annotations

import random
import shutil
import warnings
from pathlib import Path

from adrgd.errors import RunFolderWarning
from adrgd.runs import ASIDE
from adrgd.runs.checksums import CHECKSUMS, Checksums
from adrgd.runs.verify import inspect, run_folders

from .commands import Command
from .disk import States

FLIPS = 40  # of each command; benchmarks/reliability.py tries more


def files(out: Path) -> list[Path]:
    """All that runs have written and listed, and the lists themselves."""
    found = []
    for folder in run_folders(out):
        names = [*Checksums.read(folder).names(), CHECKSUMS]
        found += [folder / name for name in names if (folder / name).is_file() and (folder / name).stat().st_size]
    return found


def flip(file: Path, bit: int) -> None:
    data = bytearray(file.read_bytes())
    data[bit // 8] ^= 1 << bit % 8
    file.write_bytes(data)


def findings(out: Path) -> list[str]:
    return [finding for folder in run_folders(out) for finding in inspect(folder).findings]


def test_every_flipped_bit_is_found(command: Command, tmp_path: Path) -> None:
    out, chosen = tmp_path / "run", random.Random(command.name)
    states = States(out, tmp_path / "states")
    states.record(lambda: command.run(out, resume=False))
    at_rest = [state for state in states.found if state.exists() and not list(state.rglob("*.adrgd"))]
    tried = 0
    while tried < FLIPS:
        states.put_back(at_rest[-1] if tried % 2 else chosen.choice(at_rest[len(at_rest) // 3 :]))
        if findings(out):  # half a line of the list, as a kill leaves it
            continue
        tried += 1
        file = chosen.choice(files(out))
        bit = chosen.randrange(8 * file.stat().st_size)
        flip(file, bit)
        assert findings(out), (file, bit)


def test_damage_in_each_file_is_mended(command: Command, whole: dict[str, object], tmp_path: Path) -> None:
    out, chosen = tmp_path / "run", random.Random(command.name)
    command.run(out, resume=False)
    for file in files(out):
        flip(file, chosen.randrange(4 * file.stat().st_size))
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            command.run(out, resume=True)
        assert any(issubclass(one.category, RunFolderWarning) for one in said), file
        command.run(out, resume=True)  # so that the summary no more speaks of the damage
        found = command.results(out)
        assert {name: found[name] for name in whole} == whole, file
        for folder in run_folders(out):
            shutil.rmtree(folder / ASIDE, ignore_errors=True)
