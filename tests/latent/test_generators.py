"""Networks of any form are generators: what they return becomes images (B, C, H, W) in [0, 1]."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from adrgd.errors import AdrgdWarning, ModelError, UsageError
from adrgd.latent.generators import as_generator
from adrgd.latent.invert import invert
from adrgd.models import Model, load_model


class Maker(nn.Module):
    """Codes (B, 3) -> images (B, 1, 4, 5) in [0, 1], in some form."""

    def __init__(self, form: str) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.form, self.first, self.second = form, nn.Linear(3, 8), nn.Linear(8, 20)
        self.eval()

    def forward(self, z: Tensor) -> Any:
        made = self.second(self.first(z.flatten(1)).relu()).sigmoid().view(-1, 1, 4, 5)
        match self.form:
            case "rows":
                return made.flatten(1)
            case "channels last":
                return made.movedim(1, -1)
            case "tanh":
                return 2 * made - 1
            case "rows, tanh":
                return 2 * made.flatten(1) - 1
            case "a pair":
                return z, made
            case "a dictionary":
                return {"latent": z, "sample": made}
        return made


FORMS = ["images", "rows", "channels last", "tanh", "rows, tanh", "a pair", "a dictionary"]


@pytest.mark.parametrize("form", FORMS)
def test_every_form_becomes_the_same_images(form: str) -> None:
    z, span = torch.randn(4, 3), (-1.0, 1.0) if "tanh" in form else (0.0, 1.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AdrgdWarning)
        generator, shape = as_generator(Model(Maker(form), "maker"), (3,), span=span, shape=lambda: (1, 4, 5))
    assert shape == (1, 4, 5)
    torch.testing.assert_close(generator(z), Maker("images")(z))
    found = invert(generator, generator(z).detach(), steps=3, code=3)
    assert found.images.shape == (4, 1, 4, 5)


@pytest.mark.parametrize(("form", "words"), [("rows", "an image of shape"), ("channels last", "they are put first")])
def test_what_was_made_of_it_is_said(form: str, words: str) -> None:
    with pytest.warns(AdrgdWarning, match=words):
        as_generator(Model(Maker(form), "maker"), (3,), shape=lambda: (1, 4, 5))


@pytest.mark.parametrize("form", ["images", "rows"])
def test_a_file_says_the_shape_of_its_images(form: str, tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of exporters about each other
        torch.onnx.export(Maker(form), (torch.rand(1, 3),), str(tmp_path / "net.onnx"), dynamo=False)
    model = load_model(str(tmp_path / "net.onnx"))
    assert model.output_shape == ((1, 4, 5) if form == "images" else (20,))
    if form == "rows":
        with pytest.raises(ModelError, match="give targets that show the shape of an image"):
            as_generator(model, (3,))
        return
    generator, shape = as_generator(model, (3,))
    z = torch.randn(2, 3)
    assert shape == (1, 4, 5)
    torch.testing.assert_close(generator(z), Maker(form)(z).detach(), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("code", [(3,), (3, 1, 1)])
def test_codes_of_any_shape(code: tuple[int, ...]) -> None:
    generator, _ = as_generator(Model(Maker("images"), "maker"), code)
    found = invert(generator, torch.rand(2, 1, 4, 5), steps=2, code=code)
    assert found.z.shape == (2, *code)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"span": (1.0, 1.0)}, UsageError, "the span"), ({"span": (0.0, float("inf"))}, UsageError, "the span"),
        ({"code": (7,)}, UsageError, "say its length by --code"), ({"form": "rows"}, ModelError, "makes images"),
        ({"form": "rows", "shape": lambda: (1, 5, 5)}, ModelError, "makes images"),
    ],
)  # fmt: skip
def test_bad_generators(change: dict[str, Any], error: type[Exception], words: str) -> None:
    settings: dict[str, Any] = {"form": "images", "code": (3,)} | change
    with pytest.raises(error, match=words):
        as_generator(Model(Maker(settings.pop("form")), "maker"), settings.pop("code"), **settings)
