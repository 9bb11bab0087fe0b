"""The kinds of cases: each draws one and tries it; whatever it raises that is no AdrgdError is a fault."""

from __future__ import annotations

import math
import shutil
import time
import warnings
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import onnx
import torch
import yaml

from adrgd import errors
from adrgd.attacks.ensemble.standard import find_attacker
from adrgd.attacks.evaluate import Attack, attack_batch
from adrgd.attacks.matrix.peers import Peer
from adrgd.attacks.run_folder import RunFolder
from adrgd.attacks.threat import Threat
from adrgd.data import load_data
from adrgd.falsify import read_counterexample, read_property
from adrgd.falsify.alternatives import TimeUpError
from adrgd.falsify.instances import read_instances
from adrgd.files import reading
from adrgd.latent.operators import parse_operator
from adrgd.models import load_model
from adrgd.models.onnx import load_onnx
from adrgd.models.onnx.operators import OPERATORS
from adrgd.models.weights import load_named
from adrgd.runs import open_run
from adrgd.runs.verify import inspect

from . import files
from .mutate import NUMBERS, in_bytes, in_words

SECONDS = 2.0  # for reading a property

Kind = Callable[[Random, Path], None]
"""Draws a case, writes what it needs into an empty folder, and tries it."""


def specs(draw: Random, folder: Path) -> None:
    """Spec strings of models, data, solvers, peers and operators."""
    known: list[tuple[Callable[[str], Any], tuple[str, ...]]] = [
        (load_model, ("bundled:mnist-pgd?mean=0.5&std=0.2", "mnist-cnn?weights=FILE", f"{folder}/a.onnx.gz", "a.pt2")),
        (
            load_data,
            (
                "bundled:mnist",
                "mnist:FOLDER?split=train",
                "npz:a.npz?layout=NHWC",
                "folder:F?size=8&mode=L",
                "parquet:F?image=a&label=b",
            ),
        ),
        (find_attacker, ("graduated", "adr:paper", "standard", "pgd-momentum")),
        (lambda text: Peer.named(text, loss="cross-entropy", seed=0), ("torchattacks:PGD?steps=3", "foolbox:LinfPGD")),
        (parse_operator, ("mask:0.5", "blur:1.5", "down:2", "gaussian:10", "block:0.25")),
    ]
    read, texts = draw.choice(known)
    read(in_words(draw, draw.choice(texts)))


CONFIG = {
    "adrgd": "1", "model": "bundled:mnist-pgd", "limit": None, "threat": {"norm": "linf", "eps": 0.2, "target": None},
    "solver": {"name": "graduated", "gates": {"rule": "GraduatedGates", "spread": [0.3, 3.0]}}, "steps": 100,
    "stop_at_success": True, "seed": 0,
}  # fmt: skip


def configs(draw: Random, folder: Path) -> None:
    """Settings that are read back: accepted only if they say what was written."""
    sound = yaml.safe_dump(CONFIG, sort_keys=False)
    text = in_words(draw, sound) if draw.random() < 0.6 else in_bytes(draw, sound.encode()).decode(errors="ignore")
    (folder / "run").mkdir()
    (folder / "run/config.yaml").write_text(text, encoding="utf-8")
    open_run(folder / "run", CONFIG, resume=True).close()
    found = reading.read_yaml(text)
    if {key: found.get(key) for key in CONFIG} != CONFIG or repr(found["seed"]) != "0":
        raise AssertionError("other settings were accepted")


def _formula(draw: Random, depth: int, version: int) -> str:
    if depth == 0 or draw.random() < 0.2:
        name = (f"{draw.choice('XY')}_{draw.randrange(2)}", f"{draw.choice('XY')}[{draw.randrange(2)}]")[version - 1]
        return f"({draw.choice(('<=', '>=', '<', '>'))} {name} {draw.uniform(-2, 2):.3f})"
    parts = [_formula(draw, depth - 1, version) for _ in range(draw.choice((1, 2, 2, 3, 8)))]
    return f"({draw.choice(('and', 'or'))} {' '.join(parts)})"


def properties(version: int) -> Kind:
    """VNN-LIB of a version: nested formulas, and damaged texts."""

    def kind(draw: Random, folder: Path) -> None:
        text = files.PROPERTIES[version - 1]
        if draw.random() < 0.4:
            text += f"(assert {_formula(draw, draw.randrange(1, 7), version)})\n" * draw.choice((1, 1, 4, 20))
        if draw.random() < 0.7:
            changed = in_words(draw, text) if draw.random() < 0.7 else in_bytes(draw, text.encode()).decode("latin1")
            text = changed
        with errors_of_time():
            found = read_property(text, deadline=time.monotonic() + SECONDS)
            if not all((case.lower <= case.upper).all() for case in found.cases):
                raise AssertionError("a box is empty")

    return kind


