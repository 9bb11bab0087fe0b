"""adrgd check"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tyro

from adrgd.cli.flags import flags
from adrgd.cli.options import cli, usable_device
from adrgd.errors import AdrgdError, UsageError
from adrgd.runs.configs import CONFIG, parse
from adrgd.runs.verify import Inspection, inspect, run_folders

if TYPE_CHECKING:
    import torch

    from adrgd.attacks.checking import Examples

DESCRIPTION = "Check a run's folder: every file against its checksum, every adversarial example against model and data."


@flags
@dataclass(frozen=True, kw_only=True)
class Options:
    """What to check, and how far."""

    folder: tyro.conf.Positional[Path]
    """A folder of any command that fills one."""
    files_only: bool = False
    """Compare files with their checksums, and leave the examples."""
    model: str | None = None
    """Where the model is now; otherwise where the run's settings say."""
    data: str | None = None
    """Where the images are now; otherwise where the run's settings say."""
    trust: bool = False
    """Load the model that the settings name even where that runs code: those are the folder's words, not yours."""
    device: str = "cpu"
    """auto, cpu, cuda, cuda:1, mps, ..."""
    json: bool = False
    """Print one JSON object and nothing else."""


@dataclass
class Report:
    """One run's folder.

    Attributes:
        examples: None where there are none to look at.
        unchecked: why something could not be looked at, in sentences.
    """

    inspection: Inspection
    examples: Examples | None = None
    unchecked: list[str] = field(default_factory=list)

    @property
    def findings(self) -> list[str]:
        return self.inspection.findings + (self.examples.findings if self.examples else [])

    @property
    def notes(self) -> list[str]:
        return self.inspection.notes + (self.examples.notes if self.examples else [])


def command(argv: list[str]) -> int:
    """Run `adrgd check`: 0 when all is as it was written, 1 with findings, 2 when something could not be looked at."""
    options: Options = cli(Options, argv, prog="adrgd check", description=DESCRIPTION)
    loaded = _Loader(options, usable_device(options.device))
    reports = []
    from adrgd.cli.progress import progress_bar

    with progress_bar() as bar:
        task = bar.add_task("checking", total=None)
        for folder in run_folders(options.folder):
            report = Report(inspect(folder))
            if not options.files_only:
                _examples(report, loaded, lambda count: bar.advance(task, count))
            reports.append(report)
    if options.json:
        print(json.dumps(_plain(options, reports)))
    else:
        for report in reports:
            _show(report)
    return 1 if any(one.findings for one in reports) else 2 if any(one.unchecked for one in reports) else 0


class _Loader:
    """Models and data by their specs, each once."""

    def __init__(self, options: Options, device: str) -> None:
        from adrgd.data import load_data

        self.options, self.device = options, device
        self.named: set[str] = set()
        self.data = cache(load_data)
        self.model = cache(self._model)

    def _model(self, spec: str, dtype: torch.dtype) -> Callable[[Any], Any]:
        from adrgd.models import load_model

        name, trust = self._allowed(spec), self.options.trust
        of_shape = cache(
            lambda shape: load_model(name, device=self.device, dtype=dtype, trust=trust, images=shape).module
        )
        return lambda x: of_shape(tuple(x.shape[1:]))(x.to(self.device)).cpu()

    def _allowed(self, spec: str) -> str:
        """A function that settings name is anybody's: it is called when a person says so."""
        from adrgd.models.factory import FACTORY

        if self.options.model is None and not self.options.trust and FACTORY.fullmatch(spec.partition("?")[0]):
            raise UsageError(
                f"the settings name {spec!r} as the model, which runs code; add --trust if it is yours, or --files-only"
            )
        return spec


def _examples(report: Report, loaded: _Loader, advance: Callable[[int], None]) -> None:
    import torch

    from adrgd.attacks.checking import Subject, check_examples
    from adrgd.attacks.checking.certificates import check_certificates
    from adrgd.attacks.checking.judges import check_judges

    folder, options = report.inspection.path, loaded.options
    try:
        subject = Subject.of(parse(folder / CONFIG))
        if subject is None:
            return
        loaded.named |= {subject.model, *subject.ensemble}
        if options.model is not None and len(loaded.named) > 1:
            raise UsageError(
                f"--model stands for one model, but the run has several ({', '.join(sorted(loaded.named))})"
            )
        spec = options.model or subject.model
        images = loaded.data(
            options.data or subject.data, limit=subject.limit, offset=subject.offset, task=subject.form
        )
        single, double = subject.judged(lambda name: loaded.model(name, torch.float32), spec), None
        try:
            double = subject.judged(lambda name: loaded.model(name, torch.float64), spec)
            double(images.images[:1].double())
        except (AdrgdError, RuntimeError) as error:
            double = None
            report.unchecked.append(f"the model cannot be run in float64 ({str(error).splitlines()[0]})")
        found = check_examples(folder, subject.threat, images, single, double, advance, subject.task)
        report.examples = found
        check_certificates(folder, subject.threat, images, single, found)
        check_judges(folder, lambda name: loaded.model(name, torch.float32), found)
    except AdrgdError as error:
        report.unchecked.append(f"its examples were not looked at: {error}")


def _plain(options: Options, reports: list[Report]) -> dict[str, Any]:
    runs = [
        {
            "folder": str(one.inspection.path), "finished": one.inspection.finished, "files": one.inspection.files,
            "examples": one.examples and {key: asdict(one.examples)[key] for key in ("images", "broken")},
            "findings": one.findings, "unchecked": one.unchecked, "notes": one.notes,
        }
        for one in reports
    ]  # fmt: skip
    return {"folder": str(options.folder), "findings": sum(len(one.findings) for one in reports), "runs": runs}


def _show(report: Report) -> None:
    done = report.inspection
    good = f"{done.files} files compared with their checksums"
    if report.examples is not None:
        good += f", {report.examples.images} images looked at again, {report.examples.broken} of them broken"
    words = "nothing is wrong" if not report.findings else f"{len(report.findings)} findings"
    print(f"{done.path}: {good}: {words}")
    for kind, sentences in (("wrong", report.findings), ("unchecked", report.unchecked), ("note", report.notes)):
        for sentence in sentences:
            print(f"  {kind}: {sentence}")
