"""The images that an attack found, in forms that other programs read.

    png/000012_clean_label-7_predicted-7.png          before and after; the numbers are the place in the data set, the
    png/000012_adversarial_label-7_predicted-3.png    class, and what the network says of the input that was found
    found.npz                                         images (those found), clean, labels, index, predictions
    images.parquet                                    one row an image, pictures inside, as Hugging Face's data sets

A picture has 256 levels and a network's input any number between them. Each change is rounded towards the clean image,
so that pictures of pictures stay in their balls, in every norm; that of a smallest change, which has no ball and ends
where the image breaks, away from it. All are judged once more: a rounded image may be broken no longer. `found.npz`
holds the numbers as they are.
"""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor, nn

from adrgd.attacks.case import finite_logits
from adrgd.attacks.run_folder import RunFolder
from adrgd.attacks.threat import Threat
from adrgd.data import Images
from adrgd.errors import UsageError
from adrgd.names import Saved
from adrgd.page import picture

PICTURES, ARRAYS, TABLE = "png", "found.npz", "images.parquet"
LEVELS = 255
SLACK = 1e-6  # of a radius: rounding in the last digit
WHOLE = 1e-3  # of a level: a change that is as near as this to a whole number of levels is one


def check_export(kinds: Sequence[Saved], images: Images, threat: Threat) -> None:
    """See, before anything is computed, that images can be saved so.

    Raises:
        UsageError: they are no grey or coloured pictures in [0, 1].
    """
    channels = images.images.shape[1] if images.images.dim() == 4 else 0
    if {"png", "parquet"} & set(kinds) and (channels not in (1, 3) or threat.range != (0.0, 1.0)):
        raise UsageError(
            "expected images of 1 or 3 channels that stay in [0, 1] to be saved as pictures, found "
            f"{channels or 'no'} channels in the range {threat.range}; save them as npz"
        )


def export(
    kinds: Sequence[Saved],
    folder: RunFolder,
    images: Images,
    table: dict[str, Any],
    model: nn.Module,
    threat: Threat,
    *,
    eps: float | None,
    batch_size: int,
    device: str,
) -> dict[str, Any]:
    """Save a finished run's images, and say what rounding to 256 levels has made of them.

    Args:
        table: `folder.results()`.
        eps: the radius of their balls; None where each has its own.

    Returns:
        What a summary says of it: the files, and under "rounded" how many of the broken images are broken after
        rounding as well (`still_broken` of `broken`), how many images lie outside of their ball, and the largest
        distance.
    """
    if not kinds:
        return {}
    found = folder.tensors()["adversarial"]
    said: dict[str, Any] = {"saved": list(kinds)}
    if "npz" in kinds:
        with folder.write(ARRAYS) as stream:
            np.savez(
                stream, images=found.numpy(), clean=images.images.numpy(), labels=table["label"], index=table["index"],
                predictions=table["adversarial_prediction"],
            )  # fmt: skip
    if set(kinds) <= {"npz"}:
        return said
    levels = rounded(found, images.images, away=eps is None)
    predicted = _predicted(model, levels, batch_size, device)
    said["rounded"] = _judged(table, images.images, levels, predicted, threat, eps)
    if "png" in kinds:
        _write_pictures(folder, images, table, levels)
    if "parquet" in kinds:
        _write_table(folder, images, table, levels, predicted)
    return said


def rounded(found: Tensor, clean: Tensor, *, away: bool = False) -> Tensor:
    """Found images on 256 levels, each change from the clean ones (rounded to the nearest) made smaller, or larger."""
    whole = (clean * LEVELS).round()
    change = found * LEVELS - whole
    size = (change.abs() - WHOLE).ceil() if away else (change.abs() + WHOLE).floor()
    return ((whole + change.sign() * size) / LEVELS).clamp(0, 1)


def rounded_sentence(rounded: dict[str, Any]) -> str:
    """What is said of the pictures, in words."""
    left = f"{rounded['outside']} lie outside of their ball" if rounded["outside"] else "all lie in their ball"
    return (
        f"{rounded['still_broken']} of {rounded['broken']} broken images are broken with 256 levels as well; {left}, "
        f"largest distance {rounded['largest_distance']:.4g}"
    )


def _predicted(model: nn.Module, levels: Tensor, batch_size: int, device: str) -> Any:
    with torch.no_grad():
        parts = [finite_logits(model, part.to(device)).argmax(1).cpu() for part in torch.split(levels, batch_size)]
    return torch.cat(parts).numpy()


def _judged(
    table: dict[str, Any], clean: Tensor, levels: Tensor, predicted: Any, threat: Threat, eps: float | None
) -> dict[str, Any]:
    target = table["target"]
    still = np.where(target < 0, predicted != table["label"], predicted == target)
    distance = threat.distance(levels, clean)
    size = np.inf if eps is None else eps * (1 + SLACK)
    return {
        "broken": int(table["success"].sum()),
        "still_broken": int((still & table["success"]).sum()),
        "outside": int((distance > size).sum()),
        "largest_distance": float(distance.max()),
    }


def _write_pictures(folder: RunFolder, images: Images, table: dict[str, Any], levels: Tensor) -> None:
    for k, index in enumerate(table["index"]):
        for kind, shown, column in (
            ("clean", images.images[k], "clean_prediction"),
            ("adversarial", levels[k], "adversarial_prediction"),
        ):
            name = f"{index:06d}_{kind}_label-{table['label'][k]}_predicted-{table[column][k]}.png"
            folder.write_bytes(f"{PICTURES}/{name}", _png(shown))


def _write_table(folder: RunFolder, images: Images, table: dict[str, Any], levels: Tensor, predicted: Any) -> None:
    kept = ("index", "label", "target", "clean_prediction", "adversarial_prediction", "success", "distance")
    columns: dict[str, Any] = {name: table[name] for name in kept}
    columns |= {"rounded_prediction": predicted}
    columns |= {"image": _cells(levels), "clean": _cells(images.images)}
    label: dict[str, Any] = {"dtype": "int64", "_type": "Value"}
    if images.names is not None:
        label = {"names": list(images.names), "_type": "ClassLabel"}
    features = {"image": {"_type": "Image"}, "clean": {"_type": "Image"}, "label": label}
    made = pa.table(columns)
    about = {**{field.name: _value(field.type) for field in made.schema}, **features}
    with folder.write(TABLE) as stream:
        pq.write_table(made.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": about}})}), stream)


def _value(kind: pa.DataType) -> dict[str, str]:
    return {"dtype": {"double": "float64", "float": "float32"}.get(str(kind), str(kind)), "_type": "Value"}


def _cells(shown: Tensor) -> pa.Array:
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    return pa.array([{"bytes": _png(image), "path": None} for image in shown], kind)


def _png(image: Tensor) -> bytes:
    file = io.BytesIO()
    picture(image).save(file, "PNG")
    return file.getvalue()
