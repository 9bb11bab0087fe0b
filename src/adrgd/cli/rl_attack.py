"""adrgd rl attack"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from adrgd import __version__
from adrgd.cli.flags import flags
from adrgd.cli.folders import Run, figures
from adrgd.cli.options import cli, positive, usable_device
from adrgd.described import describe
from adrgd.errors import UsageError
from adrgd.runs import open_run
from adrgd.specs import join_spec, split_spec

if TYPE_CHECKING:
    from rich.progress import Progress
    from rich.table import Table
    from torch import Tensor

    from adrgd.domain import Box
    from adrgd.solvers import Solver

DESCRIPTION = "Play episodes of a trained policy while each observation is perturbed inside a small ball."
EPISODES = "episodes.parquet"
SUMMARY = "summary.json"

RENAMED = {"--passes": "--budget", "--limit": "--episode-steps"}


@flags
@dataclass(frozen=True, kw_only=True)
class Siege:
    """Which policy to attack, where, and how much."""

    policy: Path
    """FILE.safetensors of experiments/procgen/train.py, a folder of `adrgd rl train`, or FILE.zip of
    Stable-Baselines3 (PPO, A2C, DQN, TD3, DDPG, SAC; with --trust)."""
    env: str
    """procgen:GAME, also with ?start=LEVEL&levels=COUNT&mode=hard; or a name of Gymnasium's registry."""
    eps: float
    """The largest change of a coordinate, in its own unit; for images in 255 grey levels, so that 3/255 is three."""
    solver: str = "graduated"
    """A solver of `adrgd list`; adr has the paper's settings for policies, secant is graduated-secant; standard; noise
    for uniform noise of the same size; none."""
    goal: Literal["paper", "margin", "worst"] = "paper"
    """paper: a low probability of the chosen action; margin: another action far ahead; worst: the action of least value
    (or probability)."""
    budget: int = 10
    """Forward and backward passes for each observation, together; standard needs at least 50."""
    episodes: int = 100
    """Episodes that are played to their ends."""
    side_by_side: int = 64
    """Environments that are played in one batch."""
    episode_steps: int | None = None
    """End an episode after that many steps, with what it has brought so far; needs --side-by-side as --episodes. 30,000
    unless given."""
    sample: bool = False
    """Draw actions from the policy instead of taking the best."""
    whole: bool = False
    """Round what is shown to whole grey levels; otherwise the policy is shown fractions of them."""
    frames: int | None = None
    """Observations that are stacked; found from the policy's shape unless given."""
    normalise: Path | None = None
    """The VecNormalize of Stable-Baselines3 that belongs to the policy, as it was saved (with --trust)."""
    controls: bool = True
    """Leave out what the attack is compared with: the policy alone, and under uniform noise of the same size."""
    trust: bool = False
    """Read files that can run their maker's code."""
    run: Annotated[Run, tyro.conf.arg(name="")] = field(default_factory=lambda: Run(threads=1))


@dataclass(frozen=True)
class StandardSearch:
    """The ensemble of `adrgd attack` on each observation: the policy is a classifier, and its action the label."""

    budget: int

    def __call__(
        self, logits: Any, clean: Tensor, action: Tensor, target: Tensor | None, eps: float, box: Box, loss: str,
        seed: int,
    ) -> Any:  # fmt: skip
        from adrgd.attacks import Attack, Standard, Threat, attack_batch
        from adrgd.rl.perturb import Found

        low, high = (float(bound) for bound in (box.lower.min(), box.upper.max()))  # type: ignore[union-attr]
        threat = Threat(eps=eps, lower=low, upper=high, target=None if target is None else "least-likely")
        found = attack_batch(
            logits,
            clean,
            action,
            Attack(threat=threat, solver=Standard(budget=self.budget), loss=loss, seed=seed),
            check=False,
        )
        return Found(found.adversarial, found.forward_passes + found.backward_passes)


def attack(argv: list[str]) -> int:
    """Run `adrgd rl attack`."""
    options: Siege = cli(Siege, argv, prog="adrgd rl attack", description=DESCRIPTION, renamed=RENAMED)
    options.run.begin()
    out = options.run.folder(options.env, options.solver)
    return options.run.carry_out(
        lambda bar: besiege(options, out, bar), out, show=lambda summary: [_table(summary)], results=f"results: {out}"
    )


