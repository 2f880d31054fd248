"""The runs of a watched pass: what is seen of them all, and lanes that stopped being finite leave it.

In lanes looking costs as much as the steps themselves. In most steps no lane reaches a target and none stops being
finite, so a ``Crowd`` asks whether any has, and deals with those alone.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor
from torch.utils._pytree import tree_map_only

from gdbench.engine.compile.state_structure import assemble, describe_form, list_tensors
from gdbench.engine.observer import Told, Watched, begin, finite, judged, told, update, watching
from gdbench.optimizers.base import StepInfo
from gdbench.tree import Params, put_lanes_last

__all__ = ["LEAST", "Crowd", "Onlooker", "Watcher", "staying"]

LEAST = 1024
"""Fewer lanes cost what their operations cost to dispatch, however many of them are left."""
EXACT = 2**24
"""Whole numbers up to here are exact in float32."""
WORTH = 0.75
"""Lanes leave when at most this share of them is left: to lay the others out anew costs about a step."""


class Onlooker(Protocol):
    """What has been seen of the runs of a pass."""

    @property
    def start(self) -> Tensor:
        """The loss of every run at x_0, as it is judged."""
        ...

    def look(self, k: int, x: Params, seen: StepInfo) -> None:
        """Look at x_k of all that go on (see ``engine.observer.update``)."""
        ...

    def told(self, steps: int) -> Told[Tensor]:
        """The whole story of all runs, after x_steps has been looked at."""
        ...

    def spread(self, values: Any) -> Any:
        """Numbers of the runs that go on as numbers of all, NaN (or 0, of whole numbers) for those that left."""
        ...


class Watcher:
    """The watch of a run alone, or of compiled lanes: nobody leaves."""

    def __init__(self, thresholds: Tensor, start: Tensor, maximize: bool, laned: bool, counts: bool) -> None:
        """See ``watching``."""
        self.start = start
        self.watch = watching(thresholds, start, maximize, laned=laned, counts=counts)
        self.seen = begin(self.watch)

    def look(self, k: int, x: Params, seen: StepInfo) -> None:
        """Look at x_k."""
        self.seen = update(self.watch, k, x, seen, self.seen)

    def told(self, steps: int) -> Told[Tensor]:
        """The whole story, after x_steps has been looked at."""
        return told(self.watch, steps, self.seen)

    def spread(self, values: Any) -> Any:
        """All are here."""
        return values


class _Best(NamedTuple):
    """What every lane that is here has come to; changed in place. Steps are floating-point, see ``Crowd.look``."""

    loss: Tensor
    step: Tensor
    level: Tensor
    """The latest step whose loss was not above the start's."""
    above_target: Tensor
    """The latest step whose loss was above the run's own target."""
    gradients: Tensor
    evaluations: Tensor
    gradient_evals_to_target: Tensor
    function_evals_to_target: Tensor


class _Hits(NamedTuple):
    """Some lanes, by their first number, that came below a target at a step: how many lie at or above them now."""

    lanes: Tensor
    step: int
    below: Tensor
    now: Tensor


