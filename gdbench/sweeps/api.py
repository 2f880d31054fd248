"""The command line's sweeps from Python, for notebooks and tests; torch is loaded when one of them is called."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gdbench.config.compose import Composer, composing
from gdbench.config.overrides import code_override, format_value, quote_text, search_path_override
from gdbench.config.own_names import check_own_names
from gdbench.config.schema import GROUPS
from gdbench.config.unknown_keys import describe_object
from gdbench.engine.gc_pause import pause_gc
from gdbench.errors import UsageError
from gdbench.results.user_paths import expand_user
from gdbench.sweeps.hydra_sweeper import declared_axes, fold
from gdbench.sweeps.job_spec import Job, Silent
from gdbench.sweeps.search_space import spans

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor

    from gdbench.objectives.base import Objective
    from gdbench.sweeps.tuning import Tuning
    from gdbench.tree import Params

    Function = Callable[[Params], Tensor]
    Start = Params | float | Sequence[Any] | Mapping[str, Any] | Callable[[int], Any]

__all__ = ["run", "sweep", "tune", "tuning"]

TEXTS = ("outputs", "name", "resume")
"""Settings that are text, whatever stands in it; all others are read as on the command line."""
NATIVE = (bool, int, float, str, Mapping, type(None))
RESUMED = {"name", "resume"}
"""Settings by which a sweep goes on with an earlier one."""


def sweep(
    objective: str | Sequence[str] | Objective | Function | None = None,
    *,
    x0: Start | None = None,
    config_dir: str | Path | None = None,
    trust: bool = False,
    **axes: Any,
) -> pd.DataFrame:
    """Run every combination of what is given and return the table of runs, typed as COLUMNS promises.

    ``gdbench.sweep("rosenbrock", optimizer=["gd", "adam"], impl=["manual", "torch"], lr=[1e-4, 1e-3])`` is
    ``python -m gdbench -m objective=rosenbrock optimizer=gd,adam impl=manual,torch lr=1e-4,1e-3``: a list is an axis.
    Numbers of a group are given as ``**{"optimizer.beta1": 0.8}``. ``objective`` may be a function of one's own,
    written for one point, with ``x0``, its start (a number, a list, an array, a tensor, a dict of these, or a function
    of the seed); or an ``Objective``, which can state the minimum too. ``dtype=auto`` is then the widest floating dtype
    of the tensors and arrays in ``x0``, float32 where it has none.
    ``df.attrs["folder"]`` is where the sweep lies; ``gdbench.load(folder, "traces")`` reads its traces.
    ``df.attrs["columns"]`` says what each column means.
    ``resume=folder`` alone goes on with the sweep there; where somebody else made that, ``trust=True`` lets it run what
    it names and gdbench does not ship. Raises UsageError for what the command line would refuse.

    Several threads may call it at once, and each has its own table. Their cells take turns, as torch's globals and the
    clock are the process's: for several cores at once take the command line and ``hydra/launcher=joblib``.
    """
    if objective is None and "resume" in axes and not set(axes) - {"resume", "retry"}:
        return _again(axes, config_dir, trust)
    own = _own(objective, x0)
    made = _given(own, getattr(objective, "__name__", "objective"), bool(RESUMED & set(axes))) if own else None
    return _swept(_arguments(None if own else objective, axes), config_dir, made)


def _swept(arguments: Sequence[str], config_dir: str | Path | None, made: Callable[[Job], Job] | None) -> pd.DataFrame:
    """Carry out a sweep, each of its jobs as ``made`` has it, and load its table."""
    with _composing(config_dir) as (composer, code):
        jobs = fold([*_declared(arguments, composer), *arguments, *code], composer)
    with pause_gc():  # a mistake in the words is told without torch
        from gdbench.results.load import load
        from gdbench.sweeps.executor import execute_jobs

    result = execute_jobs([made(job) for job in jobs] if made else jobs, [*arguments, *code], "sweep", Silent())
    assert result.folder is not None
    runs = load(result.folder)
    runs.attrs["folder"] = str(result.folder)
    return runs


def run(objective: str | Objective | Function | None = None, **settings: Any) -> pd.DataFrame:
    """Run one cell and return its table: ``gdbench.run(my_function, x0=my_start, optimizer="adam", lr=0.1)``.

    Takes what ``sweep`` takes; a list of numbers (``lr=[0.01, 0.1]``) makes several rows.
    """
    return sweep(objective, **settings)


def _again(wish: Mapping[str, Any], config_dir: str | Path | None, trust: bool) -> pd.DataFrame:
    """The sweep that the folder ``resume`` was made with, gone on with."""
    from gdbench.sweeps.resume import recorded

    recalled = recorded(wish["resume"], config_dir is not None, trust)
    words = [word for word in recalled if word != "-m"]
    place = words.index("--config-dir") if "--config-dir" in words else None
    config_dir = config_dir if place is None else words[place + 1]
    given = words if place is None else words[:place] + words[place + 2 :]
    return _swept([*given, *_arguments(None, wish)], config_dir, None)


def tune(
    objective: str | Sequence[str] | Objective | Function | None = None,
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
    ``gdbench.analysis.tuning_table.TUNING_COLUMNS``; ``attrs["folder"]`` holds every run.
    Raises UsageError for what the command line would refuse.
    """
    own = _own(objective, x0)
    made = _given(own, getattr(objective, "__name__", "objective"), bool(RESUMED & set(axes))) if own else None
    search = tuning(_arguments(None if own else objective, axes), config_dir, made)
    search.run(Silent())
    winners = search.winners()
    winners.attrs["folder"] = str(search.growing.folder)
    return winners