def besiege(options: Siege, out: Path, bar: Progress) -> dict[str, Any]:
    """Play under the attack and the controls, and write what came of it."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from adrgd.rl.load import load_normalisation, load_policy
    from adrgd.rl.perturb import WITHOUT_SOLVER, Perturbation
    from adrgd.rl.siege import make_world, play_siege, summary_of
    from adrgd.rl.victim import frames_of, victim_of

    count = min(positive(options.side_by_side, "side-by-side"), positive(options.episodes, "episodes"))
    seed, (solver, steps) = options.run.seed, _attacker(options)
    policy = load_policy(options.policy, trust=options.trust).to(usable_device(options.run.device))
    normalise = None if options.normalise is None else load_normalisation(options.normalise, trust=options.trust)
    trial = make_world(options.env, 1)
    frames = options.frames or frames_of(policy, trial.observation_space)
    trial.close()
    config = {
        "adrgd": __version__, "policy": options.policy.name, "env": options.env, "eps": options.eps,
        "solver": describe(solver, options.solver) if not isinstance(solver, str) else {"name": options.solver},
        "goal": options.goal, "passes": options.budget, "steps": steps, "episodes": options.episodes,
        "side_by_side": count, "limit": options.episode_steps, "sample": options.sample, "whole": options.whole,
        "frames": frames, "normalise": options.normalise and options.normalise.name, "controls": options.controls,
        "seed": seed,
    }  # fmt: skip
    conditions: dict[str, Any] = {options.solver: solver}
    if options.controls:
        conditions |= {name: name for name in WITHOUT_SOLVER if name not in conditions}
    task = bar.add_task("attacking", total=len(conditions) * options.episodes)

    def played(name: str, before: int) -> dict[str, Any]:
        way = Perturbation(
            eps=options.eps, solver=conditions[name], goal=options.goal, steps=steps, whole=options.whole, seed=seed
        )
        world = make_world(options.env, count, seed=seed, frames=frames)
        siege = play_siege(
            victim_of(policy, world.observation_space, normalise=normalise), world, way, episodes=options.episodes,
            seed=seed, sample=options.sample, limit=options.episode_steps,
            advance=lambda ended, _: bar.update(task, completed=before + ended),
        )  # fmt: skip
        world.close()
        return summary_of(siege) | {"each": [asdict(one) for one in siege.episodes]}

    found: dict[str, Any] = {}
    with open_run(out, config, resume=options.run.resume) as folder:
        for name in conditions:
            file = f"{name}.json"
            if not folder.has(file):
                folder.write_text(file, json.dumps(played(name, len(found) * options.episodes)) + "\n")
            found[name] = folder.read(file, lambda path: json.loads(path.read_text()))
            bar.update(task, completed=len(found) * options.episodes)
        rows = [
            {"solver": name, "episode": k} | row for name, one in found.items() for k, row in enumerate(one.pop("each"))
        ]
        with folder.write(EPISODES) as stream:
            pq.write_table(pa.Table.from_pylist(rows), stream)
        summary = {"out": str(out), "config": config, "found": found}
        folder.write_text(SUMMARY, json.dumps(summary, indent=1) + "\n")
        return summary | folder.remarks()


def _attacker(options: Siege) -> tuple[Solver | StandardSearch | str, int]:
    """What moves the observations, and how many iterations its passes pay for."""
    from adrgd.attacks import steps_within
    from adrgd.attacks.ensemble.standard import LEAST, find_attacker
    from adrgd.solvers import Solver

    passes = positive(options.budget, "budget")
    base, query = split_spec(options.solver, error=UsageError)
    name = join_spec({"adr": "adr:paper-fruitbot", "secant": "graduated-secant"}.get(base, base), query)
    if name in ("none", "noise"):
        return name, 1
    solver = find_attacker(name)
    if isinstance(solver, Solver):
        return solver, steps_within(solver, passes)
    if query:
        raise UsageError(f"standard takes no keys here, found {options.solver!r}; set --budget instead")
    if passes < LEAST:
        raise UsageError(f"standard needs at least {LEAST} passes an observation, found {passes}; raise --budget")
    return StandardSearch(passes), 1


def _table(summary: dict[str, Any]) -> Table:
    config, rows = summary["config"], {}
    for name, one in summary["found"].items():
        low, high = one["interval_95"]
        rows[f"reward, {name}"] = f"{one['reward']:.2f}  ({low:.2f} to {high:.2f})"
        rows[f"passes an observation, {name}"] = f"{one['passes']:.1f}"
    rows |= {"episodes": f"{config['episodes']}", "seed": f"{config['seed']}"}
    return figures(f"{config['env']}, eps {config['eps']:.4g}, goal {config['goal']}", rows)
