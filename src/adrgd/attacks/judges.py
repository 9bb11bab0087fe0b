"""What was found on one model, shown to others."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from adrgd.attacks.evaluate import Attack, attack_batch
from adrgd.errors import ModelError, UsageError
from adrgd.given import as_images, as_labels
from adrgd.models.checks import check_model, probe
from adrgd.models.fitting import fitted
from adrgd.shown import Shown

Network = Callable[[Tensor], Any]


@dataclass(frozen=True, kw_only=True, repr=False)
class Shared(Shown):
    """What some models say of the same inputs; one row a model, one column an image.

    Attributes:
        names: of the J models.
        clean: (J, B) the classes predicted before.
        adversarial: (J, B) the classes predicted after.
        label: (B,) the right classes.
        target: (B,) the classes that were wanted, -1 where any wrong one was.
    """

    names: tuple[str, ...]
    clean: Tensor
    adversarial: Tensor
    label: Tensor
    target: Tensor

    @property
    def broken(self) -> Tensor:
        """(J, B) whether the input found is broken for each model."""
        aimed = self.target >= 0
        return torch.where(aimed, self.adversarial == self.target, self.adversarial != self.label)

    @property
    def carried(self) -> Tensor:
        """(J, B) whether an image that a model had right is broken for it by what was found."""
        return self.broken & (self.clean == self.label)

    def rows(self) -> list[dict[str, Any]]:
        """One line a model, in plain numbers."""
        right = self.clean == self.label
        found = zip(self.names, right, self.broken, self.carried, strict=True)
        return [
            {
                "model": name, "images": len(self.label), "clean_accuracy": float(had.double().mean()),
                "broken": int(broken.sum()), "success_rate": float(broken.double().mean()),
                "carried": int(carried.sum()), "right_before": int(had.sum()),
            }
            for name, had, broken, carried in found
        ]  # fmt: skip


def shown_to(
    judges: Mapping[str, Network],
    clean: Tensor,
    adversarial: Tensor,
    labels: Tensor,
    target: Tensor | None = None,
    *,
    batch_size: int = 128,
    device: str = "cpu",
) -> Shared:
    """What each of some models predicts for images (B, ...) before and after an attack.

    Raises:
        UsageError: no models.
        ModelError: one cannot take the images, is random, in train mode, or mixes rows.
    """
    if not judges:
        raise UsageError("expected at least one model to show what was found, found none; pass some")
    few = probe(clean).to(device)
    predictions = []
    for name, judge in judges.items():
        model = fitted(judge, few)
        try:
            check_model(model, few)
        except ModelError as error:
            raise ModelError(f"{name} cannot judge what was found: {error}") from None
        predictions.append([_classes(model, x, batch_size, device) for x in (clean, adversarial)])
    before, after = (torch.stack(list(each)) for each in zip(*predictions, strict=True))
    goal = torch.full_like(labels, -1) if target is None else target
    return Shared(names=tuple(judges), clean=before, adversarial=after, label=labels.cpu(), target=goal.cpu())


def transfer(
    models: Mapping[str, Network],
    images: Any,
    labels: Any,
    attack: Attack,
    *,
    sources: Sequence[str] | None = None,
) -> dict[str, Shared]:
    """Attack each of some models on the same images, and show what was found on it to all of them.

    Args:
        models: by name.
        images, labels: as `attack_batch` takes them.
        sources: the models to attack; all of them unless given.

    Returns:
        For each model that was attacked, what all of them say.

    Raises:
        UsageError: a source that is none of the models, and what `attack_batch` raises.

    Examples:
        >>> import adrgd
        >>> from adrgd.attacks import transfer
        >>> nets = {name: adrgd.load_model(f"bundled:{name}").module for name in ("mnist-pgd", "mnist-clean")}
        >>> data = adrgd.load_data("bundled:mnist", limit=8)
        >>> attack = adrgd.Attack(threat=adrgd.Threat(eps=0.2), steps=5)
        >>> found = transfer(nets, data.images, data.labels, attack, sources=["mnist-pgd"])
        >>> found["mnist-pgd"].broken.shape
        torch.Size([2, 8])
    """
    if not models:
        raise UsageError("expected at least one model to attack and to show what was found, found none; pass some")
    unknown = [name for name in sources or () if name not in models]
    if unknown:
        raise UsageError(f"expected sources among {', '.join(models)}, found {', '.join(unknown)}; correct them")
    images = as_images(images)
    labels = as_labels(labels, len(images), images.device)
    found = {}
    for name in sources if sources is not None else models:
        result = attack_batch(models[name], images, labels, attack)
        target = result.target if attack.threat.target is not None else None
        found[name] = shown_to(
            models, images, result.adversarial, labels, target, batch_size=len(images), device=str(images.device)
        )
    return found


def _classes(model: Network, x: Tensor, batch_size: int, device: str) -> Tensor:
    with torch.no_grad():
        parts = [model(part.to(device)).argmax(1).cpu() for part in x.split(batch_size)]  # type: ignore[no-untyped-call]
    return torch.cat(parts)
