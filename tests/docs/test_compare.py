"""The names that the comparison rests on exist in the packages, wherever these are installed."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

from docs.pages import ROOT

NAMES = re.findall(
    r"`((?:foolbox|torchattacks|pyautoattack|robustbench|art|adv_lib)\.[\w.]+)`",
    (ROOT / "docs" / "compare.md").read_text(encoding="utf-8"),
)


@pytest.mark.parametrize("package", sorted({name.partition(".")[0] for name in NAMES}))
def test_names_exist(package: str) -> None:
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        pytest.skip(f"{package} is not installed")
    folder = Path(spec.origin).parent
    missing = [name for name in NAMES if name.startswith(f"{package}.") and not exists(folder, name.split(".")[1:])]
    assert not missing, f"docs/compare.md names what {package} has not: {missing}"


def exists(place: Path, names: list[str]) -> bool:
    """Whether the sources hold a name, without importing them: some ask for other frameworks."""
    for depth, name in enumerate(names):
        if (place / name).is_dir():
            place = place / name
        elif (place / f"{name}.py").is_file():
            place = place / f"{name}.py"
        else:
            file = place / "__init__.py" if place.is_dir() else place
            source = file.read_text(encoding="utf-8")
            return depth == len(names) - 1 and re.search(rf"\b{name}\b", source) is not None
    return True
