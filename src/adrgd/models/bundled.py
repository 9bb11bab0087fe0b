"""The trained networks that come with the package."""

from __future__ import annotations

from dataclasses import dataclass

from adrgd import specs


@dataclass(frozen=True)
class Bundled:
    """Weights that come with the package: the architecture they belong to, and what is known of them."""

    architecture: str
    words: str


BUNDLED = {
    "mnist-clean": Bundled("mnist-cnn", "the paper's MNIST network, trained on clean images; clean accuracy .990"),
    "mnist-convnext": Bundled(
        "mnist-convnext",
        "a ConvNeXt with GELU, trained on PGD's images, eps .3; clean .977, under PGD at .3 .806",
    ),
    "mnist-pgd": Bundled(
        "mnist-cnn", "the paper's MNIST network, trained on PGD's images, eps .25; clean .992, under PGD at .25 .951"
    ),
    "mnist-vae": Bundled("mnist-decoder", "a decoder of MNIST digits from 20 numbers"),
}


def bundled_models() -> list[str]:
    """Names of the models that come with the package."""
    return sorted(path.stem for path in specs.BUNDLED.glob("*.safetensors") if path.stem in BUNDLED)
