"""Folders that belong to one run: what may go on, what is set aside, and what is never touched."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest

from adrgd.errors import RunFolderError, RunFolderWarning
from adrgd.runs import ASIDE, open_run
from adrgd.runs.checksums import CHECKSUMS
from adrgd.runs.verify import inspect, run_folders, verify

CONFIG = {"eps": 0.1, "model": "net", "shape": (1, 2), "steps": 5, "resume": None}


def fill(path: Path, *, resume: bool = False) -> list[str]:
    """A run of three parts; returns those that it had to make."""
    made = []
    with open_run(path, CONFIG, resume=resume) as run:
        for name in ("parts/a", "parts/b", "parts/c"):
            if not run.has(name):
                run.write_text(name, f"content of {name}")
                made.append(name)
        run.write_text("result", "".join(run.read(name, Path.read_text) for name in ("parts/a", "parts/b", "parts/c")))
    return made


def contents(path: Path) -> dict[str, str]:
    files = (file for file in path.rglob("*") if file.is_file())
    return {file.relative_to(path).as_posix(): file.read_text() for file in files}


def test_the_same_run_may_go_on(tmp_path: Path) -> None:
    assert fill(tmp_path / "run") == ["parts/a", "parts/b", "parts/c"]
    assert "eps: 0.1" in (tmp_path / "run/config.yaml").read_text()
    before = contents(tmp_path / "run")
    assert fill(tmp_path / "run", resume=True) == []
    assert contents(tmp_path / "run") == before
    assert inspect(tmp_path / "run").findings == []
    assert inspect(tmp_path / "run").finished


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"eps": 0.2}, "eps: 0.1 there, 0.2 here"),
        ({"seed": 1}, "seed: None there, 1 here"),
        ({"steps": 5.0}, "steps: 5 there, 5.0 here"),
        ({"steps": True}, "steps: 5 there, True here"),
        ({"shape": (1, 3)}, r"shape: \[1, 2\] there, \[1, 3\] here"),
    ],
)
def test_another_run_may_not(tmp_path: Path, change: dict[str, Any], sentence: str) -> None:
    fill(tmp_path)
    with pytest.raises(RunFolderError, match="is not empty"):
        open_run(tmp_path, CONFIG, resume=False)
    with pytest.raises(RunFolderError, match=sentence):
        open_run(tmp_path, CONFIG | change, resume=True)
    open_run(tmp_path, {key: value for key, value in CONFIG.items() if value is not None}, resume=True).close()


@pytest.mark.parametrize(
    "content", ["[1, 2]", "a: [", "\x00", "[" * 1200, "a: &x [1]\nb: *x\n", "x" * (1 << 21), "1: 2"]
)
def test_settings_of_old_that_are_damaged_are_said(content: str, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(content)
    with pytest.raises(RunFolderError, match=r"config.yaml (cannot be read|holds)"):
        open_run(tmp_path, {}, resume=True)
    assert contents(tmp_path) == {"config.yaml": content}


@pytest.mark.parametrize("damage", [None, "", "eps: 0.2\n", "{"])
def test_settings_that_were_changed(tmp_path: Path, damage: str | None) -> None:
    """The same request brings them back; no other one is believed, not even one that says the same as the file."""
    fill(tmp_path)
    file = tmp_path / "config.yaml"
    sound = file.read_text()
    if damage is None:
        file.unlink()
    else:
        file.write_text(damage)
    with pytest.raises(RunFolderError, match="was changed or removed after"):
        open_run(tmp_path, {"eps": 0.2}, resume=True)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        assert fill(tmp_path, resume=True) == []
    assert len(said) == (damage is not None)
    assert file.read_text() == sound


def test_what_is_no_run_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    for resume, place, sentence in (
        (True, "file", "is a file"),
        (True, "", "holds no config.yaml"),
        (False, "", "is not empty"),
        (False, "file/deeper", "cannot create"),
    ):
        with pytest.raises(RunFolderError, match=sentence):
            open_run(tmp_path / place, {}, resume=resume)
    assert contents(tmp_path) == {"file": "mine"}


@pytest.mark.parametrize("name", ["parts/b", "config.yaml", "result", CHECKSUMS])
@pytest.mark.parametrize("damage", ["flip", "cut", "zeros", "empty", "swap", "gone"])
def test_damage_is_found_named_and_mended(tmp_path: Path, name: str, damage: str) -> None:
    fill(tmp_path)
    before = contents(tmp_path)
    file = tmp_path / name
    data = bytearray(file.read_bytes())
    match damage:
        case "flip":
            data[len(data) // 2] ^= 4
        case "cut":
            del data[-3:]
        case "zeros":
            data[-5:] = bytes(5)
        case "empty":
            data.clear()
        case "swap":
            data = bytearray((tmp_path / "parts/a").read_bytes())
        case "gone":
            if name == CHECKSUMS:
                pytest.skip("that is a folder of the version without them")
            file.unlink()
    if damage != "gone":
        file.write_bytes(data)
    assert any(finding.startswith(name) for finding in inspect(tmp_path).findings)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        fill(tmp_path, resume=True)
    if name != CHECKSUMS:  # half a record at its end is what any kill may leave
        assert bool(said) == (damage != "gone")
    assert all(issubclass(one.category, RunFolderWarning) for one in said)
    after = contents(tmp_path)
    assert {key: text for key, text in after.items() if not key.startswith(ASIDE)} == before
    if said and (name != CHECKSUMS or damage not in ("cut", "zeros")):
        assert (tmp_path / ASIDE / name).read_bytes() == bytes(data)
    assert inspect(tmp_path).findings == []


def test_what_others_have_put_there_is_kept(tmp_path: Path) -> None:
    with open_run(tmp_path, CONFIG, resume=False) as run:
        run.write_text("parts/a", "content of parts/a")
        (tmp_path / "parts/b").write_text("mine")
        (tmp_path / "notes").write_text("mine too")
    with pytest.warns(RunFolderWarning, match="parts/b is not listed as a file of this run"):
        fill(tmp_path, resume=True)
    assert (tmp_path / ASIDE / "parts/b").read_text() == "mine"
    assert (tmp_path / "notes").read_text() == "mine too"
    assert inspect(tmp_path).findings == []
    (note,) = [note for note in inspect(tmp_path).notes if "notes" in note]
    assert "not listed" in note


def test_nothing_of_others_is_removed_when_a_run_fails(tmp_path: Path) -> None:
    def fail(name: str, *, kept: bool) -> None:
        with open_run(tmp_path / name, CONFIG, resume=False) as run:
            if kept:
                (run.path / "notes").write_text("mine")
            raise ValueError("no")

    for name in ("empty", "notes"):
        with pytest.raises(ValueError, match="no"):
            fail(name, kept=name == "notes")
    assert not (tmp_path / "empty").exists()
    assert (tmp_path / "notes/notes").read_text() == "mine"
    assert fill(tmp_path / "notes", resume=True)
    with pytest.raises(ValueError, match="no"), open_run(tmp_path / "notes", CONFIG, resume=True):
        raise ValueError("no")
    assert (tmp_path / "notes/parts/a").exists()


def test_a_stopped_run_keeps_its_folder(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), open_run(tmp_path, CONFIG, resume=False):
        raise KeyboardInterrupt
    assert (tmp_path / "config.yaml").exists()
    assert not inspect(tmp_path).finished


def test_removed_files_and_their_folder_are_gone(tmp_path: Path) -> None:
    fill(tmp_path)
    with open_run(tmp_path, CONFIG, resume=True) as run:
        (tmp_path / "parts/mine").write_text("mine")
        run.remove(["parts/a", "parts/mine", "parts/unknown"])
        assert not run.has("parts/a")
        (tmp_path / "parts/mine").unlink()
        run.remove(["parts/b", "parts/c"])
    assert sorted(contents(tmp_path)) == [CHECKSUMS, "config.yaml", "result"]
    assert not (tmp_path / "parts").exists()
    assert not inspect(tmp_path).findings


def test_folders_of_old_go_on_and_say_so_once(tmp_path: Path) -> None:
    fill(tmp_path)
    before = contents(tmp_path)
    (tmp_path / CHECKSUMS).unlink()
    (tmp_path / "parts/b").unlink()
    assert not inspect(tmp_path).findings
    assert "has no checksums" in inspect(tmp_path).notes[0]
    verify(tmp_path, "parts/a")
    with pytest.warns(RunFolderWarning, match="kept no checksums") as said:
        assert fill(tmp_path, resume=True) == ["parts/b"]
    assert len(said) == 1
    assert fill(tmp_path, resume=True) == []
    assert {name: text for name, text in contents(tmp_path).items() if name != CHECKSUMS} == {
        name: text for name, text in before.items() if name != CHECKSUMS
    }
    verify(tmp_path, "parts/a")


def test_folders_of_old_whose_files_cannot_be_read_are_mended_too(tmp_path: Path) -> None:
    def number(file: Path) -> int:
        return int(file.read_text())

    (tmp_path / "config.yaml").write_text("a: 1\n")
    (tmp_path / "part").write_text("no number")
    with pytest.warns(RunFolderWarning, match="kept no checksums"):
        run = open_run(tmp_path, {"a": 1}, resume=True)
    assert run.has("part")
    sentence = r"part cannot be read \(ValueError\); go on with --resume"
    with pytest.warns(RunFolderWarning, match="is set aside"), pytest.raises(RunFolderError, match=sentence):
        run.read("part", number)
    assert not run.has("part")
    run.close()


@pytest.mark.parametrize("name", [".config.yaml.77.tmp", ".config.yaml.77.adrgd", CHECKSUMS, ".adrgd.lock"])
@pytest.mark.parametrize("resume", [False, True])
def test_a_folder_that_was_left_before_it_had_settings_is_as_good_as_new(
    name: str, resume: bool, tmp_path: Path
) -> None:
    (tmp_path / name).write_text("eps: 0.")
    assert len(fill(tmp_path, resume=resume)) == 3
    assert not inspect(tmp_path).findings


def test_files_that_were_being_written_are_removed(tmp_path: Path) -> None:
    fill(tmp_path)
    half = tmp_path / "parts" / ".b.123.adrgd"
    half.write_text("half")
    (tmp_path / "parts" / ".b.123.tmp").write_text("not ours")
    assert any(half.name in note for note in inspect(tmp_path).notes)
    fill(tmp_path, resume=True)
    assert not half.exists()
    assert (tmp_path / "parts" / ".b.123.tmp").exists()


def test_runs_inside_runs_are_found(tmp_path: Path) -> None:
    fill(tmp_path)
    fill(tmp_path / "cells" / "one")
    (tmp_path / ASIDE).mkdir()
    (tmp_path / ASIDE / "config.yaml").write_text("damaged")
    assert run_folders(tmp_path) == [tmp_path, tmp_path / "cells" / "one"]
    assert not any("cells" in note for note in inspect(tmp_path).notes)
    with pytest.raises(RunFolderError, match="is no run's folder"):
        run_folders(tmp_path / "cells")
