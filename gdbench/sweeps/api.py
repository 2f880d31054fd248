"""The command line's sweeps from Python, for notebooks and tests; torch is loaded when one of them is called."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gdbench.config.class_options import find_class_name
from gdbench.config.compose import Composer, prepare_hydra
from gdbench.config.config_folders import find_config_dir
from gdbench.config.overrides import format_value, quote_text
from gdbench.config.schema import GROUPS
from gdbench.config.unknown_keys import describe_object
from gdbench.engine.gc_pause import pause_gc
from gdbench.errors import UsageError
from gdbench.sweeps.job import Job
from gdbench.sweeps.planner import plan, write_declared_axes
from gdbench.sweeps.progress import Silent
from gdbench.sweeps.python_objective import PythonObjective, make_objective
from gdbench.sweeps.search_space import split_spans
from gdbench.sweeps.sweep_spec import SweepSpec, list_code_override, parse_spec

if TYPE_CHECKING:
    import pandas as pd

    from gdbench.objectives.base import Objective
    from gdbench.objectives.training import Training
    from gdbench.sweeps.python_objective import Function, Start
    from gdbench.sweeps.tuning import Tuning

__all__ = ["make_tuning", "run", "sweep", "tune"]

TEXTS = ("outputs", "name", "resume")
"""Settings that are text, whatever stands in it; all others are read as on the command line."""
NATIVE = (bool, int, float, str, Mapping, type(None))
RESUMED = {"name", "resume"}
"""Settings by which a sweep continues an earlier one."""


def sweep(
    objective: str | Sequence[str] | Objective | Training | Function | None = None,
    *,
    x0: Start | None = None,
    config_dir: str | Path | None = None,
    trust: bool = False,
    **axes: Any,
) -> pd.DataFrame:
    """Run every combination of what is given and return the table of runs, typed as COLUMNS promises.

    ``gdbench.sweep("rosenbrock", optimizer=["gd", "adam"], impl=["manual", "torch"], lr=[1e-4, 1e-3])`` is
    ``python -m gdbench objective=rosenbrock optimizer=gd,adam impl=manual,torch lr=1e-4,1e-3``: a list is an axis.
    Numbers of a group are given as ``**{"optimizer.beta1": 0.8}``. ``objective`` may be a function of one's own,
    written for one point, with ``x0``, its start (a number, a list, an array, a tensor, a dict of these, or a function
    of the seed); an ``Objective``, which can state the minimum too; or a ``Training``, a module with its data.
    ``dtype=auto`` of a function is the widest floating dtype of the tensors and arrays in ``x0``, float32 where it has
    none.
    ``df.attrs["folder"]`` is the sweep's folder; ``gdbench.load(folder, "traces")`` reads its traces.
    ``df.attrs["columns"]`` says what each column means.
    ``resume=folder`` alone continues the sweep in that folder; where somebody else made it, ``trust=True`` lets it run
    what it names and gdbench does not ship. Raises UsageError for what the command line would refuse.

    Several threads may call it at once, and each gets its own table. Cells run one at a time, as torch's globals and
    the clock belong to the process: for several cores use the command line and ``hydra/launcher=joblib``.
    """
    if objective is None and "resume" in axes and not set(axes) - {"resume", "retry"}:
        return _resume(axes, config_dir, trust)
    python_objective = _read_objective(objective, x0, axes)
    return _run_sweep(_write_overrides(None if python_objective else objective, axes), config_dir, python_objective)


def run(objective: str | Objective | Training | Function | None = None, **settings: Any) -> pd.DataFrame:
    """Run one cell and return its table: ``gdbench.run(my_function, x0=my_start, optimizer="adam", lr=0.1)``.

    Takes what ``sweep`` takes; a list of numbers (``lr=[0.01, 0.1]``) makes several rows.
    """
    return sweep(objective, **settings)


def tune(
    objective: str | Sequence[str] | Objective | Training | Function | None = None,
    *,
    x0: Start | None = None,
    config_dir: str | Path | None = None,
    **axes: Any,
) -> pd.DataFrame:
    """Find the best of equally many lrs of each optimizer on each objective; one row for each, the best first.

    ``gdbench.tune("rosenbrock", optimizer=["gd", "adam"], steps=1000)`` is ``python -m gdbench tune
    objective=rosenbrock optimizer=gd,adam steps=1000``; numbers to tune are given as ``lr="tag(log,interval(1e-4,1))"``
    or ``**{"optimizer.momentum": "interval(0,0.99)"}``, ``metric`` says what is best, and ``trials`` how many points
    each row tries. Takes what ``sweep`` takes. The columns are those of a run, and
    ``gdbench.analysis.tuning_table.FOUND``; ``attrs["folder"]`` holds every run.
    Raises UsageError for what the command line would refuse.
    """
    python_objective = _read_objective(objective, x0, axes)
    words = _write_overrides(None if python_objective else objective, axes)
    search = make_tuning(words, config_dir, python_objective)
    search.run(Silent())
    winners = search.winners()
    winners.attrs["folder"] = str(search.sweep.folder)
    return winners


def make_tuning(
    words: Sequence[str], config_dir: str | Path | None = None, objective: PythonObjective | None = None
) -> Tuning:
    """A search over what overrides describe, checked and ready to run."""
    folder = find_config_dir(config_dir)

    def plan_cells(overrides: Sequence[str]) -> list[Job]:
        with prepare_hydra([folder] if folder else []):
            return plan(parse_spec(overrides, composer, objective=objective), composer)

    with _open_composer(folder) as composer:
        spans, others = split_spans([*_declared_axes(words, composer), *words, *list_code_override(folder)], composer)
        plan_cells([word for word in others if not word.startswith("hydra")])  # mistakes are told without torch
    with pause_gc():
        from gdbench.sweeps.tuning import Tuning

    return Tuning(SweepSpec(given=words, config_dir=folder, kind="tune"), spans, others, plan_cells)


def _run_sweep(
    words: Sequence[str], config_dir: str | Path | None, objective: PythonObjective | None = None
) -> pd.DataFrame:
    """The table of the sweep that overrides describe."""
    folder = find_config_dir(config_dir)
    with _open_composer(folder) as composer:
        declared = _declared_axes(words, composer)
        spec = parse_spec(words, composer, declared=declared, config_dir=folder, objective=objective)
        jobs = plan(spec, composer)
    with pause_gc():  # a mistake in the words is told without torch
        from gdbench.results.load import load
        from gdbench.sweeps.executor import execute

    result = execute(spec, jobs, Silent())
    assert result.folder is not None
    runs = load(result.folder)
    runs.attrs["folder"] = str(result.folder)
    return runs


def _resume(request: Mapping[str, Any], config_dir: str | Path | None, trust: bool) -> pd.DataFrame:
    """The table of the sweep in the folder ``resume``, continued by the command that it was made with."""
    from gdbench.sweeps.command_line import CommandLine
    from gdbench.sweeps.resume import read_command

    command = CommandLine.parse(read_command(request["resume"], config_dir is not None, trust))
    words = [*command.overrides, *_write_overrides(None, request)]
    return _run_sweep(words, command.args.config_dir or config_dir)


@contextmanager
def _open_composer(folder: Path | None) -> Iterator[Composer]:
    """A composer that knows the user's folder, while no other thread composes."""
    with prepare_hydra([folder] if folder else []):
        yield Composer(config_dir=folder)


