"""Is a TorchScript file nothing but functions of tensors? Loading one can run functions that it brings along.

torch reads its pickles with a reader of its own, which makes tensors, plain containers and the file's own classes; the
classes may bring functions that run while they are read, and any operator, those that open files among them.
"""

from __future__ import annotations

import ast
import pickletools
import re
import zipfile
from typing import IO

from adrgd.files import reading
from adrgd.models.harmless import harmless

PICKLED = re.compile(r"(data|constants|traced_inputs)\.pkl")
CODE = re.compile(r"code/[\w/]+\.py")
PLAIN = re.compile(
    r"(data|constants|traced_inputs)/\d+|code/[\w/]+\.py\.debug_pkl|version|byteorder|\.data/\w+|\.format_version"
    r"|\.storage_alignment"
)
CLASSES = re.compile(
    r"__torch__\.[\w.]+ \w+|__torch__ \w+|collections OrderedDict|torch \w+Storage|torch\._utils _rebuild_tensor_v2"
    r"|torch\.jit\._pickle (build_\w+list|restore_type_tag)"
)
NAMING = ("GLOBAL", "STACK_GLOBAL", "INST", "EXT1", "EXT2", "EXT4")
NAMESPACES = ("aten", "prim")


class NotPlainScriptError(ValueError):
    """A TorchScript file holds more than functions of tensors."""


def check_script(file: IO[bytes]) -> None:
    """See that a file can do nothing but compute.

    Raises:
        NotPlainScriptError: it could do something else.
        OSError, ValueError: it cannot be read, or expands beyond the limit.
    """
    reading.check_zip(file, "network")
    with zipfile.ZipFile(file) as archive:
        names = [name for name in archive.namelist() if not name.endswith("/")]
        if not any(name.endswith("/constants.pkl") for name in names):
            raise ValueError("no TorchScript")
        root = f"{names[0].partition('/')[0]}/" if names else ""
        if len(set(names)) < len(names) or not all(name.startswith(root) for name in names):
            raise NotPlainScriptError("files of several archives")
        for name in names:
            inner = name.removeprefix(root)
            if PICKLED.fullmatch(inner):
                _check_classes(archive.read(name), inner)
            elif CODE.fullmatch(inner):
                _check_code(archive.read(name), inner)
            elif not PLAIN.fullmatch(inner):
                raise NotPlainScriptError(f"a part of another kind ({inner[:80]})")


def _check_classes(content: bytes, name: str) -> None:
    for operation, value, _ in pickletools.genops(content):
        known = operation.name == "GLOBAL" and CLASSES.fullmatch(str(value))
        if operation.name in NAMING and not known:
            raise NotPlainScriptError(f"an object of {value!r} ({name})")


def _check_code(content: bytes, name: str) -> None:
    try:
        tree = ast.parse(content)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise NotPlainScriptError(f"code that is no TorchScript ({name})") from error
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name in ("__setstate__", "__getstate__"):
            raise NotPlainScriptError(f"a function {node.name}, which runs while it is loaded ({name})")
        if isinstance(node, ast.While):
            raise NotPlainScriptError(f"a loop that may have no end ({name})")
        path = _path(node)
        if path[:1] == ["torch"]:
            plain = harmless("".join(path[1:2]))
        else:
            plain = path[:1] != ["ops"] or ("".join(path[1:2]) in NAMESPACES and harmless("".join(path[2:3])))
        if not plain:
            raise NotPlainScriptError(f"the operator {'.'.join(path)} ({name})")


def _path(node: ast.AST) -> list[str]:
    """The names of an expression such as torch.nn.f; none for any other."""
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    return [node.id, *reversed(names)] if isinstance(node, ast.Name) and names else []
