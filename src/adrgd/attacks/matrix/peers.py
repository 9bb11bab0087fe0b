"""Attacks of other libraries, run as they are: `LIBRARY:NAME?key=value`, the keys being the attack's own arguments.

They are given a model that counts, the case's images, and its ball where they have an argument for it. What they return
is judged like everything else.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import importlib.util
import inspect
import io
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from adrgd.attacks.case import Case
from adrgd.attacks.matrix.art import NORMS, run_art
from adrgd.attacks.matrix.judge import Checked, checked, judge
from adrgd.attacks.matrix.watched import Watched
from adrgd.defences.expected import seeded
from adrgd.errors import AdrgdError, MissingExtraError, UsageError, installing, warn
from adrgd.objective import find_loss
from adrgd.specs import closest, parse_value, split_spec

T = TypeVar("T")

TORCHATTACKS = {"linf": "Linf", "l2": "L2"}
PYAUTOATTACK = {**TORCHATTACKS, "l1": "L1"}
ADV_LIB = {"linf": float("inf"), "l2": 2, "l1": 1}


@dataclass(frozen=True, kw_only=True)
class Peer:
    """An attack of another library.

    Attributes:
        name: the spec it was named by.
        library: one of `LIBRARIES`.
        kind: its name there.
        options: arguments besides those that the threat decides.
    """

    name: str
    library: str
    kind: str
    options: dict[str, Any] = field(default_factory=dict)
    loss: str = "cross-entropy"
    seed: int = 0

    @staticmethod
    def named(spec: str, *, loss: str = "cross-entropy", seed: int = 0) -> Peer:
        """The peer of that name; whether its library is installed shows when it runs.

        Raises:
            UsageError: not `LIBRARY:NAME`, or an unknown library or loss.
        """
        base, query = split_spec(spec, error=UsageError)
        library, _, kind = base.partition(":")
        if library not in LIBRARIES or not (kind or library == "pyautoattack"):
            raise UsageError(
                "expected a peer as torchattacks:NAME, foolbox:NAME, art:NAME, adv-lib:NAME or pyautoattack:VERSION, "
                f"each with ?key=value for its own arguments; found {spec!r}{closest(library, LIBRARIES)}; correct it"
            )
        find_loss(loss, targeted=False)
        options = {key: parse_value(value) for key, value in query.items()}
        return Peer(name=spec, library=library, kind=kind or "standard", options=options, loss=loss, seed=seed)

    def settings(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    def find(self) -> Any:
        """Its class, or function.

        Raises:
            MissingExtraError: its library cannot be imported.
            UsageError: the library has none of that name.
        """
        match self.library:
            case "torchattacks":
                return _find(_library("torchattacks", "pip install scipy; pip install --no-deps torchattacks"), self)
            case "foolbox":
                return _find(_library("foolbox", installing("foolbox")).attacks, self)
            case "art":
                return _find(_library("art.attacks.evasion", installing("art")), self)
            case "pyautoattack":
                return _library("pyautoattack", installing("peers")).AutoAttack
        if self.kind not in ("apgd", "apgd_targeted"):
            raise UsageError(f"expected adv-lib:apgd or adv-lib:apgd_targeted, found {self.name}; choose one of them")
        return getattr(_auto_pgd(), self.kind)

    def __call__(self, case: Case) -> Checked:
        if case.threat.range is None and self.library != "foolbox":
            raise UsageError(f"{self.name} keeps images in [0, 1]; leave it out of evaluations without a box")
        watched = Watched(case)
        began = time.perf_counter()
        with _apart(self.seed + int(case.index[0]), case.clean.device):
            found, claimed = LIBRARIES[self.library](watched, case, self)
        seconds = time.perf_counter() - began - watched.seconds
        verdict = judge(case, found, claimed)
        forwards, backwards = watched.each(watched.forwards), watched.each(watched.backwards)
        first = watched.first
        return checked(
            case, verdict, forwards=forwards, backwards=backwards, seconds=seconds,
            first_success=torch.full_like(first, -1), broken_after=torch.where(first < 0, forwards + backwards, first),
            silent=(first >= 0) & ~verdict.success, history=watched.history(),
        )  # fmt: skip


def check_peers(entrants: Iterable[Any]) -> None:
    """See before a run which peers can take part in it: those that cannot are said, and the rest goes on.

    Raises:
        MissingExtraError: none of them can.
    """
    named = [entrant for entrant in entrants if isinstance(entrant, Peer)]
    lost: dict[str, str] = {}
    for peer in named:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                peer.find()
        except AdrgdError as error:
            lost[peer.name] = str(error)
    what = "; ".join(f"{name}: {words}" for name, words in lost.items())
    if lost and len(lost) == len(named):
        raise MissingExtraError(f"none of the peers can be run, so that there is nothing to compare with: {what}")
    if lost:
        sentence = f"{len(lost)} of {len(named)} peers cannot be run, and the rest goes on: {what}"
        warn(sentence)


def reason(error: Exception, classes: int | None = None) -> str:
    """Why a peer has no results, in one line."""
    if isinstance(error, AdrgdError):
        return str(error)
    words = f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0] or 'no message'}"
    if classes is not None and classes < 4:
        words += f" (the model has {classes} classes; attacks on the DLR loss need 3, targeted ones 4)"
    return words


def _torchattacks(model: Watched, case: Case, peer: Peer) -> tuple[Tensor, Tensor | None]:
    make = peer.find()
    threat, known = case.threat, inspect.signature(make).parameters
    given = {
        "eps": threat.eps, "norm": _norm(peer, case, TORCHATTACKS), "n_classes": case.logits.shape[1],
        "seed": peer.seed + int(case.index[0]),
    }  # fmt: skip
    attack = make(model, **{key: value for key, value in given.items() if key in known} | peer.options)
    if case.target is not None:
        if "targeted" not in attack.supported_mode:
            raise UsageError(f"{peer.name} has no targeted mode; leave it out of targeted evaluations")
        attack.set_mode_targeted_by_label(quiet=True)
    found: Tensor = attack(case.clean, case.goal)
    return found, None


def _norm(peer: Peer, case: Case, names: Mapping[str, T]) -> T:
    """What a library calls the threat's norm."""
    if case.threat.norm not in names:
        raise UsageError(
            f"the attacks of {peer.library} know the norms {', '.join(names)}, found {case.threat.norm}; "
            f"leave {peer.name} out"
        )
    return names[case.threat.norm]


