"""A run repeated: is every exact column the same, and if not, what else is not?"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from gdbench.analysis.diff import (
    ValueDiff,
    diff_mappings,
    diff_results,
    diff_settings,
    find_first_differing_step,
    flatten_environment,
)
from gdbench.config.schema import AROUND, Timing
from gdbench.config.spec import Question
from gdbench.config.trust import check_configuration, read_configuration
from gdbench.engine.environment import describe_environment
from gdbench.errors import UsageError
from gdbench.results.columns import is_exact
from gdbench.results.environment_file import find_environment
from gdbench.results.folder_layout import PARTS
from gdbench.results.load import load
from gdbench.results.lookup import load_trace
from gdbench.sweeps.fingerprint import cell_fingerprint, data_digests, refresh, source_digests
from gdbench.sweeps.job import run_job
from gdbench.sweeps.job_spec import Job

__all__ = ["Repeat", "rerun"]


@dataclass(frozen=True)
class Repeat:
    """A run as it was (``a`` of each difference) and as it is now (``b``)."""

    columns: int
    """How many exact columns were compared."""
    points: int
    """How many recorded points of the trajectory were."""
    results: list[ValueDiff]
    first_step: int | None
    """The first recorded step after which the trajectories are not the same bits."""
    configuration: list[ValueDiff]
    sources: list[ValueDiff]
    data: list[ValueDiff]
    environment: list[ValueDiff]
    stale: bool
    """Whether the key of source, data, torch and device is another one."""
    steady: bool = True
    """Whether a second repeat gave what the first did; asked only where nothing else explains a difference."""

    @property
    def same(self) -> bool:
        """Whether every exact column and every recorded point came out the same."""
        return not self.results and self.first_step is None and not self.configuration


def rerun(place: Path, row: pd.Series, trust: bool = False) -> Repeat:
    """Repeat a run together with all lanes of its cell, untimed, in a folder that is gone afterwards.

    A lane alone may round otherwise than one among others, so that the whole cell runs. Raises ``UsageError`` where the
    configuration was not kept, the objective was a Python function, or code would run that is neither ours nor the
    user's own, unless there is ``trust`` in it.
    """
    refresh()
    question = _question(place, row, trust)
    position = _position(place, row)
    again, points = _again(question, position, int(row["cell"]))
    then = find_environment(place, row)
    compared = _compared(row, load_trace(place, str(row["run_id"])), again, points)
    repeat = Repeat(
        **compared,
        configuration=diff_settings(row.to_frame().T, again.to_frame().T),
        sources=_changed(then.get("sources"), source_digests(question)),
        data=_changed(then.get("data"), data_digests([question])),
        environment=diff_mappings(flatten_environment(then), flatten_environment(describe_environment()))
        if then
        else [],
        stale=str(row["cell_fingerprint"] or "").partition("-")[2] != cell_fingerprint(question).partition("-")[2],
    )
    explained = repeat.configuration or repeat.sources or repeat.data or repeat.environment
    if repeat.same or explained:
        return repeat
    second = _compared(again, points, *_again(question, position, int(row["cell"])))
    return replace(repeat, steady=not second["results"] and second["first_step"] is None)


def _question(place: Path, row: pd.Series, trust: bool) -> Question:
    """What the row's cell was asked, from the configuration that was kept; timed no more."""
    file = place / ".hydra" / f"cell-{row['cell']:05d}.yaml"
    config = read_configuration(file)
    if "python" in config["objective"]:
        raise UsageError(
            f"run {row['run_id']} cannot be repeated here: its objective is a Python function; call gdbench.run again."
        )
    check_configuration(file, config, trust, "reproduce")
    choices = {group: str(row[group]) for group in ("objective", "optimizer", *AROUND)}
    return replace(Question.parse(config, choices), timing=Timing("off", 0.0))


def _position(place: Path, row: pd.Series) -> int:
    """Which lane of its cell a run is."""
    runs = load(place, columns=["run_id", "cell"])
    cell = runs[runs["cell"] == row["cell"]].reset_index(drop=True)
    return int(cell.index[cell["run_id"] == row["run_id"]][0])


def _again(question: Question, position: int, cell: int) -> tuple[pd.Series, pd.DataFrame]:
    """The row and the trace that a run has now."""
    with tempfile.TemporaryDirectory(prefix="gdbench-rerun-") as folder:
        (Path(folder) / PARTS).mkdir()
        run_job(Job(question, cell), Path(folder))
        row = load(folder).iloc[position]
        return row, load_trace(Path(folder), str(row["run_id"]))


def _compared(a: pd.Series, a_points: pd.DataFrame, b: pd.Series, b_points: pd.DataFrame) -> dict[str, Any]:
    return {
        "columns": sum(is_exact(str(name)) for name in a.index),
        "points": len(a_points),
        "results": diff_results(a, b),
        "first_step": find_first_differing_step(a_points, b_points),
    }


def _changed(then: Mapping[str, str] | None, now: Mapping[str, str]) -> list[ValueDiff]:
    """What has another digest now; nothing where none were kept, as in sweeps of earlier versions."""
    if then is None:
        return []
    kept = set(then.values())  # several of a name have digits beside it
    return diff_mappings({name: each if each in kept else then.get(name) for name, each in now.items()}, now)