class Crowd:
    """What has been seen of all lanes of a pass, while some of these leave."""

    def __init__(self, thresholds: Tensor, start: Tensor, maximize: bool, counts: bool, steps: int = 0) -> None:
        """``thresholds`` ``[T, L]``, or ``[T, 1]`` where the lanes share them; the last is the runs' own target.

        ``steps`` is the most that are looked at: only more than ``EXACT`` need be told.
        """
        self.start, self.watch = start, watching(thresholds, start, maximize, laned=True, counts=counts)
        ordered = thresholds.sort(dim=0, descending=True)
        self.rank = ordered.indices
        self.rungs = torch.cat([ordered.values, torch.full_like(thresholds[:1], -torch.inf)])
        """The targets from the highest, and below them one that nobody reaches."""
        self.own, self.risen_above = thresholds[-1], start
        self.next = self.rungs[0].expand_as(start).clone()
        self.below = torch.zeros_like(start, dtype=torch.int64)
        self.hits: list[_Hits] = []
        marks = torch.zeros_like(start, dtype=start.dtype if steps < EXACT else torch.float64)
        self.now, self.flags = marks.new_zeros([]), torch.empty_like(marks)
        """Room for a comparison of every lane: 1.0 where it holds, else 0.0."""
        self.here = _Best(
            torch.full_like(start, torch.inf), marks, marks - 1, marks - 1, *(self._zeros() for _ in range(4))
        )
        self.whole = self.here
        self.alive = torch.ones_like(start, dtype=torch.bool)
        self.all_alive = True
        self.latest = start
        """The latest loss of those that are here."""
        self.ended, self.last = self._zeros() - 1, start.clone()
        """Of the lanes that are no longer finite, the step when, and the loss then; -1 of the others."""
        self.rows: Tensor | None = None
        """Which lanes go on; None while all do."""

    def _zeros(self) -> Tensor:
        return torch.zeros_like(self.start, dtype=torch.int32)

    def look(self, k: int, x: Params, seen: StepInfo) -> None:
        """Look at x_k of all that go on (see ``engine.observer.update``).

        Comparisons to numbers, and ``lerp_`` with these as weights, which puts k where they are 1, are vectorised by
        torch. Comparisons to bools are not, and writing through a mask of these costs up to ten times as much.
        """
        self.latest = loss = judged(seen.loss, self.start.dtype, self.watch.maximize)
        self._end(k, loss, finite(loss, x, seen.grad, laned=True))
        usable = loss if self.all_alive else torch.where(self.alive, loss, torch.inf)
        best = self.here.loss
        now = self.now.fill_(k)
        self.here.step.lerp_(now, torch.lt(usable, best, out=self.flags))
        torch.minimum(best, usable, out=best)
        self.here.level.lerp_(now, torch.le(loss, self.risen_above, out=self.flags))
        self.here.above_target.lerp_(now, torch.gt(loss, self.own, out=self.flags))
        if self.watch.counts:
            self._count(seen)
        self._hit(k)

    def _end(self, k: int, loss: Tensor, sound: Tensor) -> None:
        """Take down the lanes that stop being finite at this step."""
        if bool(sound.all()):
            return
        ended = (self.alive & ~sound).nonzero()[:, 0]
        self.alive[ended] = False
        self.all_alive = False
        lanes = self._numbers(ended)
        self.ended[lanes], self.last[lanes] = k, loss[ended]

    def _hit(self, k: int) -> None:
        """Take down the lanes that come to or below a target at this step, and how many targets lie behind them."""
        lanes = (self.here.loss <= self.next).nonzero()[:, 0]
        if not len(lanes):
            return
        rungs = self.rungs if self.rungs.shape[1] == 1 else self.rungs[:, lanes]
        now = (rungs >= self.here.loss[lanes]).sum(0)
        self.hits.append(_Hits(self._numbers(lanes), k, self.below[lanes], now))
        self.below[lanes] = now
        self.next[lanes] = rungs.expand(-1, len(lanes)).gather(0, now[None])[0]

    def _count(self, seen: StepInfo) -> None:
        """The work of a step, in all and on the way to the target."""
        searching = self.alive & (self.here.loss > self.own)
        self.here.gradients.add_(seen.gradients * self.alive)
        self.here.evaluations.add_(seen.evaluations * self.alive)
        self.here.gradient_evals_to_target.add_(seen.gradients * searching)
        self.here.function_evals_to_target.add_(seen.evaluations * searching)

    def _numbers(self, lanes: Tensor) -> Tensor:
        """The first numbers of lanes that are here."""
        return lanes if self.rows is None else self.rows[lanes]

    def leavers(self) -> Tensor | None:
        """The lanes that go on, if enough of the others can leave; one stays in any case."""
        lanes = len(self.alive)
        if lanes < LEAST or self.all_alive or int(self.alive.sum()) > WORTH * lanes:
            return None
        stay = self.alive.nonzero()[:, 0]
        return stay if len(stay) else stay.new_zeros(1)

    def leave(self, stay: Tensor) -> Tensor:
        """Let all lanes but ``stay`` go; what becomes of those is known. Returns which of the first lanes are left."""
        self._put()
        self.rows = self._numbers(stay)
        if self.rungs.shape[1] > 1:
            self.rungs, self.own = self.rungs[:, stay], self.own[stay]
        self.risen_above, self.next, self.below = self.risen_above[stay], self.next[stay], self.below[stay]
        self.alive, self.flags = self.alive[stay], self.flags[stay]
        self.all_alive = bool(self.alive.all())
        self.here = _Best(*(each[stay] for each in self.here))
        return self.rows

    def _put(self) -> None:
        """Keep what is known of those that still are here."""
        if self.rows is not None:
            for kept, new in zip(self.whole, self.here, strict=True):
                kept[self.rows] = new

    def told(self, steps: int) -> Told[Tensor]:
        """The whole story of all lanes, after x_steps has been looked at."""
        self._put()
        alive, (loss, *marks, gradients, evaluations, gradients_to, evaluations_to) = self.ended < 0, self.whole
        step, level, above_target = (latest.to(torch.int32) for latest in marks)
        seen = Watched(
            best=loss,
            best_step=step,
            last=torch.where(alive, self.spread(self.latest), self.last),
            lived=torch.where(alive, steps + 1, self.ended),
            level=level,
            above_target=above_target,
            missed=self._missed(steps),
            gradients=gradients,
            evaluations=evaluations,
            gradient_evals_to_target=gradients_to,
            function_evals_to_target=evaluations_to,
        )
        return told(self.watch, steps, seen)

    def _missed(self, steps: int) -> tuple[Tensor, ...]:
        """``T`` of ``[L]``: the first step at which each target was hit; where it never was, one more than the last."""
        missed = torch.full((len(self.rank), len(self.start)), steps + 1, dtype=torch.int32, device=self.start.device)
        for hits in self.hits:
            for rung in range(int(hits.below.min()), int(hits.now.max())):
                reached = (hits.below <= rung) & (rung < hits.now)
                missed[rung, hits.lanes[reached]] = hits.step
        return torch.empty_like(missed).scatter_(0, self.rank.expand_as(missed), missed).unbind()

    def spread(self, values: Any) -> Any:
        """Numbers of the lanes that are here as numbers of all, NaN (or 0, of whole numbers) for those that left."""
        if self.rows is None:
            return values
        return tree_map_only(Tensor, self._spread, values)

    def _spread(self, leaf: Tensor) -> Tensor:
        lanes, fill = len(self.start), torch.nan if leaf.is_floating_point() else 0
        whole = torch.full((lanes, *leaf.shape[1:]), fill, dtype=leaf.dtype, device=leaf.device)
        whole[self.rows] = leaf
        return whole


def staying(tree: Any, lanes: int, stay: Tensor) -> Any:
    """An x, or a method's state, of some of the lanes; what has no axis of lanes stays as it is."""

    def pick(leaf: Tensor) -> Tensor:
        return put_lanes_last(leaf.detach()[stay]) if leaf.shape[:1] == (lanes,) else leaf

    return assemble(describe_form(tree), [pick(tensor) for tensor in list_tensors(tree)])
