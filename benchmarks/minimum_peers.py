"""Minimum-norm attacks of adv-lib, Foolbox and pyautoattack, each with the iterations that so many passes pay for."""

from __future__ import annotations

import contextlib
import io
import sys
import types
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import foolbox
import torch
from torch import Tensor, nn

Attack = Callable[[nn.Module, Tensor, Tensor, int], Tensor]
"""Of a model, images, labels and passes an image: what it found."""

CLASSES = 9  # others than the label, which targeted attacks go through


def _adv_lib(name: str) -> Any:
    """An attack of adv-lib; what its package imports besides, for pictures and perception, is left out."""
    for module in ("visdom", "torchvision", "torchvision.models", "adv_lib.distances.lpips"):
        with contextlib.suppress(ImportError):
            __import__(module)
            continue
        empty = types.ModuleType(module)
        empty.__dict__.update(LPIPS=None, Visdom=None)
        sys.modules[module] = empty
    import adv_lib.attacks
    from adv_lib.attacks.auto_pgd import minimal_apgd

    return minimal_apgd if name == "minimal_apgd" else getattr(adv_lib.attacks, name)


def _steps(name: str, count: str, **options: Any) -> Attack:
    """An attack of adv-lib whose iterations take a forward and a backward pass each."""

    def run(model: nn.Module, images: Tensor, labels: Tensor, passes: int) -> Tensor:
        found: Tensor = _adv_lib(name)(model, images, labels, **{count: passes // 2}, **options)
        return found

    return run


def _apgd(norm: float, most: float) -> Attack:
    """AutoAttack's APGD on the DLR loss, inside balls whose radius is bisected ten times from a share of the box."""

    def run(model: nn.Module, images: Tensor, labels: Tensor, passes: int) -> Tensor:
        found: Tensor = _adv_lib("minimal_apgd")(
            model, images, labels, norm=norm, max_eps=most, binary_search_steps=10, n_iter=passes // 20
        )
        return found

    return run


def _fab(norm: str) -> Attack:
    """AutoAttack's FAB towards the nearest classes; an iteration takes two forward passes and one backward."""

    def run(model: nn.Module, images: Tensor, labels: Tensor, passes: int) -> Tensor:
        from pyautoattack.fab_pt import FABAttack_PT

        classes = 3
        attack = FABAttack_PT(
            model, norm=norm, n_restarts=1, n_iter=passes // (3 * classes), eps=1e9, seed=0, targeted=True,
            device=images.device, n_target_classes=classes,
        )  # fmt: skip
        found = images.clone()
        nearest = torch.full((len(images),), torch.inf)
        order = {"Linf": torch.inf, "L2": 2, "L1": 1}[norm]
        for rank in range(2, 2 + classes):
            attack.target_class = rank
            x = attack.attack_single_run(images, labels, use_rand_start=False, is_targeted=True)
            size = torch.linalg.vector_norm((x - images).flatten(1), order, dim=1)
            with torch.no_grad():
                closer = (model(x).argmax(1) != labels) & (size < nearest)
            found[closer], nearest[closer] = x[closer], size[closer]
        return found

    return run


def _foolbox(make: Callable[[int], Any]) -> Attack:
    def run(model: nn.Module, images: Tensor, labels: Tensor, passes: int) -> Tensor:
        wrapped = foolbox.PyTorchModel(model, bounds=(0, 1))
        found: Tensor = make(passes)(wrapped, images, foolbox.criteria.Misclassification(labels), epsilons=None)[1]
        return found

    return run


def quietly(attack: Attack) -> Attack:
    """What peers print and warn of is no business of the table."""

    def run(model: nn.Module, images: Tensor, labels: Tensor, passes: int) -> Tensor:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            torch.manual_seed(0)
            return attack(model, images, labels, passes).detach()

    return run


_FMN, _PDPGD = partial(_steps, "fmn", "steps"), partial(_steps, "pdpgd", "num_steps")

PEERS: dict[str, dict[str, Attack]] = {
    "linf": {
        "FMN": _FMN(norm=torch.inf),
        "FMN, alpha 10": _FMN(norm=torch.inf, α_init=10.0),
        "PDPGD": _PDPGD(norm=torch.inf),
        "APGD, bisected": _apgd(torch.inf, 0.3),
        "FAB-T": _fab("Linf"),
    },
    "l2": {
        "FMN": _FMN(norm=2),
        "DDN": _steps("ddn", "steps"),
        "ALMA": _steps("alma", "num_steps", distance="l2", init_lr_distance=0.1),
        "PDPGD": _PDPGD(norm=2),
        "PDGD": _steps("pdgd", "num_steps"),
        "APGD, bisected": _apgd(2, 2.5),
        "FAB-T": _fab("L2"),
        "Carlini-Wagner": _foolbox(
            lambda passes: foolbox.attacks.L2CarliniWagnerAttack(binary_search_steps=5, steps=passes // 10)
        ),
    },
    "l1": {
        "FMN": _FMN(norm=1),
        "ALMA": _steps("alma", "num_steps", distance="l1", init_lr_distance=0.5),
        "PDPGD": _PDPGD(norm=1),
        "APGD, bisected": _apgd(1, 20.0),
        "FAB-T": _fab("L1"),
        "EAD": _foolbox(
            lambda passes: foolbox.attacks.EADAttack(binary_search_steps=5, steps=passes // 10, decision_rule="L1")
        ),
    },
    "l0": {
        "sigma-zero": _steps("sigma_zero", "num_steps"),
        "FMN": _FMN(norm=0),
        "PDPGD": _PDPGD(norm=0, proximal_operator=23),
        "PDPGD, l1 steps": _PDPGD(norm=0, proximal_operator=1),
    },
}
