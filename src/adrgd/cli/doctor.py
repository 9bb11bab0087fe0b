"""adrgd doctor"""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import re
import sys
import time
from dataclasses import dataclass
from typing import Any

from adrgd import __version__
from adrgd.cli.flags import flags
from adrgd.cli.options import cli
from adrgd.errors import installing

DESCRIPTION = "Show versions, devices and extras, and see that everything works here; exit code 1 where it does not."

IMAGES = 20
EXPECTED = {0.05: 0, 0.35: IMAGES}  # how many of them a short attack breaks: far from any doubt, so the same everywhere
REQUIREMENT = re.compile(r"(?P<name>[\w.-]+)(\[(?P<extras>[\w,-]+)\])?.*?(; *extra *== *['\"](?P<extra>[\w-]+)['\"])?$")
TOOLS = ("test", "docs", "notebooks")  # for those who work on the package itself


@flags
@dataclass(frozen=True, kw_only=True)
class Options:
    """What to print."""

    json: bool = False
    """Print one JSON object and nothing else."""


def command(argv: list[str]) -> int:
    """Run `adrgd doctor`."""
    options: Options = cli(Options, argv, prog="adrgd doctor", description=DESCRIPTION)
    found = {"versions": versions(), "machine": machine(), "extras": extras(), "check": check()}
    if options.json:
        print(json.dumps(found))
    else:
        _show(found)
    return 0 if found["check"]["passed"] else 1


def versions() -> dict[str, str]:
    """Of this package, of Python, and of what the package needs."""
    names = [name for name, extra, _ in requirements() if extra is None]
    return {"adrgd": __version__, "python": platform.python_version()} | {
        name: installed(name) or "-" for name in names
    }


def machine() -> dict[str, Any]:
    """Processor, threads, and the devices that torch has."""
    import torch

    devices = ["cpu"] + [f"cuda:{k} ({torch.cuda.get_device_name(k)})" for k in range(torch.cuda.device_count())]
    devices += ["mps"] if torch.backends.mps.is_available() else []
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "processors": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "devices": devices,
        "torch built for CUDA": torch.version.cuda or "no",
        "executable": sys.executable,
    }


def extras() -> dict[str, dict[str, Any]]:
    """Each extra: whether all of it is there, and what is missing."""
    wanted: dict[str, list[str]] = {}
    for name, extra, inner in requirements():
        if extra is not None:
            wanted.setdefault(extra, []).extend([f"[{one}]" for one in inner] if name == "adrgd" else [name])
    found: dict[str, dict[str, Any]] = {}
    for extra in (name for name in wanted if name not in TOOLS):
        missing = sorted(name for name in _all_of(extra, wanted) if installed(name) is None)
        found[extra] = {"there": not missing, "missing": missing}
    return found


def _all_of(extra: str, wanted: dict[str, list[str]]) -> set[str]:
    """The packages of an extra, and of the extras that it is made of."""
    names: set[str] = set()
    for name in wanted.get(extra, []):
        names |= _all_of(name.strip("[]"), wanted) if name.startswith("[") else {name}
    return names


def requirements() -> list[tuple[str, str | None, list[str]]]:
    """What the installed package asks for: name, the extra that asks for it, and the extras that are asked of it."""
    try:
        lines = importlib.metadata.requires("adrgd") or []
    except importlib.metadata.PackageNotFoundError:  # run from a checkout that is on the path
        return []
    found = []
    for line in lines:
        parts = REQUIREMENT.match(line)
        if parts is not None:
            inner = (parts["extras"] or "").split(",") if parts["extras"] else []
            found.append((parts["name"], parts["extra"], inner))
    return found


def installed(name: str) -> str | None:
    """The version of a package that is there."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def check() -> dict[str, Any]:
    """A short attack on the bundled network, whose outcome is known."""
    began = time.perf_counter()
    try:
        broken = {eps: _attacked(eps) for eps in EXPECTED}
        passed = broken == EXPECTED
        what = ", ".join(f"{count} of {IMAGES} at eps {eps}" for eps, count in broken.items())
        sentence = f"a short attack breaks {what}, " + ("as it has to" if passed else f"expected {EXPECTED}")
    except Exception as error:  # whatever is wrong here is what was asked for
        passed, sentence = False, f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"
    return {"passed": passed, "sentence": sentence, "seconds": round(time.perf_counter() - began, 2)}


def _attacked(eps: float) -> int:
    from adrgd.attacks import Attack, Threat, attack_batch
    from adrgd.data import load_data
    from adrgd.models import load_model

    data, model = load_data("bundled:mnist", limit=IMAGES), load_model("bundled:mnist-pgd")
    attack = Attack(threat=Threat(eps=eps), steps=5)
    return int(attack_batch(model, data.images, data.labels, attack).success.sum())


def _show(found: dict[str, Any]) -> None:
    from rich.markup import escape
    from rich.table import Table

    from adrgd.cli.progress import printer

    console = printer()
    for title, rows in (("versions", found["versions"]), ("machine", found["machine"])):
        table = Table(title=title, title_justify="left", show_header=False, box=None, padding=(0, 2))
        for name, value in rows.items():
            table.add_row(name, ", ".join(value) if isinstance(value, list) else str(value))
        console.print(table)
        console.print()
    table = Table(title="extras", title_justify="left", show_header=False, box=None, padding=(0, 2))
    for name, one in found["extras"].items():
        state = "installed" if one["there"] else f"missing: {installing(name)}"
        table.add_row(name, escape(state), "" if one["there"] else f"for {', '.join(one['missing'])}")
    console.print(table)
    console.print()
    good = found["check"]
    words = f"{'well' if good['passed'] else 'WRONG'}: {good['sentence']} ({good['seconds']:.1f} s)"
    console.print(words, soft_wrap=True, highlight=False, markup=False)
