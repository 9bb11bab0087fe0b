"""What a spec string loads, and what it says when it cannot."""

from __future__ import annotations

import sys
import warnings
from math import prod
from pathlib import Path
from typing import Any

import pytest
import torch
from recorder import Recorder
from safetensors.torch import save_file
from torch import Tensor, nn

from adrgd.errors import AdrgdWarning, ModelError, UsageError
from adrgd.models import bundled_models, load_model
from adrgd.models.checks import answer
from adrgd.models.mnist import mnist_cnn
from adrgd.models.weights import load_named


class Small(nn.Module):
    """A network with an in-place activation, for batches (B, 2, 6, 6)."""

    def __init__(self, width: int = 3, bias: bool = True) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, width, 3, bias=bias)
        self.norm = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.head = nn.Linear(width * 16, 4)

    def forward(self, x: Tensor) -> Tensor:
        h = self.relu(self.norm(self.conv(x)))
        return self.head(h.view(x.size(0), -1))


@pytest.fixture
def small() -> Small:
    torch.manual_seed(0)
    module = Small()
    module.norm.running_mean.normal_()
    return module.eval()


@pytest.fixture
def x() -> Tensor:
    return torch.randn(3, 2, 6, 6, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that Python imports from, with a module `zoo` that has the factory `make`."""
    (tmp_path / "zoo.py").write_text(
        "from torch import nn\n"
        "def make(width: int = 4, bias: bool = True, name: str = '', scale: float = 1.0):\n"
        "    assert isinstance(name, str) and isinstance(scale, float)\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(8, width, bias=bias), nn.ReLU(), nn.Linear(width, 3))\n"
        "def number():\n"
        "    return 3\n"
        "instance = make()\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "zoo", raising=False)
    return tmp_path


def save_torchscript(module: nn.Module, path: Path, example: Tensor | None = None) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        script = torch.jit.script(module) if example is None else torch.jit.trace(module, example)
        script.save(path)
    return path


def save_exported(module: nn.Module, path: Path, example: Tensor, *, dynamic: bool = True) -> Path:
    shapes = ({0: torch.export.Dim("batch")},) if dynamic else None
    torch.export.save(torch.export.export(module, (example,), dynamic_shapes=shapes), path)
    return path


@pytest.mark.parametrize("kind", ["traced", "scripted", "exported"])
def test_a_saved_graph_computes_what_the_module_does(kind: str, small: Small, x: Tensor, tmp_path: Path) -> None:
    if kind == "exported":
        path = save_exported(small, tmp_path / "model.pt2", x)
    else:
        path = save_torchscript(small, tmp_path / "model.pt", x if kind == "traced" else None)
    model = load_model(str(path))
    torch.testing.assert_close(model(x), small(x).detach())
    torch.testing.assert_close(model(x[:1]), small(x[:1]).detach())
    double = load_model(str(path), dtype=torch.float64)
    torch.testing.assert_close(double(x.double()), small.double()(x.double()).detach(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("kind", "relu"),
    [("traced", torch.ops.aten.relu.default), ("exported", torch.ops.aten.relu_.default)],
)
def test_a_function_mode_sees_the_activations(kind: str, relu: Any, small: Small, x: Tensor, tmp_path: Path) -> None:
    if kind == "exported":
        model = load_model(str(save_exported(small, tmp_path / "model.pt2", x)))
    else:
        model = load_model(str(save_torchscript(small, tmp_path / "model.pt", x)))
    for _ in range(2):  # the first call also compares with the original, which must not show
        with Recorder() as recorder:
            model(x)
        assert recorder.seen.count(relu) == 1
        assert not any("clamp" in str(func) for func in recorder.seen)


@pytest.mark.usefixtures("home")
def test_loaded_models_are_frozen_and_in_eval_mode(small: Small, x: Tensor, tmp_path: Path) -> None:
    exported = save_exported(small, tmp_path / "model.pt2", x)
    scripted = save_torchscript(small, tmp_path / "model.pt")
    for spec in (str(exported), str(scripted), "zoo:make?mean=0.5"):
        module = load_model(spec).module
        assert not any(parameter.requires_grad for parameter in module.parameters())
        assert not any(part.training for part in module.modules())


def test_facts_that_files_state(small: Small, x: Tensor, tmp_path: Path) -> None:
    exported = load_model(str(save_exported(small, tmp_path / "model.pt2", x)))
    assert (exported.input_shape, exported.classes) == ((2, 6, 6), 4)
    scripted = load_model(str(save_torchscript(small, tmp_path / "model.pt")))
    assert (scripted.input_shape, scripted.classes) == (None, None)
    with pytest.raises(ModelError, match=r"shape \(2, 6, 6\) each"):
        exported(x[:, :1])


def test_a_branch_on_the_input_is_replayed(tmp_path: Path) -> None:
    class Branching(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            y = x * 2
            if len(x.shape[1:]) == 1 and x.shape[0] > 2:
                y = torch.relu(y) + 1
            a, b = torch.split(y, 2, dim=1)
            return torch.cat([b, a.clamp_(min=0.0)], 1)

    module = Branching()
    model = load_model(str(save_torchscript(module, tmp_path / "model.pt")))
    for rows in (1, 3):
        x = torch.randn(rows, 4)
        torch.testing.assert_close(model(x), module(x))


def test_a_file_frozen_before_it_was_saved(small: Small, x: Tensor, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.freeze(torch.jit.script(small)).save(tmp_path / "model.pt")
    torch.testing.assert_close(load_model(str(tmp_path / "model.pt"))(x), small(x).detach())


def test_a_replay_that_differs_is_an_error(tmp_path: Path) -> None:
    class Aliasing(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            y = x + 1
            y.view(-1).mul_(2)  # changes y through a view, which a replay out of place cannot
            return y

    model = load_model(str(save_torchscript(Aliasing(), tmp_path / "model.pt")))
    with pytest.raises(ModelError, match="save the module with torch"):
        model(torch.randn(2, 3))


def test_a_first_call_inside_a_transform(small: Small, x: Tensor, tmp_path: Path) -> None:
    model = load_model(str(save_torchscript(small, tmp_path / "model.pt")))
    rows = torch.func.vmap(lambda row: model(row.unsqueeze(0)))(x)
    torch.testing.assert_close(rows[:, 0], model(x))


def test_an_operator_that_cannot_be_replayed_is_named(tmp_path: Path) -> None:
    class Looping(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            for _ in range(x.shape[0]):
                x = x + 1
            return x

    with pytest.raises(ModelError, match="prim::Loop"):
        load_model(str(save_torchscript(Looping(), tmp_path / "model.pt")))


def test_an_export_for_one_batch_size_is_refused(small: Small, x: Tensor, tmp_path: Path) -> None:
    path = save_exported(small, tmp_path / "model.pt2", x, dynamic=False)
    with pytest.raises(ModelError, match="batches of exactly 3; export it with a dynamic batch dimension"):
        load_model(str(path))


def test_files_that_are_no_torchscript(small: Small, tmp_path: Path) -> None:
    torch.save(small, tmp_path / "pickled.pt")
    torch.save(small.state_dict(), tmp_path / "state.pt")
    (tmp_path / "text.pt").write_text("hello")
    for name in ("pickled.pt", "state.pt", "text.pt"):
        with pytest.raises(ModelError, match=r"expected TorchScript .* package\.module:factory"):
            load_model(str(tmp_path / name))


@pytest.mark.parametrize("ending", ["onnx", "onnx.gz", "pt2", "pt"])
def test_missing_files(ending: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="missing"):
        load_model(str(tmp_path / f"missing.{ending}"))


def test_files_that_are_no_exports(small: Small, tmp_path: Path) -> None:
    (tmp_path / "text.pt2").write_text("hello")
    torch.save(small.state_dict(), tmp_path / "state.pt2")
    for name in ("text.pt2", "state.pt2"):
        with pytest.raises(ModelError, match=r"torch\.export\.save"):
            load_model(str(tmp_path / name))


def test_bundled_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adrgd.specs.BUNDLED", tmp_path)
    module = mnist_cnn()
    save_file(module.state_dict(), tmp_path / "mnist-clean.safetensors")
    assert bundled_models() == ["mnist-clean"]
    model = load_model("bundled:mnist-clean")
    assert (model.input_shape, model.classes, model.spec) == ((1, 28, 28), 10, "bundled:mnist-clean")
    x = torch.rand(2, 1, 28, 28)
    torch.testing.assert_close(model(x), module(x).detach())
    with pytest.raises(ModelError, match="did you mean 'mnist-clean'"):
        load_model("bundled:mnist-claen")


def test_mnist_parameters_are_taken_in_order(tmp_path: Path) -> None:
    module, x = mnist_cnn(), torch.rand(2, 1, 28, 28)
    renamed = {f"some.name{place}": value for place, value in enumerate(module.state_dict().values())}
    torch.save(renamed, tmp_path / "weights.bin")
    model = load_model(f"mnist-cnn?weights={tmp_path / 'weights.bin'}")
    torch.testing.assert_close(model(x), module(x).detach())
    renamed["some.name3"] = torch.zeros(7)
    torch.save(renamed, tmp_path / "weights.bin")
    with pytest.raises(ModelError, match=r"'some.name3' .* shape \(32,\), found \(7,\)"):
        load_model(f"mnist-cnn?weights={tmp_path / 'weights.bin'}")
    torch.save({"only": torch.zeros(7)}, tmp_path / "weights.bin")
    with pytest.raises(ModelError, match="expected 10 tensors"):
        load_model(f"mnist-cnn?weights={tmp_path / 'weights.bin'}")
    with pytest.raises(ModelError, match=r"mnist-cnn\?weights=FILE"):
        load_model("mnist-cnn")


@pytest.mark.parametrize(
    "form", ["plain", "nested", "list", "parallel", "safetensors", "beside others", "compiled", "trained"]
)
def test_a_factory_with_weights(form: str, home: Path) -> None:
    module = nn.Sequential(nn.Flatten(), nn.Linear(8, 5), nn.ReLU(), nn.Linear(5, 3))
    state = dict(module.state_dict())
    parallel = {f"module.{key}": value for key, value in state.items()}
    path = home / ("weights.safetensors" if form == "safetensors" else "weights.th")
    if form == "safetensors":
        save_file(state, path)
    else:
        content = {
            "plain": state,
            "nested": {"state_dict": state, "epoch": 3},
            "list": {"state_dict": [state]},
            "parallel": {"net": parallel, "acc": 0.9},
            "compiled": {f"_orig_mod.{key}": value for key, value in state.items()},
            "trained": {"state_dict": {f"model.{key}": value for key, value in state.items()}, "epoch": 3},
            "beside others": {"optimizer": {"state": {0: {"step": torch.ones(1)}}}, "model": state},
        }[form]
        torch.save(content, path)
    model = load_model(f"zoo:make?weights={path}&width=5&name=7up&scale=1.0")
    x = torch.rand(2, 8)
    torch.testing.assert_close(model(x), module(x).detach())


def test_what_a_trainer_keeps_beside_a_network_is_left_out_and_said(home: Path) -> None:
    module = nn.Sequential(nn.Flatten(), nn.Linear(8, 5), nn.ReLU(), nn.Linear(5, 3))
    state = {f"model.{key}": value for key, value in module.state_dict().items()}
    torch.save({"state_dict": state | {"criterion.weight": torch.ones(3)}}, home / "weights.ckpt")
    with pytest.warns(AdrgdWarning, match=r"1 others \(criterion.weight\) are left out"):
        model = load_model(f"zoo:make?weights={home / 'weights.ckpt'}&width=5&name=7up&scale=1.0")
    x = torch.rand(2, 8)
    torch.testing.assert_close(model(x), module(x).detach())


def test_one_of_several_sets_of_weights_is_named_behind_a_hash(home: Path) -> None:
    module = nn.Sequential(nn.Flatten(), nn.Linear(8, 5), nn.ReLU(), nn.Linear(5, 3))
    ema = {key: value + 1 for key, value in module.state_dict().items()}
    torch.save({"state_dict": dict(module.state_dict()), "ema": ema}, home / "weights.pt")
    spec, x = f"zoo:make?weights={home / 'weights.pt'}{{}}&width=5&name=7up&scale=1.0", torch.rand(2, 8)
    with pytest.warns(AdrgdWarning, match=r"state_dict, ema: the first is loaded; name another as weights.pt#ema"):
        first = load_model(spec.format(""))
    torch.testing.assert_close(first(x), module(x).detach())
    module.load_state_dict(ema)
    torch.testing.assert_close(load_model(spec.format("#ema"))(x), module(x).detach())
    with pytest.raises(ModelError, match="expected a state dict 'mean' in .*, found state_dict, ema"):
        load_model(spec.format("#mean"))


def test_counters_of_batch_normalisation_may_be_missing(tmp_path: Path) -> None:
    module = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    torch.save({k: v + 1 for k, v in module.state_dict().items() if "num_batches" not in k}, tmp_path / "weights.pt")
    other = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    load_named(other, tmp_path / "weights.pt")
    torch.testing.assert_close(other[1].running_mean, torch.ones(4))


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("zoo:nothing", "returns a torch.nn.Module"),
        ("zoo:instance", "name such a function"),
        ("zoo:number", "found int; make it so"),
        ("nozoo:make", "PYTHONPATH"),
        ("zoo:make?widht=3", "did you mean 'width'"),
        ("zoo:make?weights=nowhere.th", "no such file"),
    ],
)
def test_factories_that_do_not_work(spec: str, words: str) -> None:
    with pytest.raises(ModelError, match=words):
        load_model(spec)


def test_weights_that_do_not_fit_a_factory(home: Path) -> None:
    def attempt(content: Any, words: str) -> None:
        torch.save(content, home / "weights.th")
        with pytest.raises(ModelError, match=words):
            load_model(f"zoo:make?weights={home / 'weights.th'}")

    attempt({"1.weight": torch.ones(4, 8), "extra": torch.ones(1)}, r"3 missing \(1.bias, 3.bias, 3.weight\) and 1 unk")
    state = nn.Sequential(nn.Flatten(), nn.Linear(8, 9), nn.ReLU(), nn.Linear(9, 3)).state_dict()
    attempt(state, r"shape \(4, 8\), found \(9, 8\)")
    attempt(Small(), "pickled objects")
    attempt({"epoch": 3}, "found dict without one")
    (home / "weights.safetensors").write_bytes(b"hello")
    with pytest.raises(ModelError, match="cannot be read"):
        load_model(f"zoo:make?weights={home / 'weights.safetensors'}")


def test_normalisation_inside_the_model(small: Small, x: Tensor, tmp_path: Path) -> None:
    path = save_exported(small, tmp_path / "model.pt2", x)
    shaped = (x - torch.tensor([0.1, 0.2]).view(2, 1, 1)) / 0.5
    torch.testing.assert_close(load_model(f"{path}?mean=0.1,0.2&std=0.5")(x), small(shaped).detach())
    for query, words in [
        ("mean=0.1,0.2,0.3", r"one value or 2 \(one for each channel\)"),
        ("std=0", "positive"),
        ("mean=a", "numbers joined by commas"),
        ("meen=0.1", "did you mean 'mean'"),
        ("weights=a.pt", "found .weights."),
        ("mean", "key=value pieces"),
        ("mean=1&mean=2", "'mean' twice"),
    ]:
        with pytest.raises(ModelError, match=words):
            load_model(f"{path}?{query}")


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("", "put a name or file first"),
        ("resnet", "FILE.onnx.gz"),
        ("mnist-cmm", "did you mean 'mnist-cnn'"),
        ("weights.safetensors", "holds no architecture"),
    ],
)
def test_specs_of_no_known_form(spec: str, words: str) -> None:
    with pytest.raises(ModelError, match=words):
        load_model(spec)


def test_published_weights(assets: Path) -> None:
    folder = assets / "adrgd_mnist"
    if not folder.is_dir():
        pytest.skip("the folder of trained networks lacks adrgd_mnist")
    from adrgd.data import load_data

    for path in folder.glob("mnist_*"):
        data = load_data("bundled:mnist", limit=100)
        model = load_model(f"mnist-cnn?weights={path}")
        assert (model(data.images).argmax(1) == data.labels).float().mean() > 0.95


def test_a_network_with_its_channels_last(home: Path) -> None:
    """It takes images as ours are, with the normalisation in their order."""
    (home / "last.py").write_text(
        "from torch import nn\n"
        "class Last(nn.Module):\n"
        "    def forward(self, x):\n"
        "        assert x.shape[1:] == (4, 5, 3)\n"
        "        return x.mean((1, 2))\n"
    )
    model = load_model("last:Last?layout=NHWC&mean=0.1,0.2,0.3&std=1")
    x = torch.rand(2, 3, 4, 5)
    torch.testing.assert_close(model(x), x.mean((2, 3)) - torch.tensor([0.1, 0.2, 0.3]))
    with pytest.raises(ModelError, match="layout=NCHW, NHWC or flat"):
        load_model("last:Last?layout=CHW")


@pytest.mark.parametrize(
    ("own", "images", "how"),
    [
        ((48,), (3, 4, 4), "channel by channel"), ((1, 48), (3, 4, 4), "channel by channel"),
        ((4, 4, 3), (3, 4, 4), "with the channels last"), ((16,), (1, 4, 4), "row by row"),
        ((4, 4), (1, 4, 4), "row by row"), ((4, 4, 1), (1, 4, 4), "with the channels last"),
        ((3, 4, 4), (1, 1, 48), "row by row"),
    ],
)  # fmt: skip
def test_images_are_laid_out_as_a_network_takes_them(own: Any, images: Any, how: str, tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    net = nn.Sequential(nn.Flatten(), nn.Linear(prod(own), 5)).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of exporters about each other
        torch.onnx.export(net, (torch.rand(1, *own),), str(tmp_path / "net.onnx"), dynamo=False)
    x, name = torch.rand(3, *images), str(tmp_path / "net.onnx")
    with pytest.warns(AdrgdWarning, match=f"are laid out in it {how}"):
        model = load_model(name, images=images)
    laid = x.movedim(1, -1) if "last" in how else x
    torch.testing.assert_close(model(x), net(laid.reshape(3, *own)).detach(), atol=1e-5, rtol=1e-5)
    assert model.input_shape == images
    with pytest.raises(UsageError, match="choose a model and data that belong together"):
        load_model(name, images=(1, 5, 5))


def test_rows_of_numbers_by_layout(small: Small, tmp_path: Path) -> None:
    net = nn.Sequential(nn.Linear(12, 3)).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript is deprecated
        torch.jit.script(net).save(tmp_path / "net.pt")
    x = torch.rand(2, 3, 2, 2)
    torch.testing.assert_close(load_model(f"{tmp_path / 'net.pt'}?layout=flat")(x), net(x.flatten(1)).detach())
    with pytest.raises(ModelError, match=r"or \?layout=flat behind its name"):
        answer(load_model(str(tmp_path / "net.pt")), x)


def test_grey_images_for_colours_and_the_other_way_round() -> None:
    with pytest.raises(UsageError, match=r"\?mode=L behind image files makes them grey"):
        load_model("bundled:mnist-pgd", images=(3, 28, 28))


@pytest.mark.parametrize("spec", ["keras:net.keras", "net.keras", "net.h5"])
def test_keras_goes_through_onnx(spec: str) -> None:
    with pytest.raises(ModelError, match=r"write it as ONNX.*net\.onnx\?layout=NHWC"):
        load_model(spec)
