"""The pytest fixture ``gdbench``, which runs an objective with an optimizer of yours, for assertions on the result.

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
    from gdbench.config.spec import CellSpec

__all__ = ["BenchmarkFixture", "RunResult"]

RUN_SETTINGS = (
    "steps",
    "seed",
    "dtype",
    "device",
    "target",
    "target_loss",
    "target_metric",
    "judge_every",
    "exact",
    "start_noise",
    "threads",
    "impl",
)
"""Settings of a run; all others are hyper-parameters of the optimizer."""


@dataclass(frozen=True)
class RunResult:
    """Result of a run; ``row`` holds all exact columns of ``python -m gdbench list columns``."""

    row: dict[str, Any]

    @property
    def status(self) -> str:
        """target, budget, plateau, diverged, nonfinite, unavailable or failed."""
        return str(self.row["status"])

    @property
    def gap(self) -> float | None:
        """The final relative gap; None if the minimum is not known."""
        gap: float | None = self.row["final_gap"]
        return gap

    @property
    def loss(self) -> float:
        """The final loss."""
        return float(self.row["final_loss"])

    @property
    def gradients(self) -> int:
        """Number of gradient evaluations."""
        return int(self.row["gradient_evals"])

    def steps_to(self, gap: float | None = None) -> float:
        """Steps to a relative gap of 1e-1 ... 1e-12, or to the run's own target; inf if it was never reached."""
        name = "steps_to_target" if gap is None else f"hit_{gap:.0e}"
        if name not in self.row:
            raise ValueError(f"steps_to({gap}) must be one of 1e-1, 1e-2 ... 1e-12, or nothing for the target.")
        steps = self.row[name]
        return float("inf") if steps is None else steps


class BenchmarkFixture:
    """``gdbench(objective, optimizer, lr=0.1, steps=100, ...) -> RunResult``, and ``gdbench.no_slower(series)``."""

    def __call__(self, objective: str, optimizer: str | Callable[..., Any], **settings: Any) -> RunResult:
        """Run an objective by name with an optimizer: a name, a class of torch.optim's kind, or a factory of Methods.

        Settings are those of a run (steps, seed, dtype ...); all others are arguments of the optimizer, and
        ``**{"objective.n": 5}`` one of the objective's. What the command line would reject fails the test, in one line.
        """
        with _fail_on_usage_error():
            from gdbench.engine.build import build_cell
            from gdbench.engine.runner import run_cell

            columns = run_cell(build_cell(_make_cell_spec(objective, optimizer, settings))).columns
        return RunResult({name: _convert(column[0]) for name, column in columns.items()})

    def no_slower(self, series: str, base: str | None = None, **options: Any) -> None:
        """Fail the test unless a series of the gate's suite is no slower than the base, a git revision.

        Takes options of ``python -m gdbench gate``: ``config_dir``, ``suite``, ``allow_same``. Takes minutes if times
        are close. An undecided verdict and a new series skip the test; what was not measured fails it, with the reason.
        """
        from gdbench.errors import UsageError
        from gdbench.gate.request import GateRequest
        from gdbench.gate.run import run_gate
        from gdbench.report.terminal.gate_progress import choose_gate_progress

        folder = Path(options.pop("config_dir")) if options.get("config_dir") else None
        with _fail_on_usage_error():
            if options.get("time") == "off":
                raise UsageError("no_slower compares times: time=off leaves nothing of it. Allowed: gate, advise.")
            request = GateRequest(base, only=(series,), config_dir=folder, **options)
            report = run_gate(request, choose_gate_progress(is_quiet=True))
        times = [verdict for verdict in report.verdicts if verdict.layer == "time"]
        slower = [
            f"{verdict.series} is {verdict.verdict} than {report.header['base']}: {verdict.cause}"
            for verdict in times
            if verdict.fails
        ]
        absent = [
            f"{verdict.series} is {verdict.verdict}: {verdict.cause}"
            for verdict in report.verdicts
            if verdict.verdict in ("missing", "unmeasured")
        ]
        if slower or absent:
            pytest.fail("\n".join([*slower, *absent]))
        open_ = [verdict for verdict in times if verdict.verdict not in ("no slower", "faster")]
        if open_ or not times:
            pytest.skip("; ".join(f"{verdict.verdict}: {verdict.cause}" for verdict in open_ or report.verdicts))


