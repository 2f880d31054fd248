"""Reproduce a run: compare every exact column and trace point, and find what else has changed."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from gdbench.analysis.value_diff import (
    ValueDiff,
    diff_mappings,
    diff_results,
    diff_settings,
    find_first_differing_step,
    flatten_environment,
)
from gdbench.config.schema import AROUND, Timing
from gdbench.config.spec import CellSpec
from gdbench.config.trust import check_configuration, read_configuration
from gdbench.engine.environment import describe_environment
from gdbench.errors import UsageError
from gdbench.results.columns import is_exact
from gdbench.results.environment_file import find_environment
from gdbench.results.folder_layout import PARTS
from gdbench.results.load import load
from gdbench.results.run_lookup import load_trace
from gdbench.sweeps.fingerprint import cell_fingerprint, forget_changes, list_data_digests, list_source_digests
from gdbench.sweeps.job import Job
from gdbench.sweeps.job_runner import run_job

__all__ = ["Reproduction", "reproduce"]


@dataclass(frozen=True)
class Reproduction:
    """The differences between a recorded run (``a`` of each) and the same run now (``b``)."""

    columns: int
    """How many exact columns were compared."""
    points: int
    """How many recorded points of the trajectory were compared."""
    results: list[ValueDiff]
    first_step: int | None
    """The first recorded step after which the trajectories are not the same bits."""
    configuration: list[ValueDiff]
    sources: list[ValueDiff]
    data: list[ValueDiff]
    environment: list[ValueDiff]
    stale: bool
    """Whether the key of source, data, torch and device is another one."""
    fails: bool = False
    """Whether the recorded run failed."""
    steady: bool = True
    """Whether a second repetition equals the first; computed only where nothing else explains a difference."""

    @property
    def same(self) -> bool:
        """Whether every exact column and every recorded point is the same."""
        return not self.results and self.first_step is None and not self.configuration


def reproduce(place: Path, row: pd.Series, trust: bool = False) -> Reproduction:
    """The comparison of a recorded run with the same run now, untimed, in a temporary folder.

    The whole cell runs, as a run alone may round differently from one of a batch. Raises ``UsageError`` where the
    configuration was not recorded, the objective was a Python function, or code would run that is neither gdbench's
    nor the user's own, without ``trust``.
    """
    forget_changes()
    if row["status"] == "unavailable":
        raise UsageError(
            f"run {row['run_id']} was unavailable and computed nothing that could be reproduced ({row['error']}); run"
            " the command that show RUN prints to try it again."
        )
    spec = _read_spec(place, row, trust)
    position = _find_position(place, row)
    again, points = _run_again(spec, position, int(row["cell"]))
    then = find_environment(place, row)
    compared = _compare(row, load_trace(place, str(row["run_id"])), again, points)
    first = Reproduction(
        **compared,
        fails=bool(row["status"] == "failed"),
        configuration=diff_settings(row.to_frame().T, again.to_frame().T),
        sources=_diff_digests(then.get("sources"), list_source_digests(spec)),
        data=_diff_digests(then.get("data"), list_data_digests([spec])),
        environment=diff_mappings(flatten_environment(then), flatten_environment(describe_environment()))
        if then
        else [],
        stale=str(row["cell_fingerprint"] or "").partition("-")[2] != cell_fingerprint(spec).partition("-")[2],
    )
    explained = first.configuration or first.sources or first.data or first.environment
    if first.same or explained:
        return first
    second = _compare(again, points, *_run_again(spec, position, int(row["cell"])))
    return replace(first, steady=not second["results"] and second["first_step"] is None)


def _read_spec(place: Path, row: pd.Series, trust: bool) -> CellSpec:
    """The specification of the row's cell, from its recorded configuration, untimed."""
    file = place / ".hydra" / f"cell-{row['cell']:05d}.yaml"
    config = read_configuration(file)
    if "python" in config["objective"]:
        raise UsageError(
            f"run {row['run_id']} cannot be repeated here: its objective is a Python function; call gdbench.run again."
        )
    check_configuration(file, config, trust, "reproduce")
    choices = {group: str(row[group]) for group in ("objective", "optimizer", *AROUND)}
    return replace(CellSpec.parse(config, choices), timing=Timing("off", 0.0))


def _find_position(place: Path, row: pd.Series) -> int:
    """Which lane of its cell a run is."""
    runs = load(place, columns=["run_id", "cell"])
    cell = runs[runs["cell"] == row["cell"]].reset_index(drop=True)
    return int(cell.index[cell["run_id"] == row["run_id"]][0])


def _run_again(spec: CellSpec, position: int, cell: int) -> tuple[pd.Series, pd.DataFrame]:
    """The row and the trace that a run has now."""
    with tempfile.TemporaryDirectory(prefix="gdbench-rerun-") as folder:
        (Path(folder) / PARTS).mkdir()
        run_job(Job(spec, cell), Path(folder))
        row = load(folder).iloc[position]
        return row, load_trace(Path(folder), str(row["run_id"]))


def _compare(a: pd.Series, a_points: pd.DataFrame, b: pd.Series, b_points: pd.DataFrame) -> dict[str, Any]:
    """The fields of a ``Reproduction`` that two rows and their traces decide."""
    return {
        "columns": sum(is_exact(str(name)) for name in a.index),
        "points": len(a_points),
        "results": diff_results(a, b),
        "first_step": find_first_differing_step(a_points, b_points),
    }


def _diff_digests(then: Mapping[str, str] | None, now: Mapping[str, str]) -> list[ValueDiff]:
    """The digests that differ now; none where none were recorded, as in sweeps of earlier versions."""
    if then is None:
        return []
    recorded = set(then.values())  # several of a name have digits beside it
    return diff_mappings({name: digest if digest in recorded else then.get(name) for name, digest in now.items()}, now)
