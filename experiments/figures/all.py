"""All figures into docs/figures.

python experiments/figures/all.py             # computes and draws
python experiments/figures/all.py --redraw    # Figure 5 and value against passes from results/, without computing
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import explain
import figure1
import figure2
import figure5
import passes
import tyro


@dataclass(frozen=True)
class Options:
    redraw: bool = False
    """Draw what is kept in results/ instead of computing it again."""
    parts: Path = Path("runs/random_nets/seed-0")
    """Where experiments/random_nets/run.py keeps its runs."""


def main(options: Options) -> None:
    explain.main()
    figure1.main()
    figure2.main()
    figure5.main(figure5.Options(redraw=options.redraw))
    passes.main(passes.Options(redraw=options.redraw, parts=options.parts))


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))
