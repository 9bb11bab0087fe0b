"""Is a .pt2 file nothing but a graph of operators and its tensors? Loading one can run whatever else it holds.

torch.export unpickles what a file names as such, sample inputs among them; evaluates the text of sizes that are
expressions; looks operators up by name; makes Python code of the graph; and links compiled code. So a file from
anywhere is admitted only if each of its parts is of a known plain kind, and what serves debugging is left out of it.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Iterator
from typing import IO, Any

import torch

from adrgd.files import reading
from adrgd.models.harmless import harmless

PROGRAM = re.compile(r"models/[\w.-]+\.json|serialized_exported_program\.json")
CONFIG = re.compile(r"data/(weights|constants)/[\w.-]+_config\.json")
TENSOR = re.compile(r"data/(weights/weight|constants/tensor)_\d+")
PICKLED = re.compile(r"data/(weights|constants|sample_inputs)/[\w.-]+\.pt|serialized_[a-z_]+\.(pt|json)")
NOTE = re.compile(r"archive_(format|version)|byteorder|version|\.data/\w+|\.format_version|\.storage_alignment")

ARITHMETIC = "abs|add|and_|eq|floordiv|ge|getitem|gt|le|lt|mod|mul|ne|neg|not_|or_|pos|pow|sub|truediv"
TARGET = re.compile(
    rf"torch\.ops\.(aten|prims)\.(?P<name>\w+)\.\w+|torch\.sym_\w+|math\.\w+|_operator\.({ARITHMETIC})"
    r"|torch\.ops\.higher_order\.(cond|wrap_with_set_grad_enabled|wrap_with_autocast)"
)
WORD = re.compile(r"[\w.:\-/+ \[\]]*")
"""What any other text in a program may be made of: none of it can end a string or a comment."""

SIZES = re.compile(r"[\w\s+*/(),=%<>'-]|(?<=\d)\.(?=\d)")
SYMBOL = re.compile(
    r"Symbol|Integer|Float|Rational|Add|Mul|Pow|Mod|Max|Min|Abs|Eq|Ne|Lt|Le|Gt|Ge|And|Or|Not|floor|ceiling|positive"
    r"|integer|real|nonnegative|nonzero|negative|[Tt]rue|[Ff]alse|oo|FloorDiv|ModularIndexing|Where|PythonMod|CleanDiv"
    r"|CeilToInt|FloorToInt|CeilDiv|IntTrueDiv|FloatTrueDiv|TruncToInt|RoundToInt|ToFloat|Identity"
    r"|[a-z]{1,2}\d+|\d+(e\d*)?"
)
TREE = re.compile(r'[\w.:,\s{}\[\]"\\-]*')
LEFT_OUT: dict[str, Any] = {
    "metadata": {},
    "guards_code": [],
}  # of use for debugging, or for checks that are not wanted here


class NotPlainError(ValueError):
    """A .pt2 file holds more than a graph and tensors."""


def plain_export(file: IO[bytes]) -> io.BytesIO:
    """The same program, without what serves debugging.

    Raises:
        NotPlainError: it holds something else than a graph of operators of torch, and tensors.
        OSError, ValueError: it cannot be read, or expands beyond the limit.
    """
    reading.check_zip(file, "network")
    made = io.BytesIO()
    with zipfile.ZipFile(file) as archive, zipfile.ZipFile(made, "w") as copy:
        names = [name for name in archive.namelist() if not name.endswith("/")]
        root = f"{names[0].partition('/')[0]}/" if all("/" in name for name in names) else ""
        if len(set(names)) < len(names) or not all(name.startswith(root) for name in names):
            raise NotPlainError("files of several archives")
        for name in names:
            copy.writestr(name, _admitted(name.removeprefix(root), archive.read(name)))
    made.seek(0)
    return made


def _admitted(name: str, content: bytes) -> bytes:
    if PROGRAM.fullmatch(name):
        return json.dumps(_checked(reading.read_json(content), "")).encode()
    if CONFIG.fullmatch(name):
        for value in _payloads(reading.read_json(content)):
            if value.get("use_pickle") or not re.fullmatch(r"(weight|tensor)_\d+", str(value.get("path_name"))):
                raise NotPlainError(f"pickled objects ({value.get('path_name')})")
    elif PICKLED.fullmatch(name):
        try:
            if content:
                torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        except Exception as error:  # torch raises errors of many kinds
            raise NotPlainError(f"pickled objects ({name})") from error
    elif not TENSOR.fullmatch(name) and not NOTE.fullmatch(name):
        raise NotPlainError(f"a part of another kind ({name[:80]})")
    return content


def _payloads(content: Any) -> Iterator[dict[str, Any]]:
    config = content.get("config") if isinstance(content, dict) else None
    if not isinstance(config, dict) or not all(isinstance(value, dict) for value in config.values()):
        raise NotPlainError("tensors that are not described as such")
    yield from config.values()


def _checked(value: Any, key: str) -> Any:
    """The same, all of whose texts are of a plain kind for where they stand."""
    if key in LEFT_OUT:
        return LEFT_OUT[key]
    if isinstance(value, dict):
        for name in value:
            _check_text(name, "name")
        return {name: _checked(part, name) for name, part in value.items()}
    if isinstance(value, list):
        return [_checked(part, key) for part in value]
    if isinstance(value, str):
        _check_text(value, key)
    return value


def _check_text(text: str, key: str) -> None:
    if key == "target" and "." in text:
        known, named = TARGET.fullmatch(text), text.startswith(("torch", "math", "_operator", "#"))
        plain = harmless(known["name"] or "") if known else not named and bool(WORD.fullmatch(text))
    elif key == "expr_str":
        words = re.findall(r"\w+", text)
        plain = not SIZES.sub("", text) and all(map(SYMBOL.fullmatch, words))
    elif key in ("in_spec", "out_spec"):
        plain = bool(TREE.fullmatch(text))
    else:
        plain = bool(WORD.fullmatch(text))
    if not plain:
        raise NotPlainError(f"{text[:80]!r} where a name or a number is expected")