def _foolbox(model: Watched, case: Case, peer: Peer) -> tuple[Tensor, Tensor | None]:
    attack, foolbox = peer.find()(**peer.options), importlib.import_module("foolbox")
    reach = 2 * case.threat.eps  # without a box: out of every ball's reach
    bounds = case.threat.range or (float(case.clean.min()) - reach, float(case.clean.max()) + reach)
    wrapped = foolbox.PyTorchModel(model, bounds=bounds, device=case.clean.device)
    kind = foolbox.criteria.Misclassification if case.target is None else foolbox.criteria.TargetedMisclassification
    _, found, broken = attack(wrapped, case.clean, kind(case.goal), epsilons=case.threat.eps)
    return found, broken


def _pyautoattack(model: Watched, case: Case, peer: Peer) -> tuple[Tensor, Tensor | None]:
    make = peer.find()
    if case.target is not None:
        raise UsageError(f"{peer.name} has no targeted mode; leave it out of targeted evaluations")
    options = dict(peer.options)
    if "attacks" in options:
        options["attacks"] = str(options["attacks"]).split(",")
    version = "custom" if "attacks" in options else peer.kind
    attack = make(
        model, eps=case.threat.eps, norm=_norm(peer, case, PYAUTOATTACK), version=version, device=case.clean.device,
        seed=peer.seed + int(case.index[0]), **options,
    )  # fmt: skip
    found, prediction = attack.run_standard_evaluation(case.clean, case.labels, batch_size=len(case.clean))
    return found, prediction != case.labels


def _art(model: Watched, case: Case, peer: Peer) -> tuple[Tensor, Tensor | None]:
    make, norm = peer.find(), _norm(peer, case, NORMS)
    if case.target is not None and "targeted" not in make.attack_params:
        raise UsageError(f"{peer.name} has no targeted mode; leave it out of targeted evaluations")
    return run_art(model, case, make, peer.options, norm), None


def _adv_lib(model: Watched, case: Case, peer: Peer) -> tuple[Tensor, Tensor | None]:
    attack = peer.find()
    if case.target is not None and peer.kind == "apgd_targeted":
        raise UsageError(f"{peer.name} goes to every other class; leave it out of targeted evaluations")
    norm = _norm(peer, case, ADV_LIB)
    found: Tensor = attack(
        model, case.clean, case.goal, case.threat.eps, norm, targeted=case.target is not None, **peer.options
    )  # fmt: skip
    return found, None


def _auto_pgd() -> Any:
    """adv-lib's module of these attacks by itself: the package around it imports torchvision and visdom for others."""
    place = importlib.util.find_spec("adv_lib")
    if place is None or place.origin is None:
        raise MissingExtraError("adv_lib is not installed; install it: pip install --no-deps adv-lib")
    file = Path(place.origin).parent / "attacks" / "auto_pgd.py"
    named = importlib.util.spec_from_file_location("adrgd_peer_auto_pgd", file)
    if named is None or named.loader is None or not file.is_file():
        raise MissingExtraError(f"adv_lib has no {file.name}; install another version: pip install --no-deps adv-lib")
    module = importlib.util.module_from_spec(named)
    named.loader.exec_module(module)
    return module


LIBRARIES: dict[str, Callable[[Watched, Case, Peer], tuple[Tensor, Tensor | None]]] = {
    "torchattacks": _torchattacks,
    "foolbox": _foolbox,
    "art": _art,
    "pyautoattack": _pyautoattack,
    "adv-lib": _adv_lib,
}
"""How each library is asked: the inputs it found, and which of them it calls broken, where it says so."""


def _library(module: str, install: str) -> Any:
    try:
        return importlib.import_module(module)
    except (ImportError, RuntimeError) as error:  # a torchvision that was built for another torch raises the latter
        first = str(error).partition("\n")[0]
        hint = "; it asks for a torchvision built for this very torch" if "torchvision" in first else ""
        raise MissingExtraError(f"{module} cannot be imported ({first}){hint}; install it: {install}") from error


def _find(home: Any, peer: Peer) -> Any:
    make = getattr(home, peer.kind, None)
    if not isinstance(make, type):
        names = [name for name in dir(home) if isinstance(getattr(home, name), type)]
        raise UsageError(f"{peer.library} has no attack {peer.kind!r}{closest(peer.kind, names)}; correct the name")
    return make


@contextlib.contextmanager
def _apart(seed: int, device: torch.device) -> Iterator[None]:
    """Silence, and random numbers of one's own: what a peer prints, warns of and draws is no business of the rest."""
    with (
        seeded(seed, device), warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()), torch.enable_grad(),
    ):  # fmt: skip
        warnings.simplefilter("ignore")
        yield
