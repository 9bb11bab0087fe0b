"""What both ways of attacking start from: the model and its images, the goal, and what decides the result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from adrgd import __version__
from adrgd.cli.attack.options import Options
from adrgd.cli.options import class_or_rule
from adrgd.errors import UsageError

if TYPE_CHECKING:
    from adrgd.attacks.ray_workers import RayWorkers
    from adrgd.data import Images
    from adrgd.models import Model


def subject(options: Options, device: str) -> tuple[Model, Images]:
    """The model and the images, which belong together.

    Raises:
        UsageError: they do not.
    """
    from adrgd.data import load_data

    images = load_data(options.data, limit=options.limit, offset=options.offset, task=options.task)
    models = [loaded(options, spec, images, device) for spec in (options.model, *options.ensemble)]
    if options.ensemble_by != "logits" and not options.ensemble:
        raise UsageError("--ensemble-by says how several models answer as one; name the others by --ensemble")
    model = models[0]
    if options.ensemble:
        from adrgd.models.ensemble import Ensemble

        model = replace(model, module=Ensemble([one.module for one in models], options.ensemble_by))
    return passing(model, options.straight_through), images


def loaded(options: Options, spec: str, images: Images, device: str) -> Model:
    """The model of a spec, which must take the images.

    Raises:
        UsageError: it does not.
    """
    from adrgd.models import load_model

    return load_model(spec, device=device, trust=options.trust, images=tuple(images.images.shape[1:]))


def passing(model: Model, names: tuple[str, ...]) -> Model:
    """The model with the calls of these names passing gradients straight through, if there are some."""
    if not names:
        return model
    from adrgd.defences import StraightThrough

    return replace(model, module=StraightThrough(model.module, names))


def workers(options: Options, device: str) -> RayWorkers | None:
    """Ray workers, where they were asked for.

    Raises:
        UsageError: what they load is not what is attacked.
    """
    if options.ray is None:
        return None
    if options.ensemble or options.straight_through:
        raise UsageError("--ray has workers load --model alone; leave --ensemble and --straight-through out, or --ray")
    from adrgd.attacks.ray_workers import RayWorkers

    threads = options.run.threads or 1
    return RayWorkers(address=options.ray, threads=threads, device=device, spec=options.model, trust=options.trust)


def target(options: Options) -> Any:
    """What the images are to become, as a `Threat` takes it.

    Raises:
        UsageError: the flags exclude each other.
    """
    if options.targeted is None:
        return None
    if options.untargeted:
        raise UsageError("--targeted and --untargeted exclude each other; keep one of them")
    return class_or_rule(options.targeted)


def shared(options: Options, device: str) -> dict[str, Any]:
    """What decides the result of any attack."""
    return {
        "adrgd": __version__, "model": options.model, "data": options.data, "limit": options.limit,
        "offset": options.offset, "batch_size": options.batch_size, "device": device,
        **({"ensemble": list(options.ensemble), "ensemble_by": options.ensemble_by} if options.ensemble else {}),
        **of_mask(options.mask),
        **({"straight_through": list(options.straight_through)} if options.straight_through else {}),
    }  # fmt: skip


def of_mask(file: str | None) -> dict[str, str | None]:
    """What a mask's file holds, so that a run does not go on with another; None for one that cannot be read."""
    if file is None:
        return {}
    from pathlib import Path

    from adrgd.files import digest

    try:
        return {"mask_digest": digest(Path(file).expanduser())}
    except OSError:  # said when it is read as a mask
        return {"mask_digest": None}


def working(solver: dict[str, Any]) -> dict[str, str]:
    """What moved the inputs, as it took effect: an ensemble's budget, or the gates and the step with its length."""
    if "budget" in solver:
        return {"budget, passes an image": f"{solver['budget']}"}
    step = solver["step"]
    length = step.get("length", step.get("rate"))
    return {"gate rule, step": f"{solver['gates']['rule']}, {step['rule']} {length:g}, {step['schedule']}"}


def refuse(options: Options, why: Mapping[str, str], beside: str) -> None:
    """Flags that say nothing beside the flag that was given.

    Args:
        why: the reason of each, by the option's name.

    Raises:
        UsageError: one of them was given as well.
    """
    plain = Options(model="", data="")
    for name, reason in why.items():
        if getattr(options, name) != getattr(plain, name):
            raise UsageError(f"--{name.replace('_', '-')} has no meaning with {beside}: {reason}; leave it out")
