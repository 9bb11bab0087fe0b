"""Every row of the paper's settings table (appendix C), and what the authors' released code does, by name.

`paper-...` presets use eq 8 as printed (a sum over neurons) and never reset eta; gamma is not printed, so the released
values stand in. `released-...` presets stand for code that was released, and do what it does: that for random networks
and that of the attack on MNIST. Both take the largest violation of a layer instead of the sum, keep eta in [.3, .7] and
beta in [.2, 10], set eta back to the true pattern every 16 iterations, and normalise gradients on eta above norm one
only. The former divides the objective's gradient by its norm. The latter, with numbers of its own, takes exact normals
behind a neuron's own gate and of norm one at least, divides logits by their norm, lets beta follow the constraint
loss's sum over all iterations, and looks for the best point only where eta is perturbed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from adrgd.errors import UsageError
from adrgd.solvers.adr import ADRGD, SearchedGates
from adrgd.solvers.steps import Normalised


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One column of the table, in its own order."""

    T: int
    beta0: float
    alpha_x: float
    alpha_eta: float
    alpha_beta: float
    r: float
    delta: float
    delta_beta: float
    T_p: int
    gamma: float = 0.001

    def solver(self) -> ADRGD:
        """The paper's algorithm with these settings."""
        gates = SearchedGates(
            beta0=self.beta0, alpha_eta=self.alpha_eta, alpha_beta=self.alpha_beta, gamma=self.gamma, r=self.r,
            delta=self.delta, delta_beta=self.delta_beta, T_p=self.T_p,
        )  # fmt: skip
        return ADRGD(gates=gates, step=Normalised(length=self.alpha_x))


def _row(T: int, *values: float, T_p: int, gamma: float = 0.001) -> Setting:
    beta0, alpha_x, alpha_eta, alpha_beta, r, delta, delta_beta = values
    return Setting(
        T=T, beta0=beta0, alpha_x=alpha_x, alpha_eta=alpha_eta, alpha_beta=alpha_beta, r=r, delta=delta,
        delta_beta=delta_beta, T_p=T_p, gamma=gamma,
    )  # fmt: skip


SETTINGS: dict[str, Setting] = {
    #                          T   beta0 a_x  a_eta a_beta  r    delta  delta_beta
    "mnist-untargeted": _row(250, 2.0, 1.0, 0.25, 0.001, 0.1, 1e-4, 0.1, T_p=5),
    "cifar10-untargeted": _row(500, 0.5, 0.1, 0.5, 0.001, 0.2, 1e-3, 0.1, T_p=5),
    "imagenet-untargeted": _row(500, 0.5, 0.1, 0.5, 0.001, 0.1, 1e-2, 0.05, T_p=5),
    "mnist-targeted": _row(250, 2.0, 0.5, 0.1, 0.001, 0.01, 1e-4, 0.1, T_p=5),
    "cifar10-targeted": _row(500, 1.0, 0.1, 0.5, 0.001, 0.1, 1e-3, 0.05, T_p=5),
    "imagenet-targeted": _row(500, 0.5, 0.1, 0.5, 1e-4, 0.01, 1e-2, 0.05, T_p=5),
    "ddpg": _row(100, 0.5, 0.2, 0.1, 0.01, 0.05, 1e-3, 0.1, T_p=10),
    "td3": _row(100, 0.5, 0.2, 0.1, 0.01, 0.05, 1e-3, 0.1, T_p=10),
    "fruitbot": _row(100, 0.5, 0.4, 0.25, 0.001, 0.01, 1e-4, 0.1, T_p=10),
    "coinrun": _row(100, 0.5, 0.4, 0.25, 0.001, 0.01, 1e-4, 0.1, T_p=10),
    "random-a": _row(3000, 1.0, 0.5, 1.0, 0.01, 0.1, 1e-4, 0.001, T_p=25, gamma=0.01),
    "random-b": _row(3000, 1.0, 0.5, 1.0, 0.005, 0.2, 1e-3, 0.01, T_p=25, gamma=0.01),
    "random-c": _row(3000, 1.0, 0.5, 1.25, 1e-4, 0.35, 1e-2, 0.01, T_p=25, gamma=0.01),
}
"""The columns of the paper's Table 2, by job."""


def _released(solver: ADRGD, **changes: Any) -> ADRGD:
    """What all of the authors' code has in common, and these changes of the gates."""
    gates = replace(
        solver.gates, reduction="max", eta_range=(0.3, 0.7), beta_range=(0.2, 10.0), reset_every=16,
        normalise_eta="above-one", **changes,
    )  # fmt: skip
    return replace(solver, gates=gates)


RELEASED_MNIST = _row(100, 0.5, 1.0, 0.25, 1e-4, 1e-3, 1e-5, 0.01, T_p=5)
"""The numbers in the released attack on MNIST, which are not those of the table."""


def _released_mnist() -> ADRGD:
    solver = _released(
        RELEASED_MNIST.solver(), norms="exact", own_gate=True, least_norm=1.0, unit_logits=True, accumulate=True,
        record="perturbed",
    )  # fmt: skip
    return replace(solver, step=Normalised(length=RELEASED_MNIST.alpha_x, least=1.0))


RELEASED = ("random-a", "random-b", "random-c")  # jobs whose code was released and runs with the table's settings

PRESETS: dict[str, ADRGD] = {
    **{f"paper-{name}": setting.solver() for name, setting in SETTINGS.items()},
    **{f"released-{name}": _released(SETTINGS[name].solver(), scale_objective=True) for name in RELEASED},
    **{f"released-mnist-{goal}": _released_mnist() for goal in ("untargeted", "targeted")},
}
PRESETS |= {"paper": PRESETS["paper-mnist-untargeted"], "released": PRESETS["released-mnist-untargeted"]}


def preset(name: str) -> ADRGD:
    """ADR-GD with the settings of that name; the paper's number of iterations is `SETTINGS[name].T`.

    Raises:
        UsageError: there is none.
    """
    if name not in PRESETS:
        raise UsageError(f"unknown ADR-GD preset {name!r}; expected one of {', '.join(PRESETS)}")
    return PRESETS[name]
