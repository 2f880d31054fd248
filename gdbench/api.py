"""The command line's sweeps from Python, for notebooks and tests."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from gdbench.config import Composer, initialized, register, reworded
from gdbench.function_digest import NOT_COMPARABLE, digest_or_reason
from gdbench.job import Job
from gdbench.objectives import Objective
from gdbench.params import Params
from gdbench.records import load
from gdbench.resume import recorded
from gdbench.schema import UsageError
from gdbench.spaces import spans
from gdbench.sweeper import Lanes, Silent, carry_out, fold
from gdbench.tuning import Tuning

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["run", "sweep", "tune", "tuning"]

Function = Callable[[Params], Tensor]
RESUMED = {"name", "resume"}
"""Settings by which a sweep goes on with an earlier one."""


def sweep(
    objective: str | Sequence[str] | Objective | Function | None = None,
    *,
    x0: Params | Sequence[float] | None = None,
    config_dir: str | Path | None = None,
    **axes: Any,
) -> pd.DataFrame:
    """Run every combination of what is given and return the table of runs, typed as COLUMNS promises.

    ``gdbench.sweep("rosenbrock", optimizer=["gd", "adam"], impl=["manual", "torch"], lr=[1e-4, 1e-3])`` is
    ``python -m gdbench -m objective=rosenbrock optimizer=gd,adam impl=manual,torch lr=1e-4,1e-3``: a list is an axis.
    Numbers of a group are given as ``**{"optimizer.beta1": 0.8}``. ``objective`` may be a function of one's own,
    written for one point, with ``x0``, its start; or an ``Objective``, which can state the minimum too.
    ``df.attrs["folder"]`` is where the sweep lies; ``gdbench.load(folder, "traces")`` reads its traces.
    ``df.attrs["columns"]`` says what each column means.
    ``resume=folder`` alone goes on with the sweep there. Raises UsageError for what the command line would refuse.
    """
    if objective is None and "resume" in axes and not set(axes) - {"resume", "retry"}:
        return _again(axes)
    own = _own(objective, x0)
    made = _given(own, getattr(objective, "__name__", "objective"), bool(RESUMED & set(axes))) if own else None
    return _swept(_arguments(None if own else objective, axes), config_dir, made)


def _swept(arguments: Sequence[str], config_dir: str | Path | None, made: Callable[[Job], Job] | None) -> pd.DataFrame:
    """Carry out a sweep, each of its jobs as ``made`` has it, and load its table."""
    with _composing(config_dir) as (composer, code):
        jobs = fold([*_declared(arguments, composer), *arguments, *code], composer)
    carry_out([made(job) for job in jobs] if made else jobs, [*arguments, *code], "sweep", Silent())
    assert Lanes.folder is not None
    runs = load(Lanes.folder)
    runs.attrs["folder"] = str(Lanes.folder)
    return runs


def run(objective: str | Objective | Function | None = None, **settings: Any) -> pd.DataFrame:
    """Run one cell and return its table: ``gdbench.run(my_function, x0=my_start, optimizer="adam", lr=0.1)``.

    Takes what ``sweep`` takes; a list of numbers (``lr=[0.01, 0.1]``) makes several rows.
    """
    return sweep(objective, **settings)


def _again(wish: Mapping[str, Any]) -> pd.DataFrame:
    """The sweep that the folder ``resume`` was made with, gone on with."""
    words = [word for word in recorded(wish["resume"]) if word != "-m"]
    place = words.index("--config-dir") if "--config-dir" in words else None
    config_dir = None if place is None else words[place + 1]
    given = words if place is None else words[:place] + words[place + 2 :]
    return _swept([*given, *_arguments(None, wish)], config_dir, None)


def tune(
    objective: str | Sequence[str] | Objective | Function | None = None,
    *,
    x0: Params | Sequence[float] | None = None,
    config_dir: str | Path | None = None,
    **axes: Any,
) -> pd.DataFrame:
    """Find the best lr of each optimizer on each objective, and return one row of winners for each, the best first.

    ``gdbench.tune("rosenbrock", optimizer=["gd", "adam"], steps=1000)`` is ``python -m gdbench tune
    objective=rosenbrock optimizer=gd,adam steps=1000``; numbers to tune are given as ``lr="tag(log,interval(1e-4,1))"``
    or ``**{"optimizer.momentum": "interval(0,0.99)"}``, and ``goal`` says what is best. Takes what ``sweep`` takes. The
    columns are those of a run, and ``gdbench.analysis.tuned.FOUND``; ``attrs["folder"]`` holds every run.
    Raises UsageError for what the command line would refuse.
    """
    own = _own(objective, x0)
    made = _given(own, getattr(objective, "__name__", "objective"), bool(RESUMED & set(axes))) if own else None
    with tuning(_arguments(None if own else objective, axes), config_dir, made) as search:
        search.run(Silent())
    winners = search.winners()
    winners.attrs["folder"] = str(search.growing.folder)
    return winners


@contextmanager
def tuning(
    arguments: Sequence[str], config_dir: str | Path | None = None, made: Callable[[Job], Job] | None = None
) -> Iterator[Tuning]:
    """A search that is checked and ready to run while the context lasts; ``made`` may change each of its cells."""
    with _composing(config_dir) as (composer, code):

        def cells(overrides: Sequence[str]) -> list[Job]:
            jobs = fold(overrides, composer)
            return [made(job) for job in jobs] if made else jobs

        given, others = spans([*_declared(arguments, composer), *arguments, *code], composer)
        yield Tuning(arguments, given, others, cells)


@contextmanager
def _composing(config_dir: str | Path | None) -> Iterator[tuple[Composer, list[str]]]:
    """A composer that knows the user's folder, and the overrides that let cells find the code in it."""
    if config_dir and not Path(config_dir).is_dir():
        raise UsageError(f"{config_dir} is no folder: it must hold objective/*.yaml or optimizer/*.yaml of your own.")
    fixed = [f"hydra.searchpath=[file://{Path(config_dir).resolve()}]"] if config_dir else []
    register(Lanes)
    try:
        with initialized():
            yield Composer(fixed), [f"code='{Path(config_dir).resolve()}'"] if config_dir else []
    except UsageError:
        raise
    except Exception as error:
        raise reworded(error) from error