class errors_of_time:  # noqa: N801  reads as a word
    """A property that takes too long ends by itself; that is well."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: object) -> bool:
        return isinstance(error, TimeUpError)


def _edit(draw: Random, model: onnx.ModelProto, others: Sequence[str]) -> None:
    """Change a field of a model; `others` are operators that a node may become."""
    graph = model.graph
    node = draw.choice(graph.node)
    names = [name for one in graph.node for name in (*one.input, *one.output)]
    change = draw.randrange(8)
    if change == 0:
        node.op_type = draw.choice([*(one.op_type for one in graph.node), *others])
    elif change == 1 and node.input:
        node.input[draw.randrange(len(node.input))] = draw.choice([*names, "", "nothing"])
    elif change == 2 and node.attribute:
        attribute = draw.choice(node.attribute)
        numbers = [draw.choice((-1, 1)) * draw.choice(NUMBERS[:11]) for _ in range(draw.choice((0, 1, 2, 4)))]
        attribute.CopyFrom(onnx.helper.make_attribute(attribute.name, numbers or draw.choice((1.5, "text", 7))))
    elif change == 3 and graph.initializer:
        tensor = draw.choice(graph.initializer)
        tensor.dims[:] = [draw.choice(NUMBERS[:14]) for _ in range(draw.randrange(4))]
    elif change == 4 and graph.initializer:
        tensor = draw.choice(graph.initializer)
        if tensor.data_type == onnx.TensorProto.INT64 and math.prod(tensor.dims) < 100:
            values = [draw.choice((-1, 1)) * draw.choice(NUMBERS[:14]) for _ in range(int(np.prod(tensor.dims)))]
            tensor.CopyFrom(onnx.numpy_helper.from_array(np.array(values, np.int64).reshape(tensor.dims), tensor.name))
        else:
            tensor.data_type = draw.randrange(25)
    elif change == 5:
        graph.input[0].type.tensor_type.shape.dim[-1].dim_value = draw.choice(NUMBERS[:14])
    elif change == 6:
        model.opset_import[0].version = draw.choice((1, 5, 9, 11, 12, 13, 18, 21, 99))
    elif graph.initializer:
        tensor = draw.choice(graph.initializer)
        tensor.data_location = onnx.TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value=draw.choice(("../x", "/etc/passwd", "net.onnx", "a", "")))


def networks(made: Callable[[], Sequence[bytes]], others: Sequence[str]) -> Kind:
    """ONNX files with changed bytes, or with changed fields."""

    def kind(draw: Random, folder: Path) -> None:
        content = draw.choice(made())
        if draw.random() < 0.5:
            model = onnx.load_model_from_string(content)
            for _ in range(draw.choice((1, 1, 2, 3))):
                _edit(draw, model, others)
            content = model.SerializeToString()
        else:
            content = in_bytes(draw, content)
        ending, content = files.either(draw, content)
        (folder / f"net.onnx{ending}").write_bytes(content if draw.random() < 0.95 else in_bytes(draw, content))
        net = load_onnx(folder / f"net.onnx{ending}").float()
        with torch.no_grad():
            net(torch.zeros(2, *net.input_shape))

    return kind


def exported(draw: Random, folder: Path) -> None:
    """.pt2 files."""
    (folder / "net.pt2").write_bytes(in_bytes(draw, files.exported()))
    load_model(str(folder / "net.pt2"))


def scripted(draw: Random, folder: Path) -> None:
    """.pt files."""
    (folder / "net.pt").write_bytes(in_bytes(draw, files.scripted()))
    load_model(str(folder / "net.pt"))


def weights(draw: Random, folder: Path) -> None:
    """Checkpoints of torch and of safetensors."""
    at = draw.randrange(3)
    file = folder / ("net.safetensors" if at == 2 else "net.pth")
    file.write_bytes(in_bytes(draw, files.weights()[at]))
    load_named(files.small_net(), file)


def arrays(draw: Random, folder: Path) -> None:
    """.npz files: changed bytes, and changed headers."""
    if draw.random() < 0.5:
        content = in_bytes(draw, draw.choice(files.arrays()))
    else:
        kinds = (np.uint8, np.float32, np.int64, np.bool_, np.complex64, "U3", "S2", object)
        shape = tuple(draw.randrange(4) for _ in range(draw.randrange(5)))
        members = {"images": np.zeros((2, 4, 4), np.uint8), "labels": np.arange(2)}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            members[draw.choice(("images", "labels"))] = np.zeros(shape, draw.choice(kinds))
        content = files.npz(**{
            name: in_bytes(draw, files.npy(array)) if draw.random() < 0.4 and not array.dtype.hasobject
            else files.npy(array) for name, array in members.items()
        })  # fmt: skip
    (folder / "a.npz").write_bytes(content)
    found = load_data(f"npz:{folder / 'a.npz'}{draw.choice(('', '?layout=NHWC', '?layout=NCHW'))}")
    if not (found.images.min() >= 0 and found.images.max() <= 1 and found.labels.min() >= 0):
        raise AssertionError("images out of range")


def idx(draw: Random, folder: Path) -> None:
    """Files of MNIST's format."""
    images, labels = files.idx()
    if draw.random() < 0.7:
        images = in_bytes(draw, images)
    else:
        labels = in_bytes(draw, labels)
    for name, content in (("t10k-images-idx3-ubyte", images), ("t10k-labels-idx1-ubyte", labels)):
        ending, content = files.either(draw, content)
        (folder / f"{name}{ending}").write_bytes(content if draw.random() < 0.9 else in_bytes(draw, content))
    load_data(f"mnist:{folder}")


