"""Flips of the neurons that would gain most on their other side, many at once, with a tabu list.

The paper's Definition 5.2 tells of each neuron whether the output would grow if it changed sides. Around a point that
nearly breaks an image few neurons can change sides at all; what such a flip may gain is estimated as the mean of what
the neuron adds over there when the input moves by noise. Copies of each point take different sets of flips, whose gates
are held on the other side for the first steps; the best copy is the next point even if it is worse than where it came
from, and its flips are not taken back for some rounds (Glover 1989).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from adrgd.activations import Factor
from adrgd.attacks.ensemble.lanes import FEWEST, Lanes
from adrgd.attacks.ensemble.reheating import COPIES, Points, Towards
from adrgd.gates import Call, Gates, Picked, look
from adrgd.objective import Score
from adrgd.rows import RowRandom, column
from adrgd.solvers import Solver, Steepest
from adrgd.solvers.softened import softened
from adrgd.solvers.solver import Evaluation, Problem, Sees, TrueGates

CLOSE = 0.15  # of an image's size of margin: how near it must have come
SEARCHES = 8  # side by side, from the best points known
STEPS = 40  # iterations of a round
TENURE = 8  # rounds for which flips are not taken back
PATIENCE = 6  # rounds without a gain after which a search goes on from its best point
NOISE = (0.05, 0.6)  # in radii: what each copy's gains are estimated under
FLIPS = 64  # of a copy, at most
UNTIL_FREE = 1e6  # what is taken from the values of points while gates are held
LENGTH = 0.15  # of the first step, in radii


@dataclass(frozen=True, kw_only=True)
class FlippedGates:
    """True gates, except that some neurons are held on their other side for the first part of a run.

    Attributes:
        picked: the network's layers of hinges.
        held: for each layer (rows, breaks, ...), by row of the whole run: 1 for on, 0 for off, -1 for neither.
        until: the share of the run after which all gates are true.
    """

    sees: ClassVar[Sees] = "nothing"  # but what it is given

    picked: Picked
    held: tuple[Tensor, ...]
    until: float = 0.5

    def start(self, problem: Problem, x: Tensor) -> list[Tensor]:
        return [side[problem.rows] for side in self.held]

    def evaluate(self, problem: Problem, x: Tensor, state: list[Tensor], t: int) -> Evaluation:
        if t >= self.until * problem.steps:
            score, gradient, *_ = TrueGates().evaluate(problem, x, None, t)
            return Evaluation(score, gradient, state)
        held = iter(state)

        def slope(call: Call) -> Factor:
            phi, side = call.hinges, next(held)
            on = torch.stack([call.h > at for at in phi.breaks], 1)
            return Factor(phi.mix(list(torch.where(side < 0, on, side > 0).to(call.h).unbind(1))))

        score, gradient = softened(problem, x, self.picked, slope)
        # the best point of a run is to be one behind the flips, not the one it came from
        value = torch.where(score.reached, score.value, score.value - UNTIL_FREE)
        return Evaluation(Score(value, score.reached), gradient, state)


def flips(lanes: Lanes, points: dict[int, Points], passes: int) -> None:
    """Spend `passes` more on each image that came near, from its best points on."""
    near = ~lanes.best.reached & (lanes.margin >= -CLOSE * lanes.size)
    lanes.budget += passes
    for image in near.nonzero()[:, 0].tolist():
        if image in points:
            _search(lanes, points[image])


def _search(lanes: Lanes, points: Points) -> None:
    """Tabu searches side by side on one image."""
    case, image = lanes.case, points.image
    count = max(1, min(SEARCHES, points.value.shape[1], lanes.at_once // COPIES))
    best = points.value[0].topk(count).indices
    x, target, value = points.x[0, best], points.target[0, best], points.value[0, best]
    goals, rows = target.repeat_interleave(COPIES), image.expand(count * COPIES)

    def ahead(x: Tensor) -> Tensor:
        return case.ahead(case.answer(x, rows[: len(x)]), rows[: len(x)], goals[: len(x)])

    picked = look(ahead, x[:1]).pick("all", hinges=True)
    top, top_value, waited, rounds = x, value, torch.zeros_like(target), 0
    tabu: Tensor | None = None
    numbers = torch.arange(count, device=x.device)
    scale = case.around(rows).bind(case.clean[rows]).scale
    while picked and lanes.left(image) > len(rows) * (3 + FEWEST * 2):
        random = lanes.random(image, len(rows))
        low, high = map(math.log, NOISE)
        noise = torch.exp(low + (high - low) * random.uniform((), "noise", dtype=x.dtype))
        start = x.repeat_interleave(COPIES, 0)
        gains = Gains.at(ahead, picked, start, random, column(noise, x) * scale, COPIES)
        lanes.best.forwards[image] += 2 * len(rows)
        lanes.best.backwards[image] += len(rows)
        if tabu is None:
            tabu = torch.zeros(count, gains.gain.shape[1], dtype=torch.int64, device=x.device)
        chosen = gains.chosen(random, (tabu <= rounds).repeat_interleave(COPIES, 0))
        gates = FlippedGates(picked=picked, held=gains.held(chosen))
        solver = Solver(gates=gates, step=Steepest(length=LENGTH, schedule="power"))
        found = lanes.run(image, start[None], lambda part: Towards(case, rows[part], goals[part]), solver, STEPS)
        if found is None or lanes.best.reached[image].all():
            return
        rounds += 1
        value, pick = found[1].view(count, COPIES).max(1)
        pick += COPIES * numbers
        x = found[0][0, pick]
        tabu = torch.where(chosen[pick], rounds + TENURE, tabu)
        gained = value > top_value
        top, top_value = torch.where(column(gained, x), x, top), torch.maximum(top_value, value)
        waited = torch.where(gained, 0, waited + 1)
        x = torch.where(column(waited >= PATIENCE, x), top, x)
        waited = torch.where(waited >= PATIENCE, 0, waited)


@dataclass(frozen=True, eq=False)
class Gains:
    """What each neuron's other side may bring at some points.

    Attributes:
        gain: (N, F) hinges numbered through all layers.
        on: (N, F) whether they are on.
        shapes: of each layer's hinges, without the rows.
    """

    gain: Tensor
    on: Tensor
    shapes: list[torch.Size]

    @staticmethod
    def at(
        value: Callable[[Tensor], Tensor], picked: Picked, x: Tensor, random: RowRandom, noise: Tensor, copies: int
    ) -> Gains:
        """Two forward passes and one backward pass of each row.

        Args:
            value: what is to grow.
            x: (N, ...) each point `copies` times.
            noise: (N, ...) how far each input moves by.
        """
        nu: list[Tensor] = []
        heights: list[Tensor] = []

        def straight(call: Call) -> Any:
            phi, h = call.hinges, call.saved()
            over = torch.stack([h - at for at in phi.breaks], 1)
            layer = len(heights)
            heights.append(over.detach())
            if len(nu) <= layer:
                nu.append((over > 0).to(h).requires_grad_(True))
            return call.answer(phi.gated(h, list(nu[layer].unbind(1))))

        with torch.enable_grad(), Gates(straight, picked):
            found = value(x.clone())
        slopes = torch.autograd.grad(found.sum(), nu)
        first, heights = heights, []
        moved = x + random.normal(tuple(x.shape[1:]), "reach", dtype=x.dtype) * noise
        with torch.no_grad(), Gates(straight, picked):  # the gates stay as they were: the piece's linear map
            value(moved)
        gains = []
        for h, further, slope in zip(first, heights, slopes, strict=True):
            square = (further - h).square().view(-1, copies, *h.shape[1:]).mean(1).repeat_interleave(copies, 0)
            spread = square.clamp_min(1e-24).sqrt()
            u = h.abs() / spread
            mean = spread * (torch.exp(-u * u / 2) / math.sqrt(2 * math.pi) - u * torch.special.ndtr(-u))
            # d value / d nu is h times what the output gains by the neuron's own growth
            own = slope / torch.where(h == 0, 1, h)
            gains.append((torch.where(h > 0, -own, own).clamp_min(0) * mean.clamp_min(0)).flatten(1))
        on = torch.cat([(h > 0).flatten(1) for h in first], 1)
        return Gains(torch.cat(gains, 1), on, [h.shape[1:] for h in first])

    def chosen(self, random: RowRandom, allowed: Tensor) -> Tensor:
        """(N, F) which to flip: each row its own number of them, drawn in proportion to their gains."""
        gain = torch.where(allowed, self.gain, 0)
        most = min(FLIPS, gain.shape[1])
        number = torch.exp(random.uniform((1,), "number", dtype=gain.dtype) * math.log(most + 1)).long()
        lots = gain.log() - (-random.uniform(gain.shape[1:], "lots", dtype=gain.dtype).clamp_min(1e-9).log()).log()
        order = lots.topk(most, 1).indices
        taken = torch.arange(most, device=gain.device) < number
        return torch.zeros_like(self.on).scatter(1, order, taken) & (gain > 0)

    def held(self, chosen: Tensor) -> tuple[Tensor, ...]:
        """Sides for `FlippedGates`: the other one of those that are chosen."""
        sides = torch.where(chosen, (~self.on).to(torch.int8), -1)
        parts = torch.split(sides, [shape.numel() for shape in self.shapes], 1)
        return tuple(part.reshape(-1, *shape) for part, shape in zip(parts, self.shapes, strict=True))