@contextmanager
def _fail_on_usage_error() -> Iterator[None]:
    """Fail the test in one line on a usage error, or if something is not available here."""
    from gdbench.errors import Unavailable, UsageError

    try:
        yield
    except (UsageError, Unavailable) as error:
        raise pytest.fail.Exception(f"gdbench: {error}", pytrace=False) from None


@pytest.fixture(scope="session")
def gdbench() -> Iterator[BenchmarkFixture]:
    """Run objectives with optimizers of your own: ``gdbench("rosenbrock", MyOptimizer, lr=1e-3, steps=2000)``."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as in every run of gdbench: exact numbers depend on it
    yield BenchmarkFixture()
    torch.set_num_threads(threads)


def _make_cell_spec(objective: str, optimizer: str | Callable[..., Any], settings: dict[str, Any]) -> CellSpec:
    from gdbench.config.compose import Composer, prepare_hydra, to_plain
    from gdbench.config.overrides import format_override
    from gdbench.config.spec import CellSpec

    of_run = {name: value for name, value in settings.items() if name in RUN_SETTINGS or "." in name}
    stated = {"device": "cpu", **of_run}
    hyper = {name: value for name, value in settings.items() if name not in stated}
    named = optimizer if isinstance(optimizer, str) else "gd"
    stated["lr"] = hyper.pop("lr", None)
    if isinstance(optimizer, str):
        stated |= {f"optimizer.{name}": value for name, value in hyper.items()}
    overrides = [format_override(name, value) for name, value in stated.items()]
    groups = [format_override("objective", objective), format_override("optimizer", named)]
    with prepare_hydra():
        composed = Composer()([*groups, "timing=off", *overrides])
        cell_spec = CellSpec.parse(to_plain(composed.config), composed.choices)
    return cell_spec if isinstance(optimizer, str) else _replace_optimizer(cell_spec, optimizer, hyper, stated)


def _replace_optimizer(
    cell_spec: CellSpec, optimizer: Callable[..., Any], hyper: dict[str, Any], stated: dict[str, Any]
) -> CellSpec:
    """The specification with an optimizer that is given as an object."""
    from dataclasses import replace

    from torch.optim import Optimizer

    from gdbench.config.axis import Axis
    from gdbench.config.spec import resolve_impl
    from gdbench.errors import UsageError

    if stated["lr"] is None:
        raise UsageError("an optimizer that is given as an object has no default lr: give lr, as in lr=0.1.")
    is_torch = isinstance(optimizer, type) and issubclass(optimizer, Optimizer)
    floats = {name: value for name, value in hyper.items() if isinstance(value, float)}
    fixed = {name: value for name, value in hyper.items() if name not in floats}
    axes = [axis for axis in cell_spec.axes if not axis.name.startswith("optimizer.")]
    axes += [Axis(f"optimizer.{name}", value) for name, value in floats.items()]
    config = {"torch" if is_torch else "manual": {"_target_": optimizer}, **fixed}
    return replace(
        cell_spec,
        optimizer=getattr(optimizer, "__name__", "optimizer"),
        optimizer_config=config,
        axes=tuple(axes),
        impl=resolve_impl(stated.get("impl", "auto"), config),
    )


def _convert(value: Any) -> Any:
    """A cell of a column as a Python value; None if it is null."""
    import numpy as np

    if value is None or value is np.ma.masked:
        return None
    return value.item() if isinstance(value, np.generic) else value
