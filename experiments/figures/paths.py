"""Where figures and their data are kept, and the one import path that the scripts here add: the random networks'."""

from __future__ import annotations

import sys
from pathlib import Path

EXPERIMENTS = Path(__file__).resolve().parents[1]
FIGURES = EXPERIMENTS.parent / "docs" / "figures"
RESULTS = EXPERIMENTS / "figures" / "results"

if str(EXPERIMENTS / "random_nets") not in sys.path:
    sys.path.append(str(EXPERIMENTS / "random_nets"))