def _declared_axes(words: Sequence[str], composer: Composer) -> list[str]:
    """The axes that an experiment sweeps of its own, as overrides."""
    chosen = [word for word in words if word.startswith("experiment=")]
    return write_declared_axes(composer(chosen[-1:]).axes) if chosen else []


def _read_objective(objective: Any, x0: Any, axes: Mapping[str, Any]) -> PythonObjective | None:
    """The objective that was given as a function or an object; None for one that is named."""
    stated = make_objective(objective, x0)
    if stated is None:
        return None
    return PythonObjective.make(stated, getattr(objective, "__name__", "objective"), bool(RESUMED & set(axes)))


# ------------------------------------------------------------------------------------- from Python values to overrides


def _write_overrides(objective: Any, axes: Mapping[str, Any]) -> list[str]:
    """Keyword arguments as overrides; ``UsageError`` for objects where a name is due, and for Hydra's own settings."""
    settings = axes if objective is None else {"objective": objective, **axes}
    for group in GROUPS:
        given = settings.get(group)
        for choice in given if isinstance(given, (list, tuple)) else [given]:
            is_named = isinstance(choice, (*NATIVE, Path)) or hasattr(choice, "tolist")
            if not is_named and not (group == "optimizer" and find_class_name(choice)):
                raise UsageError(describe_object(group, choice))
    for name in settings:
        if name.startswith("hydra"):
            raise UsageError(
                f"{name} is for the command line: from Python a sweep runs in this process, without a launcher or"
                " another sweeper; config_dir= names a folder of your own configurations."
            )
    return [f"{name}={_write_value(name, value)}" for name, value in settings.items()]


def _write_value(name: str, value: Any) -> str:
    """A value as the command line takes it; a list is an axis."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, (list, tuple)):
        return ",".join(_write_value(name, item) for item in value)
    if name == "optimizer" and (class_name := find_class_name(value)):
        return class_name
    if isinstance(value, range):
        return f"range({value.start},{value.stop},{value.step})"
    if isinstance(value, Path) or (isinstance(value, str) and name in TEXTS):
        return quote_text(str(value))
    if isinstance(value, str) and re.fullmatch(r"[A-Za-z0-9_.:/+-]+", value):
        return value  # read as on the command line: "1e-3" is a number
    return format_value(value if isinstance(value, NATIVE) else str(value))
