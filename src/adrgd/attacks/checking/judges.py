"""What other models said of the examples of a run, asked again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq
import torch
from safetensors.torch import load_file

from adrgd.attacks.case import ROUNDING
from adrgd.attacks.checking.found import ROUNDED, Examples, Faults
from adrgd.attacks.checking.verdicts import Network
from adrgd.attacks.run_folder import ADVERSARIAL, JUDGES
from adrgd.errors import RunFolderError
from adrgd.models.outputs import Logits


def check_judges(folder: Path, load: Callable[[str], Network], found: Examples) -> None:
    """Compare the classes in judges.parquet, if there is one, with those that the models named there predict.

    Args:
        load: the model of a spec, in float32.

    Raises:
        RunFolderError: a file cannot be read.
    """
    file = folder / JUDGES
    if not file.exists():
        return
    try:
        table = pq.read_table(file)
        saved = load_file(folder / ADVERSARIAL)
        x, index = saved["adversarial"], saved["index"]
        recorded = {
            name: torch.from_numpy(
                table.filter(pc.equal(table["model"], name))["adversarial_prediction"].to_numpy().copy()
            )
            for name in dict.fromkeys(table["model"].to_pylist())
        }
    except Exception as error:  # each format has errors of its own
        raise RunFolderError(f"{file} or {ADVERSARIAL} cannot be read ({type(error).__name__})") from error
    for name, classes in recorded.items():
        if len(classes) != len(x):
            raise RunFolderError(f"{file} does not belong to the examples beside it")
        network, faults = Logits(load(name)), Faults(f"examples shown to {name}")
        with torch.no_grad():
            logits = torch.cat([network(part) for part in x.split(128)])  # type: ignore[no-untyped-call]
        two = logits.topk(2, dim=1).values
        other, sure = logits.argmax(1) != classes, two[:, 0] - two[:, 1] > ROUNDING * logits.abs().amax(1)
        faults.add("have another class than was recorded", index, other & sure)
        faults.add(f"have another class, by a hair: that is {ROUNDED}", index, other & ~sure)
        faults.into(found)