def _arguments(objective: Any, axes: Mapping[str, Any]) -> list[str]:
    """What was given, as the command line takes it."""
    asked = axes if objective is None else {"objective": objective, **axes}
    return [f"{name}={_text(name, value)}" for name, value in asked.items()]


def _declared(arguments: Sequence[str], composer: Composer) -> list[str]:
    """The axes that an experiment sweeps of its own."""
    chosen = [each for each in arguments if each.startswith("experiment=")]
    axes = composer(chosen[-1:]).axes if chosen else {}
    return [f"{name}={value}" for name, value in axes.items()]


def _own(objective: Any, x0: Any) -> Objective | None:
    """The objective that a function and a start make; None for one that is named."""
    if isinstance(objective, Objective):
        return objective
    if not callable(objective):
        return None
    if x0 is None:
        raise UsageError("a function needs its start: give x0=, a tensor, a list of numbers or a dict of tensors.")
    start = x0 if isinstance(x0, (Tensor, dict)) else torch.tensor(x0, dtype=torch.float64)
    first = start if isinstance(start, Tensor) else next(iter(start.values()))
    dtype = first.dtype if isinstance(x0, (Tensor, dict)) and first.is_floating_point() else torch.float32
    start = start if first.is_floating_point() else start.to(dtype)  # type: ignore[union-attr]
    return Objective(fn=objective, start=start, dtype=dtype)


class NeverDone(UserWarning):
    """A function was given to a sweep that is gone on with, and something in it cannot be compared."""


def _given(objective: Objective, name: str, resumable: bool) -> Callable[[Job], Job]:
    """What puts an objective that no configuration names in the place of a job's own.

    Its digest, which tells it from others of its name, is taken now, before it has run.
    """
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
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{key}:{_text(name, each)}" for key, each in value.items()) + "}"
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, (list, tuple)):
        return ",".join(_text(name, each) for each in value)
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    text = repr(value) if isinstance(value, float) else str(value)
    return text if re.fullmatch(r"[\w.:/+-]+", text) else "'{}'".format(text.replace("'", "\\'"))
