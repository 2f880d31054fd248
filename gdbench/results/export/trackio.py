"""Export to Trackio: one project, a run per run, in the local store that ``trackio show`` opens."""

from __future__ import annotations

import contextlib
import io
import os
import shlex
import sys
import warnings
from pathlib import Path

from gdbench.errors import UsageError, format_count
from gdbench.results.export.payload import PROJECT, ExportResult, RunPayload, SweepPayload

__all__ = ["export"]


def export(sweep: SweepPayload, uri: str | None) -> ExportResult:
    """Add missing runs to the project ``gdbench``, in TRACKIO_DIR or the folder ``uri``.

    A run with fewer points than here is from an interrupted export: it is deleted and sent again.
    """
    if uri and "trackio" not in sys.modules:  # which reads it once
        os.environ["TRACKIO_DIR"] = str(Path(uri).resolve())
    import trackio
    from trackio.sqlite_storage import SQLiteStorage
    from trackio.utils import TRACKIO_DIR

    if uri and Path(TRACKIO_DIR).resolve() != Path(uri).resolve():
        raise UsageError(f"--uri {uri}: in this process Trackio keeps what it gets in {TRACKIO_DIR}.")
    Path(TRACKIO_DIR).mkdir(parents=True, exist_ok=True)  # where that fails, Trackio itself would only warn
    known = set(SQLiteStorage.get_runs(PROJECT))
    whole = {
        run.id
        for run in sweep.runs
        if _format_run_name(run) in known and _count_points(SQLiteStorage, run) == len(_list_points(run))
    }
    missing = [run for run in sweep.runs if run.id not in whole]
    for run in missing:
        if _format_run_name(run) in known:
            SQLiteStorage.delete_run(PROJECT, _format_run_name(run))
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():  # it greets every run in five lines
            warnings.filterwarnings("ignore", "trackio failed", UserWarning)  # what is lost is counted below
            _export_run(trackio, run, sweep)
    lost = sum(_count_points(SQLiteStorage, run) != len(_list_points(run)) for run in missing)
    if lost:  # Trackio itself says nothing when it cannot write
        amount = f"{lost} of {format_count(len(missing), 'run')}"
        raise OSError(f"{amount} not kept in {TRACKIO_DIR}: is there room, and may it be written?")
    place = f"TRACKIO_DIR={shlex.quote(uri)} " if uri else ""
    return ExportResult(len(missing), len(whole), f"{place}trackio show --project {PROJECT}")


def _format_run_name(run: RunPayload) -> str:
    return f"{run.name} {run.id}"


def _count_points(storage: object, run: RunPayload) -> int:
    return int(storage.get_log_count(PROJECT, _format_run_name(run)))  # type: ignore[attr-defined]


def _list_points(run: RunPayload) -> list[tuple[int, dict[str, float | str]]]:
    """Curves, and as last point the metrics and status of the run."""
    steps: list[tuple[int, dict[str, float | str]]] = [
        (step, {**numbers}) for step, numbers in run.curves.list_points()
    ]
    return [*steps, (steps[-1][0] + 1 if steps else 0, {**run.metrics, "status": run.tags["status"]})]


def _export_run(trackio: object, run: RunPayload, sweep: SweepPayload) -> None:
    config = {**run.params, "sweep": sweep.name, **{f"tag/{name}": word for name, word in run.tags.items()}}
    session = trackio.init(  # type: ignore[attr-defined]
        PROJECT,
        name=_format_run_name(run),
        group=sweep.name,
        config=config,
        embed=False,
        auto_log_gpu=False,
        auto_log_cpu=False,
    )
    for step, numbers in _list_points(run):
        session.log(numbers, step=step)
    # Not the session's own, after which it would be finished again at exit, and say so where --json is read.
    trackio.finish()  # type: ignore[attr-defined]
