"""Folders that belong to one run."""

from __future__ import annotations

from pathlib import Path

import pytest

from adrgd.errors import RunFolderError
from adrgd.runs import open_run


def test_the_same_run_may_go_on(tmp_path: Path) -> None:
    config = {"eps": 0.1, "model": "net", "shape": (1, 2)}
    open_run(tmp_path / "run", config, resume=False)
    open_run(tmp_path / "run", config, resume=True)
    assert "eps: 0.1" in (tmp_path / "run/config.yaml").read_text()


def test_another_run_may_not(tmp_path: Path) -> None:
    open_run(tmp_path / "run", {"eps": 0.1}, resume=False)
    with pytest.raises(RunFolderError, match="is not empty"):
        open_run(tmp_path / "run", {"eps": 0.1}, resume=False)
    with pytest.raises(RunFolderError, match=r"eps: 0.1 there, 0.2 here"):
        open_run(tmp_path / "run", {"eps": 0.2}, resume=True)
    with pytest.raises(RunFolderError, match="seed: None there, 1 here"):
        open_run(tmp_path / "run", {"eps": 0.1, "seed": 1}, resume=True)


@pytest.mark.parametrize("content", ["[1, 2]", "a: [", "\x00"])
def test_damaged_settings_are_said(content: str, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(content)
    with pytest.raises(RunFolderError, match=r"config.yaml .*choose another --out"):
        open_run(tmp_path, {}, resume=True)


def test_what_is_no_run_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(RunFolderError, match="is a file"):
        open_run(tmp_path / "file", {}, resume=True)
    with pytest.raises(RunFolderError, match="holds no config.yaml"):
        open_run(tmp_path, {}, resume=True)
    with pytest.raises(RunFolderError, match="cannot create"):
        open_run(tmp_path / "file" / "deeper", {}, resume=False)
    assert (tmp_path / "file").read_text() == "mine"
