"""Files of models that could run code are refused without trust, and nothing of them has run by then."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import pickle
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from adrgd import ModelError, load_model
from adrgd.models.plain_script import NotPlainScriptError, check_script
from adrgd.models.weights import read_state_dicts

REFUSED = r"can run any code.*add --trust \(trust=True in Python\)"


class Marker:
    """Unpickled, it leaves a file behind."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self) -> Any:
        return Path.touch, (self.place,)


@pytest.fixture
def net() -> nn.Sequential:
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3)).eval()


@pytest.fixture
def exported(net: nn.Sequential, tmp_path: Path) -> Path:
    file = tmp_path / "net.pt2"
    shapes = ({0: torch.export.Dim("batch")},)
    torch.export.save(torch.export.export(net, (torch.zeros(2, 4),), dynamic_shapes=shapes), file)
    return file


@pytest.fixture
def scripted(net: nn.Sequential, tmp_path: Path) -> Path:
    file = tmp_path / "net.pt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.script(net).save(file)
    return file


def change(file: Path, ending: str, edit: Callable[[bytes], bytes], *, add: tuple[str, bytes] | None = None) -> None:
    """Rewrite the members of an archive whose names end so."""
    with zipfile.ZipFile(file) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    if ending.endswith(".json") and not any(name.endswith(ending) for name in members):
        pytest.skip(f"this version of torch saves no {ending}")
    assert any(name.endswith(ending) for name in members)
    if add:
        members[next(iter(members)).partition("/")[0] + "/" + add[0]] = add[1]
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, edit(content) if name.endswith(ending) else content)


