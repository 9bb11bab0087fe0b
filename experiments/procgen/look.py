"""What one attack of a frame does to the policy, on frames of unattacked play: the reasons behind the rewards.

python experiments/procgen/look.py --eps 3/255
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import tyro
from attack import GAMES, HERE, LABELS

from adrgd.attacks import steps_within
from adrgd.errors import AdrgdError
from adrgd.files import write_text
from adrgd.rl.load import load_policy
from adrgd.rl.perturb import Perturbation
from adrgd.rl.siege import interval, make_world
from adrgd.rl.victim import victim_of
from adrgd.solvers import make_solver

SOLVERS = {"noise": "", "pgd": "pgd", "graduated": "graduated", "adr": "adr:paper-fruitbot"}
LEFT, RIGHT = slice(0, 3), slice(6, 9)  # of Procgen's fifteen actions, those that move so


@dataclass(frozen=True, kw_only=True)
class Options:
    """What to look at."""

    eps: str = "3/255"
    passes: int = 10
    copies: int = 16
    """Environments."""
    times: int = 16
    """Frames of each, eight steps apart."""
    seed: int = 0
    out: Path = HERE / "results"


def frames(options: Options, game: str) -> tuple[Any, Any]:
    """The policy, and frames that it comes by when nobody attacks it."""
    world = make_world(f"procgen:{game}", options.copies, seed=options.seed)
    victim = victim_of(load_policy(HERE / "policies" / f"{game}.safetensors"), world.observation_space)
    seen, kept = np.asarray(world.reset()), []
    for t in range(8 * options.times):
        if t % 8 == 0:
            kept.append(seen.copy())
        seen = np.asarray(world.step(victim.act(torch.tensor(seen).float(), np.random.default_rng([t])))[0])
    return victim, np.concatenate(kept)


def uniform(game: str, *, episodes: int = 100, limit: int = 200) -> str:
    """The mean reward of actions that are drawn from all with equal chances, with its interval."""
    world, random = make_world(f"procgen:{game}", episodes), np.random.default_rng(0)
    world.reset()
    rewards, going = np.zeros(episodes), np.full(episodes, True)
    for _ in range(limit):
        _, gained, done, _ = world.step(random.integers(0, 15, episodes))
        rewards += gained * going
        going &= ~done
    low, high = interval(rewards)
    return f"{game}, uniform actions: {rewards.mean():.2f} [{low:.2f}, {high:.2f}]"


def report(options: Options) -> str:
    """A table of both games."""
    lines = [
        "# What an attack of one frame does", "",
        f"{options.copies * options.times} frames of unattacked play, eps {options.eps}, goal paper, {options.passes} "
        "passes a frame; means, and 95 % intervals of the chosen action's probability.", "",
        "| game | attack | chosen action's probability | another is best | moves left | moves right | entropy |",
        "|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for game in GAMES:
        victim, seen = frames(options, game)
        clean = victim.outputs(torch.tensor(seen).float()).detach().softmax(1)
        chosen = clean.argmax(1)
        after: dict[str, Any] = {"none": clean}
        for name, solver in SOLVERS.items():
            found = make_solver(solver) if solver else "noise"
            steps = steps_within(found, options.passes) if not isinstance(found, str) else 1
            way = Perturbation(eps=options.eps, solver=found, steps=steps, seed=options.seed)  # type: ignore[arg-type]
            shown = [
                way.perturb(victim, part, np.arange(len(part)), t).x
                for t, part in enumerate(np.split(seen, options.times))
            ]
            after[name] = victim.outputs(torch.cat(shown)).detach().softmax(1)
        for name, p in after.items():
            own = p.gather(1, chosen[:, None])[:, 0].numpy()
            low, high = interval(own)
            entropy = -(p * p.log()).sum(1).mean()
            lines.append(
                f"| {game} | {LABELS[name]} | {own.mean():.3f} [{low:.3f}, {high:.3f}] | "
                f"{(p.argmax(1) != chosen).float().mean():.2f} | {p[:, LEFT].sum(1).mean():.2f} | "
                f"{p[:, RIGHT].sum(1).mean():.2f} | {entropy:.2f} |"
            )
    lines += ["", "Rewards of 100 episodes of at most 200 steps:", "", *(f"- {uniform(game)}" for game in GAMES)]
    text = "\n".join(lines) + "\n"
    write_text(options.out / "look.md", text)
    return text


if __name__ == "__main__":
    torch.set_num_threads(1)
    try:
        print(report(tyro.cli(Options, description=__doc__)))
    except AdrgdError as error:
        raise SystemExit(f"error: {error}") from None