def batches(draw: Random, folder: Path) -> None:
    """Pickled batches of CIFAR-10."""
    (folder / "test_batch").write_bytes(in_bytes(draw, files.batch()))
    load_data(f"cifar10:{folder}")


def pictures(draw: Random, folder: Path) -> None:
    """Folders of image files."""
    for name in ("a", "b"):
        (folder / name).mkdir()
        for number in range(draw.randrange(3)):
            ending, content = draw.choice(files.pictures())
            (folder / name / f"{number}{ending}").write_bytes(in_bytes(draw, content))
    load_data(f"folder:{folder}{draw.choice(('', '?size=4', '?size=4&mode=L'))}")


def tables(draw: Random, folder: Path) -> None:
    """Parquet files, saved data sets, tar archives, tensors and .mat files."""
    kind = draw.choice(list(files.tables()))
    content = in_bytes(draw, files.tables()[kind])
    if kind == "arrow":
        (folder / "data.arrow").write_bytes(content)
        state = '{"_data_files": [{"filename": "data.arrow"}], "_split": "test"}'
        (folder / "state.json").write_text(in_words(draw, state) if draw.random() < 0.3 else state)
    name = {"mat": "test_32x32.mat"}.get(kind, f"a.{kind}")
    (folder / name).write_bytes(content)
    words = {"parquet": "parquet", "arrow": "hf-datasets", "tar": "webdataset", "pt": "pt", "mat": "svhn"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        load_data(f"{words[kind]}:{folder if kind in ('arrow', 'mat') else folder / name}")


def lists(draw: Random, folder: Path) -> None:
    """Lists of instances, and counterexamples."""
    text = "onnx,vnnlib,timeout\nonnx/a.onnx,vnnlib/a.vnnlib,116\nonnx/b.onnx.gz,vnnlib/b.vnnlib.gz,3.5\n"
    (folder / "instances.csv").write_bytes(in_bytes(draw, in_words(draw, text).encode(errors="replace")))
    read_counterexample_or_refuse(in_words(draw, "((X_0 0.5)\n (X_1 -1e-3)\n (Y_0 2.0))"))
    found = read_instances(folder / "instances.csv")
    if not all(0 < one.timeout < math.inf for one in found.instances):
        raise AssertionError("a timeout that is none")


def read_counterexample_or_refuse(text: str) -> None:
    """Either way is well."""
    try:
        read_counterexample(text)
    except errors.AdrgdError as error:
        one_sentence(error)


@cache
def _run(place: str) -> Path:
    """A finished run's folder."""
    folder = Path(place).parent / "sound-run"
    if not folder.exists():
        model, data = load_model("bundled:mnist-pgd"), load_data("bundled:mnist", limit=4)
        attack = Attack(threat=Threat(eps=0.1), solver=find_attacker("pgd"), steps=2)  # type: ignore[arg-type]
        index = torch.arange(2)
        with RunFolder(folder, CONFIG, resume=False) as made:
            for start in (0, 2):
                part = slice(start, start + 2)
                result = attack_batch(model.module, data.images[part], data.labels[part], attack, index=index + start)
                made.save(start, result)
            made.merge()
    return folder


def run_folders(draw: Random, folder: Path) -> None:
    """Folders of finished runs in which files were damaged, swapped or taken away: all of it is found."""
    shutil.copytree(_run(str(folder)), folder / "run")
    found = sorted(file for file in (folder / "run").rglob("*") if file.is_file() and not file.name.startswith("."))
    file = draw.choice(found)
    before = file.read_bytes()
    change = draw.randrange(3)
    if change == 0:
        file.unlink()
    elif change == 1:
        file.write_bytes(draw.choice(found).read_bytes())
    else:
        file.write_bytes(in_bytes(draw, before))
    same = file.exists() and file.read_bytes() == before
    report = inspect(folder / "run")
    if not same and not report.findings and report.finished and file.name != "checksums.sha256":
        raise AssertionError(f"damage of {file.name} was not found")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with RunFolder(folder / "run", CONFIG, resume=True) as again:
            if again.finished:
                again.results()
                again.tensors()


def one_sentence(error: errors.AdrgdError) -> None:
    """What every refusal is."""
    text = str(error)
    if not text or "\n" in text.strip() or len(text) > 5_000 or error.exit_code not in (1, 2):
        raise AssertionError(f"no sentence: {text[:300]!r}") from error


KINDS: dict[str, Kind] = {
    "specs": specs, "configs": configs, "vnnlib-1": properties(1), "vnnlib-2": properties(2),
    "onnx": networks(files.networks, ("Tile", "Expand", "Loop", "If", "Resize")),
    "onnx-nodes": networks(files.nodes, ("Loop", "If", *sorted(OPERATORS))),
    "pt2": exported, "pt": scripted, "weights": weights, "npz": arrays, "idx": idx, "cifar": batches,
    "images": pictures, "tables": tables, "lists": lists, "run-folders": run_folders,
}  # fmt: skip