def tuning(
    arguments: Sequence[str], config_dir: str | Path | None = None, made: Callable[[Job], Job] | None = None
) -> Tuning:
    """A search that is checked and ready to run; ``made`` may change each of its cells."""
    with _composing(config_dir) as (composer, code):
        given, others = spans([*_declared(arguments, composer), *arguments, *code], composer)
        fold([word for word in others if not word.startswith("hydra")], composer)  # mistakes are told without torch

    with pause_gc():
        from gdbench.sweeps.tuning import Tuning

    def cells(overrides: Sequence[str]) -> list[Job]:
        with composing([Path(config_dir)] if config_dir else []):
            jobs = fold(overrides, composer)
        return [made(job) for job in jobs] if made else jobs

    return Tuning(arguments, given, others, cells)


@contextmanager
def _composing(config_dir: str | Path | None) -> Iterator[tuple[Composer, list[str]]]:
    """A composer that knows the user's folder, and the overrides that let cells find the code in it."""
    config_dir = expand_user(config_dir) if config_dir else None
    if config_dir and not config_dir.is_dir():
        raise UsageError(f"{config_dir} is no folder: it must hold objective/*.yaml or optimizer/*.yaml of your own.")
    if config_dir:
        check_own_names(config_dir)
    folder = config_dir.resolve() if config_dir else None
    with composing([folder] if folder else []):
        yield Composer([search_path_override(folder)] if folder else []), [code_override(folder)] if folder else []


def _arguments(objective: Any, axes: Mapping[str, Any]) -> list[str]:
    """What was given, as the command line takes it."""
    asked = axes if objective is None else {"objective": objective, **axes}
    for group in GROUPS:
        given = asked.get(group)
        for choice in given if isinstance(given, (list, tuple)) else [given]:
            if not isinstance(choice, (*NATIVE, Path)) and not hasattr(choice, "tolist"):
                raise UsageError(describe_object(group, choice))
    for name in asked:
        if name.startswith("hydra"):
            raise UsageError(
                f"{name} is for the command line: from Python a sweep runs in this process, without a launcher or"
                " another sweeper; config_dir= names a folder of your own configurations."
            )
    return [f"{name}={_text(name, value)}" for name, value in asked.items()]


def _declared(arguments: Sequence[str], composer: Composer) -> list[str]:
    """The axes that an experiment sweeps of its own."""
    chosen = [each for each in arguments if each.startswith("experiment=")]
    axes = composer(chosen[-1:]).axes if chosen else {}
    return declared_axes(axes)


def _own(objective: Any, x0: Any) -> Objective | None:
    """The objective that a function and a start make; None for one that is named."""
    if not callable(objective) and x0 is None and isinstance(objective, (str, list, tuple, type(None))):
        return None
    import torch

    from gdbench.objectives.base import Objective
    from gdbench.objectives.starts import convert_point, widest_dtype

    if isinstance(objective, Objective) or not callable(objective):
        if x0 is not None:
            raise UsageError(
                "x0= is the start of a function: an objective has its own"
                " (an Objective gets another by dataclasses.replace(objective, start=...))."
            )
        return objective if isinstance(objective, Objective) else None
    if x0 is None:
        raise UsageError("a function needs its start: give x0=, a tensor, a list of numbers or a dict of tensors.")
    if isinstance(x0, torch.nn.Module):
        raise UsageError(
            "x0= is a module: give dict(module.named_parameters()), and let the function call"
            " torch.func.functional_call(module, x, ...)."
        )
    if callable(x0):
        return Objective(fn=objective, start=x0, dtype=widest_dtype(x0(0)))
    return Objective(fn=objective, start=convert_point("x0", x0), dtype=widest_dtype(x0))


class NeverDone(UserWarning):
    """A function was given to a sweep that is gone on with, and something in it cannot be compared."""


def _given(objective: Objective, name: str, resumable: bool) -> Callable[[Job], Job]:
    """What puts an objective that no configuration names in the place of a job's own.

    Its digest, which tells it from others of its name, is taken now, before it has run.
    """
    from gdbench.engine.function_digest import NOT_COMPARABLE, digest_or_reason

    own = {"_target_": objective, "code": digest_or_reason(objective)}
    if resumable and str(own["code"]).startswith(NOT_COMPARABLE):
        warnings.warn(
            f"objective={name} runs each time, as it cannot be told whether it is what it was"
            f" ({str(own['code']).removeprefix(NOT_COMPARABLE)})",
            NeverDone,
            stacklevel=3,
        )

    def put(job: Job) -> Job:
        question = replace(job.question, objective=name, objective_config=own)
        return replace(job, question=question, config={**job.config, "objective": {"python": name}})

    return put


def _text(name: str, value: Any) -> str:
    """A value as the command line takes it; a list is an axis."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, (list, tuple)):
        return ",".join(_text(name, item) for item in value)
    if isinstance(value, range):
        return f"range({value.start},{value.stop},{value.step})"
    if isinstance(value, Path) or (isinstance(value, str) and name in TEXTS):
        return quote_text(str(value))
    if isinstance(value, str) and re.fullmatch(r"[A-Za-z0-9_.:/+-]+", value):
        return value  # read as on the command line: "1e-3" is a number
    return format_value(value if isinstance(value, NATIVE) else str(value))
