"""An episode as a moving picture, so that a person can see the agent."""

from __future__ import annotations

import io
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from adrgd.errors import UsageError
from adrgd.files import writing
from adrgd.files.outputs import refuse_others
from adrgd.rl.chain import Array
from adrgd.rl.environments import Act, Episode, make_env, play

MARK = b"adrgd rl play"  # in the file, so that it may be replaced
SMOOTH = 25  # pictures a second are enough
LONGEST = 5_000  # steps without a limit: a whole episode is kept in memory


def film(policy: Any, env: str, out: Path, *, seed: int = 0, limit: int | None = None, width: int = 320) -> Episode:
    """Play one episode without exploration and save what it looks like as a gif.

    Args:
        policy: has `predict` as models of Stable-Baselines3 do.
        env: the environment's name.
        out: the file; its name ends in .gif.
        seed: of the episode's start.
        limit: end after that many steps; 5,000 unless given.
        width: of the picture, in pixels.

    Raises:
        UsageError: another kind of file, or one of somebody else's, or the environment cannot be drawn here.
    """
    if out.suffix.lower() != ".gif":
        raise UsageError(f"cannot write {out.name}: expected a name that ends in .gif")
    if width < 16 or (limit is not None and limit < 1):
        raise UsageError(f"expected a width of at least 16 pixels and a limit of at least 1, found {width} and {limit}")
    refuse_others(out, lambda head: head.startswith(b"GIF") and MARK in head)
    made = make_env(env, render_mode="rgb_array", **({} if limit is None else {"max_episode_steps": limit}))
    rate = float(made.metadata.get("render_fps", 30))
    every = max(1, round(rate / SMOOTH))
    pictures: list[Image.Image] = []
    time = 0

    def seen() -> None:
        nonlocal time
        if time % every == 0:
            pictures.append(_picture(_draw(made, env), width))
        time += 1

    act: Act = lambda observation: policy.predict(observation, deterministic=True)[0]  # noqa: E731
    episode = play(made, act, seed, seen, longest=LONGEST if limit is None else limit + 1)
    made.close()
    save = partial(pictures[0].save, format="GIF", save_all=True, append_images=pictures[1:], loop=0)
    out.parent.mkdir(parents=True, exist_ok=True)
    packed = io.BytesIO()
    save(packed, duration=max(20, round(1000 * every / rate)), comment=MARK)
    with writing(out) as stream:
        stream.write(packed.getbuffer())
    return episode


def _draw(made: Any, env: str) -> Array:
    try:
        frame = made.render()
    except Exception as error:  # each drawing library has errors of its own
        raise UsageError(
            f"cannot draw {env} here ({type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}); for "
            "MuJoCo without a screen set MUJOCO_GL=egl or MUJOCO_GL=osmesa, for the others install pygame"
        ) from error
    return np.asarray(frame)


def _picture(frame: Array, width: int) -> Image.Image:
    """In 256 colours at once, since a whole episode is kept."""
    image = Image.fromarray(frame.astype(np.uint8))
    size = (width, round(width * image.height / image.width))
    return image.resize(size).convert("P", palette=Image.Palette.ADAPTIVE)
