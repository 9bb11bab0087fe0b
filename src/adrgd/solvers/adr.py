"""ADRGD: Algorithm 1 of the paper, batched, every row with its own eta, beta and perturbation clock.

Each iteration evaluates two networks: the original one, whose pre-activations h enter the constraint loss (eq 8), and
the sigmoid surrogate (eq 6), whose output carries the objective J. The loss to be minimised is

    L* = -J(surrogate output) + beta * sum of the constraint losses            (eq 9)

Its gradient on x moves x by a `Normalised` step; its gradient on eta moves eta here; beta follows lines 15 to 18.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal

import torch
from torch import Tensor

from adrgd.errors import UsageError
from adrgd.gates import Picked
from adrgd.objective import Classify, Misclassify, Score
from adrgd.rows import column, norm
from adrgd.settings import settle_fields
from adrgd.solvers.solver import Evaluation, Problem, Sees, Solver, StepRule
from adrgd.solvers.steps import Normalised, unit
from adrgd.surrogate import (
    constraint_loss,
    estimated_squared_norms,
    exact_norms,
    gated,
    hinge_values,
    sigmoid_gates,
)


@dataclass(frozen=True)
class Pattern:
    """The state of the searched gates.

    Attributes:
        eta: one tensor (B, ...) a hinge.
        beta: (B,) the weight of the constraint loss.
        total: (B,) what beta follows: the constraint loss, or its sum so far.
        perturbed: (B, hinges) the iteration of each hinge's last perturbation, t_noise.
        squares: ||P_j||^2, one tensor (B, ...) a hinge; empty before the first measurement.
        layers: the gated layers.
    """

    eta: list[Tensor]
    beta: Tensor
    total: Tensor
    perturbed: Tensor
    squares: list[Tensor]
    layers: Picked


@dataclass(frozen=True, kw_only=True)
class SearchedGates:
    """Activation variables eta that are optimised beside x (Algorithm 1, lines 7 to 18).

    Attributes:
        alpha: steepness of the sigmoid surrogate.
        beta0: the first weight of the constraint loss (beta_0).
        alpha_eta, alpha_beta: step sizes on eta and beta.
        gamma: what beta loses when the constraint loss is at most `delta_beta`.
        r: size of the Gaussian perturbation of eta.
        delta: a layer is perturbed when its gradient's norm is at most this.
        delta_beta: tolerance of the constraint loss.
        T_p: at least this many iterations between perturbations of a layer.
        margin: eta starts at 1/2 plus or minus this, on the side of the true pattern.
        eta_range, beta_range: both are clipped to these after every update.
        reset_every: set eta back to the true pattern every so many iterations; 0 means never.
        reduction: "sum" (eq 8) or "max" over the neurons of a layer.
        scale_objective: divide the objective's gradients by the norm of its gradient on x.
        norms: "estimated" by one probe every `probe_every` iterations, or "exact" at each (n evaluations a row).
        probe_every: see `norms`.
        memory: what is kept of the running mean of ||P_j||^2 at a measurement.
        normalise_eta: divide each layer's gradient on eta by its norm: "always", "never", or only norms "above-one".
        own_gate: P_j is the normal behind neuron j's own gate, so that it vanishes for a closed one.
        least_norm: a smaller ||P_j|| counts as this.
        unit_logits: the surrogate's loss is that of its logits divided by their norm; the objective must have logits.
        accumulate: beta follows the sum of the constraint loss over all iterations so far.
        record: "every" point counts, or those alone at which eta is "perturbed" (then a run may end where it began).
            `Solution` then holds both: the best point of all, and the one recorded so.
        eta_follows_objective: False is ablation M1: the objective sends no gradient to eta.
        x_follows_constraint: False is ablation M2: the constraint loss sends no gradient to x.
        normalise_distance: False is ablation M3: h is not divided by ||P_j||.
        perturb: False is ablation M4: eta is never perturbed.
        layers: which activation layers: "all", "last:K", or numbers such as "0,2".
    """

    sees: ClassVar[Sees] = "hinges"

    alpha: float = 2000.0
    beta0: float = 1.0
    alpha_eta: float = 0.25
    alpha_beta: float = 0.001
    gamma: float = 0.001
    r: float = 0.1
    delta: float = 1e-4
    delta_beta: float = 0.1
    T_p: int = 5
    margin: float = 0.01
    eta_range: tuple[float, float] = (0.0, 1.0)
    beta_range: tuple[float, float] = (0.0, float("inf"))
    reset_every: int = 0
    reduction: Literal["sum", "max"] = "sum"
    scale_objective: bool = False
    norms: Literal["estimated", "exact"] = "estimated"
    probe_every: int = 5
    memory: float = 0.5
    normalise_eta: Literal["always", "above-one", "never"] = "always"
    own_gate: bool = False
    least_norm: float = 0.0
    unit_logits: bool = False
    accumulate: bool = False
    record: Literal["every", "perturbed"] = "every"
    eta_follows_objective: bool = True
    x_follows_constraint: bool = True
    normalise_distance: bool = True
    perturb: bool = True
    layers: str = "all"

    def __post_init__(self) -> None:
        settle_fields(self)

    def start(self, problem: Problem, x: Tensor) -> Pattern:
        layers = problem.pick(self, x)
        if not layers:
            raise UsageError(
                "ADR-GD needs an activation layer, found none; a compiled module hides them: load the original"
            )
        with torch.no_grad():
            hinges = hinge_values(problem.value, x, layers)[1]
        beta = torch.full((len(x),), self.beta0, dtype=x.dtype, device=x.device)
        clock = torch.ones((len(x), len(hinges)), dtype=torch.int64, device=x.device)
        return Pattern(self._true_eta(hinges), beta, torch.zeros_like(beta), clock, [], layers)

    def evaluate(self, problem: Problem, x: Tensor, state: Pattern, t: int) -> Evaluation:
        x = x.detach().requires_grad_(True)
        eta = [e.detach().requires_grad_(True) for e in state.eta]
        scores: list[Score] = []

        def value(points: Tensor) -> Tensor:
            scores.append(problem.score(points))
            return scores[-1].value

        with torch.set_grad_enabled(self.x_follows_constraint):
            hinges = hinge_values(value, x, state.layers)[1]
        score = Score(scores[0].value.detach(), scores[0].reached)
        if self.reset_every and t > 0 and t % self.reset_every == 0:
            eta = [e.requires_grad_(True) for e in self._true_eta(hinges)]

        surrogate, inner = gated(self._objective(problem), x, sigmoid_gates(eta, self.alpha), state.layers)
        inner = [h.detach() for h in inner]
        gradients = problem.gradient(surrogate, [x, *eta])
        grad_x, grads = gradients[0], gradients[1:]
        if self.scale_objective:
            size = norm(grad_x).clamp_min(torch.finfo(x.dtype).tiny)
            grad_x, grads = grad_x / column(size, grad_x), tuple(g / column(size, g) for g in grads)
        if not self.eta_follows_objective:
            grads = tuple(torch.zeros_like(g) for g in grads)

        norms, squares = self._norms(problem, x.detach(), eta, inner, state, t)
        constraint = constraint_loss(hinges, eta, norms, self.reduction)
        if self.x_follows_constraint:
            pull_x, *pulls = problem.gradient(constraint, [x, *eta])
            grad_x = grad_x - column(state.beta, x) * pull_x
        else:
            pulls = list(torch.autograd.grad(constraint.sum(), eta))
        descent = [column(state.beta, g) * p - g for g, p in zip(grads, pulls, strict=True)]
        new_eta, clock = self._move_eta(problem, [e.detach() for e in eta], descent, state.perturbed, t + 1)
        recorded = (clock != state.perturbed).any(1) if self.record == "perturbed" else None
        total = constraint.detach() + state.total if self.accumulate else constraint.detach()
        beta = torch.where(total <= self.delta_beta, state.beta - self.gamma, state.beta + self.alpha_beta * total)
        state = replace(
            state, eta=new_eta, beta=beta.clamp(*self.beta_range), total=total, perturbed=clock, squares=squares
        )
        return Evaluation(score, grad_x, state, recorded)

    def _objective(self, problem: Problem) -> Callable[[Tensor], Tensor]:
        """What the surrogate network is evaluated with."""
        if not self.unit_logits:
            return problem.value
        if not isinstance(problem.objective, Misclassify | Classify):
            raise UsageError(
                "unit_logits divides a classifier's logits by their norm, and this objective has none; pass "
                "Misclassify or Classify, or leave unit_logits out"
            )
        other = replace(problem, objective=problem.objective.of_unit_logits())

        def value(points: Tensor) -> Tensor:
            problem.forwards += 1
            return other.value(points)

        return value

    def _true_eta(self, hinges: Sequence[Tensor]) -> list[Tensor]:
        return [0.5 + self.margin * torch.where(h.detach() >= 0, 1.0, -1.0).to(h) for h in hinges]

    def _norms(
        self, problem: Problem, x: Tensor, eta: list[Tensor], inner: list[Tensor], state: Pattern, t: int
    ) -> tuple[list[Tensor] | None, list[Tensor]]:
        if not self.normalise_distance:
            return None, []
        squares = state.squares
        gates = sigmoid_gates([e.detach() for e in eta], self.alpha)
        if self.norms == "exact" or not squares or t % self.probe_every == 0:
            if self.norms == "exact":
                squares = [p.square() for p in exact_norms(problem.peek, x, gates, state.layers)]
                problem.forwards += x[0].numel()
            else:
                fresh = estimated_squared_norms(
                    problem.value, x, gates, problem.random, t=t, layers=state.layers, hinges=inner
                )
                squares = [torch.lerp(a, b, self.memory) for a, b in zip(fresh, squares or fresh, strict=True)]
        lengths = [s.sqrt() for s in squares]
        if self.own_gate:
            lengths = [length * gate for length, gate in zip(lengths, gates, strict=True)]
        return [length.clamp_min(self.least_norm) for length in lengths], squares

    def _move_eta(
        self, problem: Problem, eta: list[Tensor], gradients: list[Tensor], clock: Tensor, t: int
    ) -> tuple[list[Tensor], Tensor]:
        """Lines 7 to 14, for minimisation; t counts from 1 as in the paper."""
        clock = clock.clone()
        moved = []
        for i, (e, gradient) in enumerate(zip(eta, gradients, strict=True)):
            size = norm(gradient)
            if self.normalise_eta != "never":
                gradient = unit(gradient, 1.0 if self.normalise_eta == "above-one" else 0.0)
            if self.perturb:
                due = (t - clock[:, i] >= self.T_p) & (size <= self.delta)
                if due.any():
                    xi = problem.random.normal(tuple(e.shape[1:]), f"eta {i}", t, e.dtype)
                    gradient = torch.where(column(due, e), gradient + self.r * xi, gradient)
                    clock[:, i] = torch.where(due, t, clock[:, i])
            moved.append((e - self.alpha_eta * gradient).clamp(*self.eta_range))
        return moved, clock


@dataclass(frozen=True, kw_only=True)
class ADRGD(Solver):
    """ADR-GD (Yu & Gao 2024): searched gates under normalised steps; see `adrgd.solvers.presets` for the settings."""

    gates: SearchedGates = field(default_factory=SearchedGates)
    step: StepRule = field(default_factory=lambda: Normalised(length=1.0))
