"""`timm:`, `torchvision:`, `robustbench:` and `hf:` specs with the real packages, where they can be imported.

What is published is fetched from elsewhere: random weights stand in for it, in the files that a download would leave.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from adrgd.attacks import Attack, Threat, attack_batch
from adrgd.errors import AdrgdError, ModelError
from adrgd.models import load_model
from adrgd.models.zoos import robustbench_zoo
from adrgd.models.zoos.huggingface import observe


def real(name: str) -> Any:
    """The package, or a skipped test that says why it cannot be had."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            version(name)  # a stand-in of that name, which other tests may have left, has none
            return robustbench_zoo.imported() if name == "robustbench" else import_module(name)
    except (ImportError, RuntimeError, AdrgdError) as error:
        pytest.skip(f"{name} cannot be imported: {error}")


@pytest.fixture
def library(request: pytest.FixtureRequest) -> Any:
    return real(request.param)


def of(name: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("library", [name], indirect=True)


def works(model: Any, classes: int) -> Tensor:
    """Logits of random images, after a short attack on them."""
    torch.manual_seed(0)
    x = torch.rand(2, *model.input_shape)
    logits: Tensor = model(x)
    assert logits.shape == (2, classes) == (2, model.classes)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = attack_batch(model, x, logits.argmax(1), Attack(threat=Threat(eps=0.02), steps=2))
    assert found.adversarial.shape == x.shape
    return logits


@of("timm")
def test_timm(library: Any, tmp_path: Path) -> None:
    torch.manual_seed(1)
    own = library.create_model("test_resnet", pretrained=False, num_classes=7).eval()
    torch.save(own.state_dict(), tmp_path / "net.pth")
    model = load_model(f"timm:test_resnet?num_classes=7&weights={tmp_path / 'net.pth'}")
    logits = works(model, 7)
    torch.manual_seed(0)
    x = torch.rand(2, *model.input_shape)
    mean, std = (torch.tensor(own.pretrained_cfg[key]).view(3, 1, 1) for key in ("mean", "std"))
    torch.testing.assert_close(logits, own((x - mean) / std), rtol=1e-4, atol=1e-5)


@of("torchvision")
def test_torchvision(library: Any) -> None:
    works(load_model("torchvision:squeezenet1_1?pretrained=false"), 1000)


ROBUSTBENCH = [
    ("Rade2021Helper_R18_ddpm", "cifar10", "Linf"),
    ("Rice2020Overfitting", "cifar10", "L2"),
    ("Rade2021Helper_R18_ddpm", "cifar100", "Linf"),
    ("Salman2020Do_R18", "imagenet", "Linf"),
]


@of("robustbench")
@pytest.mark.parametrize(("name", "dataset", "threat"), ROBUSTBENCH)
def test_robustbench_reads_its_cache(name: str, dataset: str, threat: str, library: Any, tmp_path: Path) -> None:
    spec = f"robustbench:{name}?dataset={dataset}&threat={threat}"
    torch.manual_seed(2)
    made = load_model(f"{spec}&pretrained=false")
    inner = {key.removeprefix("model."): value for key, value in made.module.state_dict().items()}
    (tmp_path / dataset / threat).mkdir(parents=True)
    torch.save({"state_dict": inner}, tmp_path / dataset / threat / f"{name}.pt")
    model = load_model(f"{spec.lower().replace(name.lower(), name)}&cache={tmp_path}")
    assert torch.equal(works(model, made.classes), works(made, made.classes))


@of("robustbench")
def test_robustbench_names(library: Any) -> None:
    with pytest.raises(ModelError, match=r"found 'Rade2021Helper_R18_ddmp'; did you mean 'Rade2021Helper_R18_ddpm'"):
        load_model("robustbench:Rade2021Helper_R18_ddmp")


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("dataset=svhn", "expected dataset=cifar10, cifar100, imagenet of RobustBench, found dataset=svhn"),
        ("threat=L1", "expected threat=Linf, L2, corruptions"),
        ("data=cifar10", "did you mean 'dataset'"),
    ],
)
def test_robustbench_keys(query: str, words: str) -> None:
    with pytest.raises(ModelError, match=words):
        load_model(f"robustbench:Any?{query}")


