"""The searched gates of ADR-GD (Algorithm 1) in closed form, for chains of ReLU layers.

The surrogate and the original network share the first pre-activations, since both see the same actions. Each iteration
costs two products a layer forwards and two backwards, and one more for a probe of the norms.
"""

from __future__ import annotations

import numpy as np

from adrgd.rl.chain import Array, Chain, combine
from adrgd.rl.closed_gates import Task, sigmoid
from adrgd.solvers.adr import SearchedGates

SUPPORTED = SearchedGates(layers="all")
TUNED = frozenset(
    ("alpha", "beta0", "alpha_eta", "alpha_beta", "gamma", "r", "delta", "delta_beta", "T_p", "margin", "probe_every",
     "memory", "eta_range", "beta_range")
)  # fmt: skip


class _State:
    """What one critic carries from iteration to iteration: eta - 1/2, 1 / ||P_j||, and memory to work in."""

    def __init__(self, chain: Chain, margin: float) -> None:
        self.offset, self.gate, self.inner, self.square, self.inverse = (chain.new() for _ in range(5))
        self.on_eta, self.g, self.change, self.distance, self.entering, self.work = (chain.new() for _ in range(6))
        self.offset.flat[:] = margin * np.where(chain.h.flat >= 0, 1.0, -1.0)
        self.perturbed = np.ones((chain.rows, len(chain.widths)), dtype=np.int64)


class SearchedClosed:
    """`SearchedGates` on all layers with eq 8 as printed, without resets or ablations."""

    def __init__(self, task: Task, gates: SearchedGates, x: Array) -> None:
        self.task, self.gates = task, gates
        for chain in task.chains:
            chain.forward(x)
        self.states = [_State(chain, gates.margin) for chain in task.chains]
        self.beta = np.full(len(x), gates.beta0, dtype=x.dtype)
        self.tiny, self.r = np.finfo(x.dtype).tiny, x.dtype.type(gates.r)

    def evaluate(self, x: Array, t: int) -> tuple[Array, Array]:
        chains, states = self.task.chains, self.states
        value, _ = combine([chain.forward(x) for chain in chains], self.task.how)
        surrogate = [self._surrogate(chain, state) for chain, state in zip(chains, states, strict=True)]
        _, weights = combine(surrogate, self.task.how)
        gradient, loss = np.zeros_like(x), np.zeros_like(self.beta)
        first = 0
        for chain, state, weight in zip(chains, states, weights, strict=True):
            gradient += self._objective(chain, state, weight)
            if t % self.gates.probe_every == 0:
                self._measure(chain, state, t)
            total, pull = self._constraint(chain, state)
            gradient -= self.beta[:, None] * pull
            loss += total
            self._move_eta(state, first, t + 1)
            first += len(chain.widths)
        gates = self.gates
        beta = np.where(loss <= gates.delta_beta, self.beta - gates.gamma, self.beta + gates.alpha_beta * loss)
        self.beta = np.minimum(np.maximum(beta, gates.beta_range[0]), gates.beta_range[1])
        return value, gradient

    def _surrogate(self, chain: Chain, state: _State) -> Array:
        """Equation 6: gates s(eta) in the place of the ReLUs; the pre-activations stay in `inner`."""
        gate, inner = state.gate, state.inner
        sigmoid(np.multiply(state.offset.flat, self.gates.alpha, out=gate.flat))
        inner[0][...] = chain.h[0]
        for k in range(1, len(inner)):
            chain.into(k, np.multiply(gate[k - 1], inner[k - 1], out=state.work[k - 1]), inner[k])
        return chain.value(np.multiply(gate[-1], inner[-1], out=state.work[-1]))

    def _objective(self, chain: Chain, state: _State, weight: Array | None) -> Array:
        """The gradient of the surrogate's output by x, and into `on_eta` minus the one by eta."""
        behind, g = state.on_eta, state.g  # behind: first the gradient at each layer's outputs
        behind[-1][...] = chain.last if weight is None else chain.last * weight[:, None]
        for k in range(len(behind) - 1, 0, -1):
            np.dot(np.multiply(behind[k], state.gate[k], out=g[k]), chain.weights[k], out=behind[k - 1])
        gradient: Array = np.dot(behind[0] * state.gate[0], chain.weights[0])
        slope = np.subtract(1, state.gate.flat, out=state.work.flat)
        slope *= state.gate.flat
        slope *= -self.gates.alpha
        slope *= state.inner.flat
        behind.flat *= slope
        return gradient

    def _measure(self, chain: Chain, state: _State, t: int) -> None:
        """Equation 10 for the surrogate, by one probe."""
        entry = self.task.noise(self.task.scale.shape[1], "norms 0", t).repeat(chain.rows, 0)
        for k in range(len(state.change)):
            change = np.dot(entry, chain.weights[k].T, out=state.change[k])
            entry = state.gate[k] * change
        fresh = np.square(state.change.flat)
        fresh += (self.gates.memory if t else 0.0) * (state.square.flat - fresh)
        state.square.flat[:] = fresh
        np.divide(1, np.maximum(np.sqrt(fresh), 1e-12), out=state.inverse.flat)

    def _constraint(self, chain: Chain, state: _State) -> tuple[Array, Array]:
        """Equation 8 (B,) and its gradient by x; beta times the one by eta goes into `on_eta`."""
        distance, entering, violation = state.distance, state.entering, state.work
        np.multiply(chain.h.flat, state.inverse.flat, out=distance.flat)
        np.negative(state.offset.flat, out=entering.flat)
        np.multiply(distance.flat, entering.flat, out=violation.flat)
        np.maximum(violation.flat, 0, out=violation.flat)
        loss: Array = violation[0].sum(1)
        for k in range(1, len(violation)):
            loss += violation[k].sum(1)
        violated = np.sign(violation.flat, out=violation.flat)
        distance.flat *= violated
        for k in range(len(distance)):
            distance[k][...] *= self.beta[:, None]
        state.on_eta.flat -= distance.flat
        entering.flat *= state.inverse.flat
        entering.flat *= violated
        np.sign(chain.z.flat, out=state.work.flat)
        state.g[-1][...] = entering[-1]
        return loss, chain.pull(state.g, state.work, entering)

    def _move_eta(self, state: _State, first: int, t: int) -> None:
        """Lines 7 to 14, for minimisation; t counts from 1, as in the paper, and hinges from `first`."""
        gates = self.gates
        may = t - state.perturbed.min() >= gates.T_p
        for k in range(len(state.on_eta)):
            gradient = state.on_eta[k]
            size = np.sqrt(np.einsum("ij,ij->i", gradient, gradient))
            gradient /= np.maximum(size, self.tiny)[:, None]
            if may:
                due = (t - state.perturbed[:, k] >= gates.T_p) & (size <= gates.delta)
                if due.any():
                    xi = self.task.noise(gradient.shape[1], f"eta {first + k}", t)
                    gradient += np.where(due, self.r, 0)[:, None] * xi
                    state.perturbed[due, k] = t
        state.on_eta.flat *= gates.alpha_eta
        offset = np.subtract(state.offset.flat, state.on_eta.flat, out=state.offset.flat)
        np.maximum(offset, gates.eta_range[0] - 0.5, out=offset)
        np.minimum(offset, gates.eta_range[1] - 0.5, out=offset)
