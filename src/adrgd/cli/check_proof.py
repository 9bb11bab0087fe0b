"""adrgd check-proof"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tyro

from adrgd.cli.flags import flags
from adrgd.cli.options import cli

if TYPE_CHECKING:
    from adrgd.falsify.written import Rechecked

DESCRIPTION = (
    "Check a proof of adrgd falsify --proof: network and property are read again, the parts must cover everything, and "
    "the bound of each is computed again."
)


@flags
@dataclass(frozen=True, kw_only=True)
class Options:
    """What to check."""

    file: tyro.conf.Positional[Path]
    """The proof."""
    network: tyro.conf.Positional[Path]
    """FILE.onnx or FILE.onnx.gz."""
    prop: tyro.conf.Positional[Path]
    """FILE.vnnlib or FILE.vnnlib.gz."""
    exact: bool = False
    """In exact numbers instead of float64 with a bound on its error: for small networks."""
    json: bool = False
    """Print one JSON object and nothing else."""


def command(argv: list[str]) -> int:
    """Run `adrgd check-proof`: 0 when the property is proven, 1 when the file does not prove it, 2 for other files."""
    options: Options = cli(
        Options, argv, prog="adrgd check-proof", description=DESCRIPTION,
        renamed={"--net": "NETWORK", "--spec": "PROPERTY"},
    )  # fmt: skip
    from adrgd.cli.progress import progress_bar
    from adrgd.falsify.written import check_proof

    with progress_bar() as bar:
        task = bar.add_task("checking", total=None)
        found = check_proof(
            options.file, options.network, options.prop, exact=options.exact,
            advance=lambda leaves: bar.update(task, total=leaves, advance=1),
        )  # fmt: skip
    print(json.dumps(_plain(options, found)) if options.json else _words(options, found))
    return 0


def _words(options: Options, found: Rechecked) -> str:
    about, done = found.about, found.checked
    kind = "exact numbers" if found.exact else "float64 with a bound on its error"
    empty = f", {done.empty} of them empty" if done.empty else ""
    tolerance = (
        f"\ntolerance  {about.tolerance:g}: boxes widened and constraints eased by it" if about.tolerance else ""
    )
    neurons = f"{sum(about.neurons)} neurons in {len(about.neurons)} layers"
    least = f", each bound above zero{empty}; the least {done.least:.3g}" if done.leaves else ": nothing can violate it"
    return "\n".join(
        [
            f"proven: no input of {options.prop} violates it on {options.network}",
            f"network     {about.inputs} inputs, {neurons}, {about.outputs} outputs; SHA-256 {about.network[:16]}...",
            f"property    {about.cases} cases, all covered; SHA-256 {about.property[:16]}...{tolerance}",
            f"leaves      {done.leaves}{least}",
            f"arithmetic  {kind}; {found.seconds:.1f} s",
        ]
    )


def _plain(options: Options, found: Rechecked) -> dict[str, Any]:
    least = found.checked.least if found.checked.leaves else None
    return {
        "proof": str(options.file), "network": str(options.network), "property": str(options.prop), "proven": True,
        "exact": found.exact, "cases": found.about.cases, "leaves": found.checked.leaves,
        "empty": found.checked.empty, "least_bound": least, "tolerance": found.about.tolerance,
        "network_sha256": found.about.network, "property_sha256": found.about.property, "seconds": found.seconds,
    }  # fmt: skip
