"""A pytest fixture that runs an objective with an optimizer of yours, so that a test can say what must hold.

Installing gdbench is enough: pytest finds the plugin by its entry point. Nothing is imported before it is used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from gdbench.config.spec import Question

__all__ = ["Bench", "Descent"]

COMMON = ("steps", "seed", "dtype", "device", "target", "target_loss", "start_noise", "threads", "impl")
"""Settings of a run that are no hyper-parameters of the optimizer."""


@dataclass(frozen=True)
class Descent:
    """What came of a run; ``row`` holds all exact columns of ``python -m gdbench list columns``."""

    row: dict[str, Any]

    @property
    def status(self) -> str:
        """target, budget, plateau, diverged, nonfinite, unavailable or failed."""
        return str(self.row["status"])

    @property
    def gap(self) -> float | None:
        """The final relative gap; None where the minimum is not known."""
        gap: float | None = self.row["final_gap"]
        return gap

    @property
    def loss(self) -> float:
        """The final loss."""
        return float(self.row["final_loss"])

    @property
    def gradients(self) -> int:
        """How many gradients were evaluated."""
        return int(self.row["gradient_evals"])

    def steps_to(self, gap: float | None = None) -> float:
        """Steps to a relative gap of 1e-1 ... 1e-12, or to the run's own target; inf where it was never reached."""
        name = "steps_to_target" if gap is None else f"hit_{gap:.0e}"
        if name not in self.row:
            raise ValueError(f"steps_to({gap}) must be one of 1e-1, 1e-2 ... 1e-12, or nothing for the target.")
        steps = self.row[name]
        return float("inf") if steps is None else steps


class Bench:
    """``gdbench(objective, optimizer, lr=0.1, steps=100, ...) -> Descent``, and ``gdbench.no_slower(series)``."""

    def __call__(self, objective: str, optimizer: str | Callable[..., Any], **settings: Any) -> Descent:
        """Run an objective by name with an optimizer: a name, a class of torch.optim's kind, or a factory of Methods.

        Settings are those of a run (steps, seed, dtype ...); all others are arguments of the optimizer, and
        ``**{"objective.n": 5}`` one of the objective's. What the command line would refuse fails the test, in one line.
        """
        with _refusing():
            from gdbench.engine.build import build
            from gdbench.engine.runner import run_cell

            columns = run_cell(build(_question(objective, optimizer, settings))).columns
        return Descent({name: _plain(column[0]) for name, column in columns.items()})

    def no_slower(self, series: str, base: str | None = None, **options: Any) -> None:
        """Fail the test unless a series of the gate's suite is found to be no slower than the base, a git revision.

        Takes what ``python -m gdbench gate`` takes: ``config_dir``, ``suite``, ``allow_same``. Minutes rather than
        seconds where times are close; a verdict that stays open skips the test, and so does a series that is new. What
        could not be measured fails it, with the reason.
        """
        from gdbench.errors import UsageError
        from gdbench.gate.run import compare
        from gdbench.gate.sides import Asked
        from gdbench.report.terminal.gate_progress import progress

        folder = Path(options.pop("config_dir")) if options.get("config_dir") else None
        with _refusing():
            if options.get("time") == "off":
                raise UsageError("no_slower compares times: time=off leaves nothing of it. Allowed: gate, advise.")
            asked = Asked(base, only=(series,), config_dir=folder, **options)
            report = compare(asked, progress(quiet=True))
        times = [ruling for ruling in report.rulings if ruling.layer == "time"]
        slower = [
            f"{ruling.series} is {ruling.verdict} than {report.header['base']}: {ruling.cause}"
            for ruling in times
            if ruling.fails
        ]
        absent = [
            f"{ruling.series} is {ruling.verdict}: {ruling.cause}"
            for ruling in report.rulings
            if ruling.verdict in ("missing", "unmeasured")
        ]
        if slower or absent:
            pytest.fail("\n".join([*slower, *absent]))
        open_ = [ruling for ruling in times if ruling.verdict not in ("no slower", "faster")]
        if open_ or not times:
            told = [f"{ruling.verdict}: {ruling.cause}" for ruling in open_ or report.rulings]
            pytest.skip("; ".join(told))


@contextmanager
def _refusing() -> Iterator[None]:
    """Fail the test in one line where something cannot be carried out as it was asked for."""
    from gdbench.errors import Unavailable, UsageError

    try:
        yield
    except (UsageError, Unavailable) as refusal:
        raise pytest.fail.Exception(f"gdbench: {refusal}", pytrace=False) from None


@pytest.fixture(scope="session")
def gdbench() -> Iterator[Bench]:
    """Runs objectives with optimizers of your own: ``gdbench("rosenbrock", MyOptimizer, lr=1e-3, steps=2000)``."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as in every run of ours: exact numbers depend on it
    yield Bench()
    torch.set_num_threads(threads)


def _question(objective: str, optimizer: str | Callable[..., Any], settings: dict[str, Any]) -> Question:
    from gdbench.config.compose import Composer, composing, plain
    from gdbench.config.overrides import format_override
    from gdbench.config.spec import Question

    asked = {"device": "cpu", **{name: each for name, each in settings.items() if name in COMMON or "." in name}}
    hyper = {name: each for name, each in settings.items() if name not in asked}
    named = optimizer if isinstance(optimizer, str) else "gd"
    asked["lr"] = hyper.pop("lr", None)
    if isinstance(optimizer, str):
        asked |= {f"optimizer.{name}": each for name, each in hyper.items()}
    words = [format_override(name, value) for name, value in asked.items()]
    groups = [format_override("objective", objective), format_override("optimizer", named)]
    with composing():
        composed = Composer()([*groups, "timing=off", *words])
        question = Question.parse(plain(composed.config), composed.choices)
    return question if isinstance(optimizer, str) else _with(question, optimizer, hyper, asked)


def _with(question: Question, optimizer: Callable[..., Any], hyper: dict[str, Any], asked: dict[str, Any]) -> Question:
    """The question with an optimizer that is given as an object."""
    from dataclasses import replace

    from torch.optim import Optimizer

    from gdbench.config.axis import Axis
    from gdbench.config.spec import resolve_impl
    from gdbench.errors import UsageError

    if asked["lr"] is None:
        raise UsageError("an optimizer that is given as an object has no default lr: give lr, as in lr=0.1.")
    is_torch = isinstance(optimizer, type) and issubclass(optimizer, Optimizer)
    floats = {name: each for name, each in hyper.items() if isinstance(each, float)}
    fixed = {name: each for name, each in hyper.items() if name not in floats}
    axes = [axis for axis in question.axes if not axis.name.startswith("optimizer.")]
    axes += [Axis.parse(f"optimizer.{name}", each) for name, each in floats.items()]
    config = {"torch" if is_torch else "manual": {"_target_": optimizer}, **fixed}
    return replace(
        question,
        optimizer=getattr(optimizer, "__name__", "optimizer"),
        optimizer_config=config,
        axes=tuple(axes),
        impl=resolve_impl(asked.get("impl", "auto"), config),
    )


def _plain(value: Any) -> Any:
    """A value of a column as Python has it; None where it is null."""
    import numpy as np

    if value is None or value is np.ma.masked:
        return None
    return value.item() if isinstance(value, np.generic) else value
