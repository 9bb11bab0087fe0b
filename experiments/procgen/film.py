"""One episode as the agent sees it: alone on the left, under attack on the right, from the same start.

python experiments/procgen/film.py --game fruitbot --eps 5/255
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
import tyro
from PIL import Image, ImageDraw

from adrgd.errors import AdrgdError
from adrgd.files import write_with
from adrgd.rl.load import load_policy
from adrgd.rl.perturb import Perturbation
from adrgd.rl.siege import make_world, play_siege
from adrgd.rl.victim import victim_of

HERE = Path(__file__).parent
GREY = 96
LABEL = 12  # pixels above each picture


@dataclass(frozen=True, kw_only=True)
class Options:
    """What to play."""

    game: str = "fruitbot"
    eps: str = "5/255"
    solver: str = "graduated"
    steps: int = 5
    """Iterations for each observation."""
    seed: int = 0
    """Of the level."""
    size: int = 128
    """Of each picture, in pixels."""
    every: int = 2
    """Steps of the game between pictures."""
    limit: int = 150
    """Pictures at most."""
    out: Path | None = None


def episode(options: Options, solver: str) -> tuple[list[Image.Image], float]:
    """What the agent is shown, and the episode's reward."""
    policy = load_policy(HERE / "policies" / f"{options.game}.safetensors")
    world = make_world(f"procgen:{options.game}", 1, seed=options.seed)
    shown: list[Image.Image] = []
    way = Perturbation(eps=options.eps, solver=solver, steps=options.steps, seed=options.seed)  # type: ignore[arg-type]
    played = play_siege(
        victim_of(policy, world.observation_space), world, way, episodes=1, seed=options.seed, sample=True,
        watch=lambda seen: shown.append(Image.fromarray(seen[0].round().numpy().astype(np.uint8))),
    )  # fmt: skip
    return shown, played.episodes[0].reward


def film(options: Options) -> str:
    """Write the picture, and say what it shows."""
    found = [episode(options, solver) for solver in ("none", options.solver)]
    labels = [f"{word}: {reward:g}" for word, (_, reward) in zip(("alone", f"eps {options.eps}"), found, strict=True)]
    length = max(len(shown) for shown, _ in found)
    pictures = []
    for at in range(0, length, options.every)[: options.limit]:
        page = Image.new("RGB", (2 * options.size + 4, options.size + LABEL), "white")
        draw = ImageDraw.Draw(page)
        for side, ((shown, _), label) in enumerate(zip(found, labels, strict=True)):
            picture = shown[min(at, len(shown) - 1)].resize((options.size, options.size), Image.Resampling.NEAREST)
            if at >= len(shown):  # it has ended
                picture = Image.blend(picture, Image.new("RGB", picture.size, (GREY,) * 3), 0.6)
            page.paste(picture, (side * (options.size + 4), LABEL))
            draw.text((side * (options.size + 4) + 2, 0), label, fill="black")
        pictures.append(page.quantize(64))
    out = options.out or HERE / "results" / f"{options.game}.gif"
    save = partial(pictures[0].save, format="GIF", save_all=True, append_images=pictures[1:], duration=80, loop=0)
    write_with(out, save)
    return f"{out}: {', '.join(labels)}; {len(pictures)} pictures, {out.stat().st_size} bytes"


if __name__ == "__main__":
    torch.set_num_threads(1)
    try:
        print(film(tyro.cli(Options, description=__doc__)))
    except AdrgdError as error:
        raise SystemExit(f"error: {error}") from None