def pickled(thing: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(thing, buffer)
    return buffer.getvalue()


def test_sample_inputs_are_not_unpickled(exported: Path, tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    content = pickled(((torch.zeros(2, 4), Marker(mark)), {}))
    change(exported, "sample_inputs/model.pt", lambda _: content)
    with pytest.raises(ModelError, match=r"found pickled objects \(data/sample_inputs.*" + REFUSED):
        load_model(str(exported))
    assert not mark.exists()
    logging.disable(logging.WARNING)  # torch's own word on it is malformed
    with contextlib.suppress(ModelError):
        load_model(str(exported), trust=True)
    logging.disable(logging.NOTSET)
    assert mark.exists()


def text(edit: Callable[[str], str]) -> Callable[[bytes], bytes]:
    return lambda content: edit(content.decode()).encode()


@pytest.mark.parametrize(
    ("ending", "edit"),
    [
        ("model.json", lambda s: s.replace("Symbol('", "__import__('os').system('")),
        ("model.json", lambda s: s.replace("Symbol('", "lambdify('")),
        ("model.json", lambda s: s.replace("torch.ops.aten.relu.default", "torch.hub.load")),
        ("model.json", lambda s: s.replace("torch.ops.aten.relu.default", "torch.ops.aten.from_file.default")),
        ("model.json", lambda s: s.replace("torch.ops.aten.relu.default", "torch.ops.aten._values.default")),
        ("model.json", lambda s: s.replace("torch.ops.aten.relu.default", "_operator.attrgetter")),
        ("model.json", lambda s: s.replace("torch.ops.aten.relu.default", "#space:name")),
        ("model.json", lambda s: s.replace('"p_0_bias"', '"p\\nimport os"')),
        ("model.json", lambda s: s.replace('"p_0_bias"', '"p\\r#"')),
        ("weights_config.json", lambda s: s.replace('"use_pickle": false', '"use_pickle": true')),
        ("weights_config.json", lambda s: s.replace('"weight_0"', '"custom_obj_0"')),
        ("constants_config.json", lambda _: '{"config": {"a": {"path_name": "opaque_obj_0", "use_pickle": false}}}'),
        ("constants_config.json", lambda _: "[]"),
    ],
)
def test_programs_are_plain(ending: str, edit: Callable[[str], str], exported: Path) -> None:
    change(exported, ending, text(edit))
    with pytest.raises(ModelError, match=REFUSED):
        load_model(str(exported))


@pytest.mark.parametrize("name", ["data/aotinductor/model/model.so", "data/constants/custom_obj_0", "data/../../x"])
def test_parts_of_other_kinds_are_refused(name: str, exported: Path) -> None:
    change(exported, "byteorder", bytes, add=(name, b"\x7fELF"))
    with pytest.raises(ModelError, match="a part of another kind.*" + REFUSED):
        load_model(str(exported))


def test_what_serves_debugging_is_left_out(exported: Path) -> None:
    def edit(content: str) -> str:
        program = json.loads(content)
        if "guards_code" in program:  # versions of torch after 2.8
            program["guards_code"] = ["__import__('os').abort()"]
        program["graph_module"]["graph"]["nodes"][0]["metadata"]["stack_trace"] = 'File "x", line 1\r\nraise SystemExit'
        return json.dumps(program)

    change(exported, "model.json", text(edit))
    assert load_model(str(exported))(torch.zeros(3, 4)).shape == (3, 3)


@pytest.mark.parametrize(
    ("module", "what"),
    [
        ("torch.save(x, 'a')", "torch.save"),
        ("torch.from_file('/etc/passwd', False, 10)", "torch.from_file"),
        ("ops.image.read_file('/etc/passwd')", "ops.image.read_file"),
        ("ops.aten._values(x)", "ops.aten._values"),
        ("torch._sparse_coo_tensor_unsafe(x, x)", "_unsafe"),
    ],
)
def test_scripts_that_do_more_than_compute(module: str, what: str, scripted: Path) -> None:
    more = f"    y = {module}\n    return torch"
    change(scripted, ".py", text(lambda code: code.replace("    return torch", more)))
    with pytest.raises(ModelError, match=f"the operator .*{what}.*" + REFUSED):
        load_model(str(scripted))


def test_scripts_that_run_while_they_are_loaded(tmp_path: Path) -> None:
    class Stateful(nn.Module):
        @torch.jit.export
        def __getstate__(self) -> tuple[Tensor, bool]:
            return torch.zeros(1), self.training

        @torch.jit.export
        def __setstate__(self, state: tuple[Tensor, bool]) -> None:
            self.training = state[1]

        def forward(self, x: Tensor) -> Tensor:
            while bool(x.sum() > 0):
                x = x - 1
            return x

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.script(Stateful()).save(tmp_path / "net.pt")
    with pytest.raises(ModelError, match=r"(__getstate__|__setstate__|no end).*" + REFUSED):
        load_model(str(tmp_path / "net.pt"))


@pytest.mark.parametrize("protocol", [2, 4])
def test_scripts_with_objects_of_python(protocol: int, scripted: Path, tmp_path: Path) -> None:
    content = pickle.dumps(Marker(tmp_path / "ran"), protocol=protocol)
    change(scripted, "data.pkl", lambda _: content)
    with pytest.raises(ModelError, match="an object of .*" + REFUSED):
        load_model(str(scripted))
    assert not (tmp_path / "ran").exists()


def test_plain_scripts_pass(scripted: Path) -> None:
    with scripted.open("rb") as file:
        check_script(file)
    change(scripted, "byteorder", bytes, add=("extra/model.so", b""))
    with scripted.open("rb") as file, pytest.raises(NotPlainScriptError, match="another kind"):
        check_script(file)


def test_weights_are_tensors(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(3), "b": Marker(tmp_path / "ran")}, tmp_path / "w.pth")
    with pytest.raises(ModelError, match="found pickled objects, which are never loaded"):
        load_model(f"mnist-cnn?weights={tmp_path / 'w.pth'}")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("suffix", ["safetensors", "pth"])
def test_weights_larger_than_their_limit_are_not_read(
    suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, state = tmp_path / f"net.{suffix}", {"weight": torch.zeros(300_000)}
    if suffix == "safetensors":
        save_file(state, file)
    else:
        torch.save(state, file, _use_new_zipfile_serialization=False)
    monkeypatch.setenv("ADRGD_LIMITS", "network=1M")
    with pytest.raises(ModelError, match=r"needs 1.14 MiB, more than the 1 MiB"):
        read_state_dicts(file)
