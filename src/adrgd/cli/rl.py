"""adrgd rl"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from adrgd.cli.flags import flags
from adrgd.cli.folders import Run, figures
from adrgd.cli.options import cli, positive, usable_device
from adrgd.errors import UsageError

if TYPE_CHECKING:
    from rich.progress import Progress
    from rich.table import Table

DESCRIPTION = {
    "train": "Train an agent whose actions are refined by maximising its critic, into a folder that can be resumed.",
    "attack": "Play episodes of a trained policy while each observation is perturbed inside a small ball.",
    "play": "Play one episode with the agent of such a folder, and save it as a moving picture.",
}

RENAMED = {
    "train": {
        "--steps": "--env-steps", "--target": "--target-critics", "--noise": "--exploration-noise",
        "--limit": "--episode-steps",
    },
    "play": {"--limit": "--episode-steps", "--run": "FOLDER"},
}  # fmt: skip


@flags
@dataclass(frozen=True, kw_only=True)
class Train:
    """What to train, and how."""

    env: str
    """A name of Gymnasium's registry with continuous actions, e.g. HalfCheetah-v5 or Pendulum-v1."""
    algo: Literal["td3", "ddpg"] = "td3"
    """The algorithm of Stable-Baselines3."""
    refine: str = "graduated"
    """graduated, adr, gd, another solver of `adrgd list`, or none for the plain algorithm."""
    env_steps: int
    """Steps of the environment."""
    probability: float = 0.25
    """How likely each action is refined."""
    radius: float = 0.5
    """How far each action may move; actions are scaled to [-1, 1], so that 2 is everywhere."""
    refine_steps: int = 100
    """Iterations of each refinement."""
    start: int | None = None
    """Steps of the environment before the first refinement; as many as --learning-starts unless given."""
    critic: Literal["first", "mean", "min"] = "first"
    """Which of the critics is maximised."""
    target_critics: bool = False
    """Maximise the target critics instead."""
    refined_noise: bool = False
    """Give refined actions exploration noise too."""
    evaluate_every: int = 5000
    """Steps between evaluations; each ends with a checkpoint."""
    episodes: int = 5
    """Episodes of each evaluation."""
    learning_starts: int | None = None
    """Steps of random actions; a tenth of all, at most 10,000, unless given."""
    update_every: int = 50
    """Steps between updates, and how many are then made."""
    batch_size: int = 100
    """Transitions of an update."""
    learning_rate: float = 1e-3
    """The step of Adam on actor and critics."""
    exploration_noise: float = 0.1
    """Standard deviation of the exploration noise, in scaled actions."""
    net: tuple[int, ...] = (400, 300)
    """Hidden layers of actor and critics."""
    episode_steps: int | None = None
    """End an episode of an evaluation after that many steps, with what it has brought so far; 30,000 unless given."""
    run: Annotated[Run, tyro.conf.arg(name="")] = field(
        default_factory=lambda: Run(threads=1)  # small networks run fastest on one
    )


@flags
@dataclass(frozen=True, kw_only=True)
class Play:
    """Which agent to watch."""

    folder: tyro.conf.Positional[Path]
    """A folder of `adrgd rl train`."""
    out: Path | None = field(default=None, metadata={"metavar": "FILE"})
    """The picture, FILE.gif; episode.gif in the run's folder unless given."""
    refine: str = "none"
    """Refine each action: graduated, adr, gd, another solver of `adrgd list`, or none."""
    radius: float = 0.5
    """How far each scaled action may move."""
    seed: int = 0
    """What the episode's start is drawn from."""
    episode_steps: int | None = None
    """End after that many steps; 5,000 unless given."""
    width: int = 320
    """Width of the picture, in pixels."""
    trust: bool = False
    """Import the module that the run's environment lies in (MODULE:NAME)."""
    json: bool = False
    """Print the result as one JSON object and nothing else."""


