"""adrgd attack"""

from __future__ import annotations

from adrgd.cli.attack.options import Options
from adrgd.cli.options import parse
from adrgd.errors import UsageError

DESCRIPTION = "Attack a classifier over a data set. Every image found is checked to lie inside its ball and its box."


def command(argv: list[str]) -> int:
    """Run `adrgd attack`."""
    options, chosen = parse(
        Options, argv, prog="adrgd attack", description=DESCRIPTION, ensemble=True, default="graduated"
    )
    if options.task not in ("classification", "binary"):
        from adrgd.cli.attack.task import task

        return task(options, chosen)
    if options.share is not None or options.band is not None:
        raise UsageError(f"--share and --band have no meaning with --task {options.task}; leave them out")
    if options.minimum:
        from adrgd.cli.attack.minimum import minimum

        return minimum(options, chosen)
    from adrgd.cli.attack.radius import attack

    return attack(options, chosen)