def small_vit(library: Any, folder: Path, processor: dict[str, Any]) -> Any:
    torch.manual_seed(3)
    config = library.ViTConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=24, image_size=32, patch_size=8,
        num_labels=5,
    )  # fmt: skip
    net = library.ViTForImageClassification(config).eval()
    net.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(processor))
    return net


PROCESSORS = [
    {"image_processor_type": "ViTImageProcessor", "size": {"height": 32, "width": 32}, "image_mean": [0.4, 0.5, 0.6]},
    {"image_processor_type": "ViTImageProcessor", "size": 32, "do_normalize": False},
    {"image_processor_type": "MobileViTImageProcessor", "size": {"shortest_edge": 36}, "crop_size": 32},
    {"image_processor_type": "EfficientNetImageProcessor", "size": 32, "rescale_factor": 1 / 127.5,
     "rescale_offset": True},
]  # fmt: skip


@of("transformers")
@pytest.mark.parametrize("processor", PROCESSORS, ids=lambda one: str(one["image_processor_type"]))
def test_transformers_and_its_processors(processor: dict[str, Any], library: Any, tmp_path: Path) -> None:
    """The same logits as by the package's own way from bytes to pixels."""
    net = small_vit(library, tmp_path, processor)
    model = load_model(f"hf:{tmp_path}")
    assert model.input_shape == (3, 32, 32)
    image = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    if "crop_size" not in processor:  # a resize to 36 and a crop of that change the image
        own = library.AutoImageProcessor.from_pretrained(tmp_path)(images=image, return_tensors="pt")
        expected = net(**own).logits
        found = model(torch.from_numpy(image).permute(2, 0, 1)[None] / 255)
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    else:
        colour = torch.tensor([0.9, 0.5, 0.1]).view(1, 3, 1, 1).expand(1, 3, 32, 32)
        torch.testing.assert_close(model(colour), net(colour.flip(1)).logits, rtol=1e-3, atol=1e-3)
    works(model, 5)


@of("transformers")
def test_transformers_folders_that_lack_something(library: Any, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"config\.json.*hf download"):
        load_model(f"hf:{tmp_path}")
    small_vit(library, tmp_path, PROCESSORS[0])
    (tmp_path / "preprocessor_config.json").unlink()
    with pytest.warns(UserWarning, match="pixels as they are"):
        assert load_model(f"hf:{tmp_path}").input_shape == (3, 32, 32)
    config = library.ViTConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=24, image_size=32, patch_size=8
    )
    library.ViTModel(config).save_pretrained(tmp_path)
    with pytest.raises(ModelError, match=r"found none for classifier"):
        load_model(f"hf:{tmp_path}")


def scaled(order: list[int], mean: list[float], std: list[float], side: int | None) -> Callable[[Any], Any]:
    def processor(image: Any) -> Any:
        x = image.transpose(2, 0, 1)[order] / 255.0
        y = (x - np.array(mean)[order, None, None]) / np.array(std)[order, None, None]
        return y if side is None else np.broadcast_to(y[:, :1, :1], (len(order), side, side))

    return processor


@pytest.mark.parametrize(("order", "side"), [([0, 1, 2], 24), ([2, 1, 0], None), ([1, 2, 0], 7)])
def test_a_processor_is_asked(order: list[int], side: int | None) -> None:
    mean, std = [0.1, 0.2, 0.3], [0.5, 1.0, 2.0]
    seen = observe(scaled(order, mean, std, side), 3, "it")
    assert seen.order == tuple(order)
    assert seen.size == (None if side is None else (side, side))
    np.testing.assert_allclose([seen.mean, seen.std], [mean, std], atol=1e-9)


def test_a_processor_that_mixes_colours() -> None:
    with pytest.raises(ModelError, match="does something else"):
        observe(lambda image: image.transpose(2, 0, 1).mean(0, keepdims=True).repeat(3, 0), 3, "it")
