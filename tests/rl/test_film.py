"""Moving pictures of episodes."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

pytest.importorskip("stable_baselines3", reason="needs the extra [rl]")

from adrgd.errors import UsageError
from adrgd.rl.film import film

from .worlds import REACH, agent


def test_an_episode_as_a_gif(tmp_path: Path) -> None:
    episode = film(agent(), REACH, tmp_path / "new" / "e.gif", seed=1, width=60)
    assert episode.length == 20
    with Image.open(tmp_path / "new" / "e.gif") as picture:
        assert picture.size == (60, 30)
        assert 2 <= picture.n_frames <= 11  # every second step at 50 a second; equal pictures are joined
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["e.gif"]


def test_the_first_steps_only(tmp_path: Path) -> None:
    assert film(agent(), REACH, tmp_path / "e.gif", limit=4).length == 4


@pytest.mark.parametrize(
    ("name", "limit", "width"), [("e.mp4", None, 60), ("e", None, 60), ("e.gif", 0, 60), ("e.gif", 3, 1)]
)
def test_what_is_refused(name: str, limit: int | None, width: int, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="expected a"):
        film(agent(), REACH, tmp_path / name, limit=limit, width=width)
    assert not list(tmp_path.iterdir())


def test_a_world_that_cannot_be_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from .worlds import Reach

    def broken(self: Reach) -> None:
        raise RuntimeError("no screen\nand more")

    monkeypatch.setattr(Reach, "render", broken)
    with pytest.raises(UsageError, match=r"cannot draw Reach-v0 here \(RuntimeError: no screen\); .*MUJOCO_GL=egl"):
        film(agent(), REACH, tmp_path / "e.gif")
    assert not list(tmp_path.iterdir())
