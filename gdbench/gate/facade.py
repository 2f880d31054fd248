"""Frozen facade, the only part of a side's gdbench that the gate calls: compose, parse, build, run, descend.

The gate that compares is the head's; the gdbench behind this facade is each side's own. So these names, their arguments
and their results are frozen: a base of an older layout can be compared with a newer head, whatever is moved or renamed
behind the facade. A change that breaks this increments ``VERSION``; a base of another version is not measured.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from gdbench.config.compose import Composer, lock_hydra, to_plain
from gdbench.config.hydra_plugins import register_configs
from gdbench.config.spec import CellSpec
from gdbench.engine.build import build_cell
from gdbench.engine.cell import Cell
from gdbench.engine.descent import descent
from gdbench.engine.randomness_check import find_draws
from gdbench.engine.runner import run_cell
from gdbench.optimizers.base import Method, StepInfo

__all__ = ["VERSION", "Built", "Solo", "build", "compose", "descend", "parse", "run"]

VERSION = 1
COLUMNS = {
    **{name: name for name in ("status", "steps_to_target", "steps_to_settle", "best_step", "error")},
    **{name: name for name in (f"hit_1e-{power:02d}" for power in range(1, 13))},
    **{name: name for name in ("start_loss", "final_loss")},
    "gradients_to_target": "gradient_evals_to_target",
    "evaluations_to_target": "function_evals_to_target",
    "gradients": "gradient_evals",
    "evaluations": "function_evals",
    "event_step": "status_step",
    "resolved": "implementation",
}
"""The columns of ``run``: the frozen name that the gate knows, and the table's column that it stands for."""

Request = tuple[Sequence[str], Sequence[str]]
"""Overrides that several requests share, and those of this one."""


@dataclass(frozen=True)
class Solo:
    """A single run, advanced step by step."""

    method: Any
    oracle: Any
    start: Callable[[], Any]
    """A fresh x_0."""
    steps: int

    @property
    def constant_cost(self) -> bool:
        """Whether every step does the same work."""
        return bool(self.method.constant_cost)

    def copy(self, x: Any, *state: Any) -> tuple[Any, Any]:
        """A copy of a point and its state; without a state, of the initial one."""
        method: Method = self.method
        return method.copy(x, *(state or (method.init(x),)))

    def with_extra_work(self, work: Callable[[], None]) -> Solo:
        """The same run with a call of ``work`` after every step."""
        step = self.method.step

        def step_and_work(oracle: Any, k: Any, x: Any, state: Any) -> Any:
            result = step(oracle, k, x, state)
            work()
            return result

        return replace(self, method=replace(self.method, step=step_and_work))


@dataclass(frozen=True)
class Built:
    """A cell that can be run."""

    cell: Any
    threads: int
    compiled: bool
    dtype: str

    def solo(self) -> Solo:
        """The cell's first run."""
        return _solo(self.cell, self.cell.make_method(self.cell.solo_hyper(0)))

    def seeded_solo(self) -> Solo:
        """The same; random draws of its steps depend on (seed, step) alone, so that their bits are reproducible."""
        cell = find_draws(self.cell)[0]
        return _solo(cell, cell.solo_method(0))


def _solo(cell: Cell, method: Method) -> Solo:
    seed = int(cell.seeds[0])
    return Solo(method, cell.oracle(False), lambda: cell.start(seed), cell.steps)


def compose(requests: Iterable[Request]) -> Iterator[dict[str, Any] | Exception]:
    """The configuration of each request as plain containers, ``config`` and ``choices``; or its error.

    No other composition is possible in this process until the last one is taken.
    """
    register_configs()
    with lock_hydra():
        composers: dict[tuple[str, ...], Composer] = {}
        for fixed, words in requests:
            try:
                composer = composers.get(tuple(fixed)) or Composer(list(fixed))
                composers[tuple(fixed)] = composer
                composed = composer(words)
                yield {"config": to_plain(composed.config), "choices": dict(composed.choices)}
            except Exception as error:
                yield error


def parse(composed: Mapping[str, Any]) -> Any:
    """The validated specification of a composed configuration."""
    return CellSpec.parse(composed["config"], composed["choices"])


def build(parsed: Any) -> Built:
    """Build the cell of a specification, and set torch's number of threads to its own."""
    torch.set_num_threads(parsed.threads)
    cell = build_cell(parsed)
    return Built(cell, parsed.threads, cell.make_method.is_compiled, str(cell.dtype).removeprefix("torch."))


def run(built: Built) -> dict[str, Any]:
    """The columns of a cell's first run."""
    columns = run_cell(built.cell).columns
    return {name: columns[column][0] for name, column in COLUMNS.items() if column in columns}


def descend(
    solo: Solo, x: Any, steps: range, *state: Any, look: Callable[[Any, float], None] | None = None
) -> tuple[Any, Any]:
    """Advance a run by ``steps`` from x, and from a state if given; returns the point and the state.

    ``look`` is called with every point x_k at which the run is evaluated, and its loss.
    """
    if look is None:
        return descent(solo.method, solo.oracle, x, steps, *state)

    def call_look(_: int, at: Any, saw: StepInfo) -> None:
        look(at, float(saw.loss.detach()))

    go_on = {"state": state[0]} if state else {}
    return descent(solo.method, solo.oracle, x, steps, look=call_look, **go_on)