def command(argv: list[str]) -> int:
    """Run `adrgd rl train`, `adrgd rl attack` or `adrgd rl play`."""
    if not argv or argv[0] in ("-h", "--help"):
        lines = [f"  {name:<7} {what}" for name, what in DESCRIPTION.items()]
        print(
            "\n".join(["usage: adrgd rl train|play|attack [--json] [options]      adrgd rl train --help", "", *lines])
        )
        raise SystemExit(0 if argv else 2)
    if argv[0] not in DESCRIPTION:
        raise UsageError(f"unknown command 'rl {argv[0]}'; expected one of {', '.join(DESCRIPTION)}")
    if argv[0] == "attack":
        from adrgd.cli.rl_attack import attack

        return attack(argv[1:])
    kind: Any = {"train": Train, "play": Play}[argv[0]]
    options = cli(
        kind, argv[1:], prog=f"adrgd rl {argv[0]}", description=DESCRIPTION[argv[0]], renamed=RENAMED[argv[0]]
    )
    return train(options) if isinstance(options, Train) else play(options)


def train(options: Train) -> int:
    """Train, with a bar on standard error."""
    run = options.run
    run.begin()
    from adrgd.rl.config import RefineConfig, named
    from adrgd.rl.training import Training
    from adrgd.rl.training import train as train_agent

    config = RefineConfig(
        probability=options.probability, radius=options.radius, steps=positive(options.refine_steps, "refine-steps"),
        start=options.start, critic=options.critic, target=options.target_critics, noise=options.refined_noise,
    )  # fmt: skip
    training = Training(
        algo=options.algo, env=options.env, steps=positive(options.env_steps, "env-steps"), seed=run.seed,
        refine=named(options.refine, config), evaluate_every=positive(options.evaluate_every, "evaluate-every"),
        episodes=positive(options.episodes, "episodes"), learning_starts=options.learning_starts,
        update_every=positive(options.update_every, "update-every"),
        batch_size=positive(options.batch_size, "batch-size"), learning_rate=options.learning_rate,
        noise=options.exploration_noise, net=options.net, device=usable_device(run.device),
        limit=options.episode_steps and positive(options.episode_steps, "episode-steps"),
    )  # fmt: skip
    out = run.folder(options.env, options.algo, options.refine)

    def work(bar: Progress) -> dict[str, Any]:
        task = bar.add_task("training", total=options.env_steps)

        def advance(done: int, reward: float | None) -> None:
            bar.update(task, completed=done)
            if reward is not None:
                bar.update(task, description=f"reward {reward:.1f}")

        return train_agent(training, out, resume=run.resume, advance=advance)

    words = f"results: {out}; curves: tensorboard --logdir {out}"
    return run.carry_out(work, out, show=lambda summary: [_table(summary, options)], results=words)


def play(options: Play) -> int:
    """Play one episode and save the picture."""
    if not os.environ.get("DISPLAY"):  # both are read when the libraries that draw are imported
        os.environ.setdefault("MUJOCO_GL", "egl")
        os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
    import torch

    torch.set_num_threads(1)
    from adrgd.rl.config import RefineConfig, named
    from adrgd.rl.film import film
    from adrgd.rl.policy import refined_policy
    from adrgd.rl.training import load_run

    config = named(options.refine, RefineConfig(radius=options.radius))
    model, env = load_run(options.folder, trust=options.trust)
    policy = model if config is None else refined_policy(model, config)
    out = options.out or options.folder / "episode.gif"
    episode = film(policy, env, out, seed=options.seed, limit=options.episode_steps, width=options.width)
    if options.json:
        print(
            json.dumps({"env": env, "refine": options.refine, "seed": options.seed, "out": str(out)} | asdict(episode))
        )
    else:
        print(f"{env}, seed {options.seed}: reward {episode.reward:.1f} in {episode.length} steps; see {out}")
    return 0


def _table(summary: dict[str, Any], options: Train) -> Table:
    rows = {
        "steps": f"{summary['steps']}",
        "last mean reward": f"{summary['reward']:.1f}  (spread {summary['reward_spread']:.1f})",
        "best mean reward": f"{summary['best_reward']:.1f}  (at {summary['best_step']})",
        "mean gain in Q of a refined action": f"{summary['gain']:.4f}",
        "seed": f"{summary['seed']}",
    }
    return figures(f"{options.algo.upper()} on {options.env}, refined by: {options.refine}", rows)
