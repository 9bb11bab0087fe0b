"""Every row of the paper's settings table (appendix C), and the authors' released settings, by name.

`paper-...` presets use eq 8 as printed (a sum over neurons) and never reset eta; gamma is not printed, so the released
values stand in. `released-...` presets follow the authors' code: the largest violation of a layer instead of the sum,
eta kept in [.3, .7] and beta in [.2, 10], eta set back to the true pattern every 16 iterations, the objective's
gradient divided by its norm, and gradients on eta normalised only above norm one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

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


def released(solver: ADRGD) -> ADRGD:
    """The same settings run the way the authors' code runs them."""
    gates = replace(
        solver.gates,
        reduction="max", eta_range=(0.3, 0.7), beta_range=(0.2, 10.0), reset_every=16, scale_objective=True,
        normalise_eta="above-one",
    )  # fmt: skip
    return replace(solver, gates=gates)


PRESETS: dict[str, ADRGD] = {
    **{f"paper-{name}": setting.solver() for name, setting in SETTINGS.items()},
    **{f"released-{name}": released(setting.solver()) for name, setting in SETTINGS.items()},
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
