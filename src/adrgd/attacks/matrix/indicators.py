"""Signs that an attack failed rather than that the model is robust, each with what to do about it.

After Pintor et al. (2022), "Indicators of Attack Failure", and the checklist of Carlini et al. (2019), "On Evaluating
Adversarial Robustness". All arguments are arrays with one entry an image.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from adrgd.gates import Gating

Array = np.ndarray[Any, np.dtype[Any]]

FEW = 0.01  # the share of images whose gradients may be zero
SOME = 0.1  # the share of images that may be misled by their gradient
LATE = 0.1  # the share of the whole rise of the loss that may fall into the last tenth: that of an even climb
LOST = 0.02  # the share of images that may be broken at a smaller radius and stand at a larger one


@dataclass(frozen=True)
class Indicator:
    """One sign: whether it was seen, what was found, and what to do if it was."""

    name: str
    triggered: bool
    finding: str
    advice: str


def zero_gradients(zero: Array, standing: Array) -> Indicator:
    """Images whose gradient vanishes: saturated logits, quantised inputs."""
    share = _share(zero, standing)
    return Indicator(
        "zero gradients", share > FEW, f"{_count(zero, standing)} have a gradient of exactly zero",
        "choose a loss that does not saturate (margin, dlr), evaluate in float64, or replace what has no slope by "
        "something that has one in the backward pass",
    )  # fmt: skip


def squashed_outputs(kind: str | None) -> Indicator:
    """Outputs that have passed a softmax or a sigmoid; log-probabilities are as good as logits to every loss."""
    if kind is None or kind == "log-softmax":
        finding = "the outputs are log-probabilities, which losses take as logits" if kind else "the outputs are logits"
    else:
        finding = f"the outputs are probabilities, as after a {kind}"
    return Indicator(
        "probabilities as logits", kind in ("softmax", "sigmoid"), finding,
        "let the model return what enters its last softmax or sigmoid: losses made for logits fade on probabilities",
    )  # fmt: skip


def masked_gradients(misleading: Array, standing: Array) -> Indicator:
    """Images whose loss does not rise along its own gradient."""
    return Indicator(
        "masked gradients", _share(misleading, standing) > SOME,
        f"{_count(misleading, standing)} gain no loss by any step along their gradient",
        "look for steps, noise or clipping in the model's preprocessing; attack a smooth stand-in for it, or use an "
        "attack without gradients as well",
    )  # fmt: skip


def silent_success(silent: Array) -> Indicator:
    """Images broken on the way by an attack that then returns another point."""
    return Indicator(
        "silent success", bool(silent.any()),
        f"{_count(silent)} were broken on the way, and the returned input is not",
        "return the best point instead of the last one: the rate reported for this attack is too low",
    )  # fmt: skip


def incomplete(history: Array, success: Array) -> Indicator:
    """Runs that were still getting better when they ended; history (N, points), NaN where nothing was seen."""
    name, advice = "incomplete optimisation", "give it more steps, or longer ones, until the curve is flat at its end"
    rows = history[~success & np.isfinite(history).all(1)]
    if not len(rows):
        reason = "no image stands" if success.all() else "the attack's loss could not be followed"
        return Indicator(name, False, f"not judged: {reason}", advice)
    late = (rows[:, -1] - rows[:, int(0.9 * (rows.shape[1] - 1))]).sum()
    whole = (rows[:, -1] - rows[:, 0]).sum()
    share = float(late / whole) if whole > 0 else 0.0
    return Indicator(
        name, share > LATE, f"the last tenth of the run brought {100 * share:.1f} % of the rise of the loss where the "
        "image still stands", advice,
    )  # fmt: skip


def not_monotone(success: dict[float, Array]) -> Indicator:
    """Images broken inside a ball that stand in a larger one; `success` by radius."""
    radii = sorted(success)
    pairs = list(pairwise(radii))
    lost = np.zeros(len(success[radii[0]]), dtype=bool)
    for small, large in pairs:
        lost |= success[small] & ~success[large]
    falls = any(success[large].mean() < success[small].mean() for small, large in pairs)
    finding = f"{_count(lost)} are broken at a smaller eps and stand at a larger one" if pairs else "one eps only"
    return Indicator(
        "not monotone in eps", falls or float(lost.mean()) > LOST, finding,
        "an example for the smaller eps is one for the larger: add restarts, scale the steps with eps, and report the "
        "union",
    )  # fmt: skip


def noise_as_strong(noise: Array, success: Array, wrong: Array) -> Indicator:
    """Random noise that does what the attack does; `wrong` are the images misclassified to begin with."""
    more = noise & ~success
    reached, attacked = int((noise & ~wrong).sum()), int((success & ~wrong).sum())
    return Indicator(
        "noise as strong", bool(more.any()) or (reached > 0 and reached >= attacked),
        f"random noise breaks {reached} images and the attack {attacked}; {int(more.sum())} by noise alone",
        "the gradients lead nowhere or the attack is misconfigured: check the two signs above and its step size",
    )  # fmt: skip


def not_finite(ended: Array) -> Indicator:
    """Images whose search ended because there was no number to follow."""
    return Indicator(
        "not finite", bool(ended.any()), f"{_count(ended)} ended a run early: the loss or its gradient was not finite",
        "look for overflow, a division by zero or a logarithm of zero in the model, or evaluate it in float64",
    )  # fmt: skip


def missing_gates(gating: Gating) -> Indicator:
    """Activations that a gated solver follows by plain gradients, against its name."""
    return Indicator(
        "missing gates", bool(gating.warning), gating.warning or gating.sentence,
        "call activations from Python in a way that `adrgd inspect` lists as gated, or read this attack as one of "
        "plain gradients",
    )  # fmt: skip


def _share(hits: Array, among: Array) -> float:
    return float(hits[among].mean()) if among.any() else 0.0


def _count(hits: Array, among: Array | None = None) -> str:
    return f"{int(hits.sum())} of {len(hits) if among is None else int(among.sum())} images"
