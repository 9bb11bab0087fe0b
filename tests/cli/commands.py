"""All commands, and what one needs to be asked for its help."""

from __future__ import annotations

from adrgd.cli import COMMANDS

RL = ("train", "play", "attack")
ALL = [(name,) for name in COMMANDS if name != "rl"] + [("rl", name) for name in RL]
