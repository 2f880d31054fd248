"""What a convergence pass starts from, and what its steps are shown to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gdbench.engine.cell import Cell
from gdbench.engine.descent import Look
from gdbench.engine.observer import Observer
from gdbench.engine.trace_recorder import TraceRecorder
from gdbench.optimizers.base import Method, Oracle, StepInfo, compute_output_info
from gdbench.tree import Params

__all__ = ["Ended", "PassInputs", "StepCallback"]

StepCallback = Callable[[int], None]
"""Called with the number of steps before each call of the method; raises to end the pass."""
Ended = tuple[Params, tuple[Params, Any], Observer]
"""The last judged point, the method's own x and state there, and what was observed before it."""


@dataclass(frozen=True)
class PassInputs:
    """What the runs of a pass start from and what records them, whichever way their steps are made."""

    cell: Cell
    oracle: Oracle
    start: Params
    make_observer: Callable[..., Observer]
    """``make_observer(counts_work)``: ``counts_work`` says whether gradients and evaluations are counted; if not, each
    step is one gradient."""
    trace: TraceRecorder
    before_steps: StepCallback

    def make_look(self, method: Method, judge: Oracle, observer: Observer) -> Look:
        """What ``descent`` calls after each step: it observes the point and records its trace."""
        interval = self.cell.judge_every

        def look(k: int, x: Params, seen: StepInfo) -> None:
            self.before_steps(1)
            if k % interval:
                self.trace.mark(k, x)
                if not method.constant_cost:
                    observer.add_work(seen)
                return
            seen = compute_output_info(method, judge, k, x, seen)
            observer.observe(k // interval, x, seen)
            self.trace.record(k, observer, x, seen.loss, seen.grad)

        return look
