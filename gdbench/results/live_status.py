"""Progress of a sweep read from its folder: on this or another machine, running, ended or killed."""

from __future__ import annotations

import contextlib
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from gdbench.errors import UsageError
from gdbench.results.columns import is_setting
from gdbench.results.costs import select_comparable
from gdbench.results.environment_file import read_environment, read_time
from gdbench.results.folder_layout import PARTS, is_sweep, walk_sweeps
from gdbench.results.load import SkippedFile, load
from gdbench.results.parquet_files import READ_ERRORS, cast_columns
from gdbench.results.ranking import KEYS, rank_configurations, select_best
from gdbench.results.running_cells import read_marks
from gdbench.results.sweep_folder import is_locked
from gdbench.results.sweep_info import count_planned_cells, is_search
from gdbench.results.sweep_lookup import SweepNotFound, find_newest_sweep, find_sweep
from gdbench.results.sweep_ranks import RANKING_COLUMNS
from gdbench.results.user_paths import expand_user

__all__ = ["SweepMonitor", "SweepSnapshot", "find_watched_sweep"]


RUNNING_S = 300.0
"""Seconds since the last write up to which a sweep without a readable lock counts as running."""
READ_COLUMNS = [*RANKING_COLUMNS, "cell", "cell_s"]
MAX_ROWS = 5000
"""Rows kept of a table; of a larger one those of its best configurations."""
TRACE_COLUMNS = ["run_id", "step", "loss", "gap"]


@dataclass
class TableSummary:
    """What is kept of one table: little, so that watching a large sweep does not slow it down."""

    changed: float
    until: float = 0.0
    """End of its last cell, seconds since 1970."""
    cells: dict[int, Counter[str]] = field(default_factory=dict)
    runs: pd.DataFrame = field(default_factory=pd.DataFrame)
    """Columns that rank its configurations; other tables may have further seeds of them."""


class SweepMonitor:
    """Repeated snapshots of a sweep; each table is read once, and again after it has changed."""

    def __init__(self, folder: Path) -> None:
        """Nothing is read yet."""
        self.folder = folder
        self.tables: dict[Path, TableSummary] = {}
        self.traces: dict[str, pd.DataFrame] = {}
        self.searched: set[tuple[str, Path]] = set()
        self.best: tuple[dict[Path, float], pd.DataFrame] = ({}, pd.DataFrame())
        """The best configurations, and of which tables, as they were when."""

    def take_snapshot(self) -> SweepSnapshot:
        """Snapshot of the progress; ``UsageError`` if the folder is gone."""
        try:
            return self._take_snapshot()
        except FileNotFoundError:
            if self.folder.is_dir():
                raise
            raise UsageError(f"{self.folder} has been removed, or renamed.") from None

    def _take_snapshot(self) -> SweepSnapshot:
        held = is_locked(
            self.folder
        )  # first: a sweep that ends meanwhile is seen as running, and as ended the next time
        self._read_changed()
        cells: dict[int, Counter[str]] = {}
        for table in self.tables.values():  # the gathered table comes first, and parts replace its cells
            cells |= table.cells
        planned, quiet = count_planned_cells(self.folder), max(0.0, time.time() - self._find_last_write())
        state = self._find_state(held, len(cells) >= planned, quiet)
        elapsed = self._compute_elapsed_s(state == "running")
        return SweepSnapshot(
            folder=self.folder,
            state=state,
            planned=planned,
            open_end=is_search(self.folder),
            ended=len(cells),
            failed=sum(counted["failed"] > 0 for counted in cells.values()),
            statuses=sum(cells.values(), Counter()),
            best=self._rank_best(),
            elapsed_s=elapsed,
            left_s=self._estimate_remaining_s(elapsed, planned - len(cells)) if state == "running" else None,
            quiet_s=quiet,
            running=tuple(cell.text for cell in read_marks(self.folder).values()),
        )

    def read_trace(self, run: str) -> pd.DataFrame:
        """Steps, losses and gaps of a run; empty if not recorded."""
        for file in [*self.folder.glob("traces.parquet"), *(self.folder / PARTS).glob("cell-*.traces.parquet")]:
            if run in self.traces or (run, file) in self.searched:
                continue
            self.searched.add((run, file))
            with contextlib.suppress(*READ_ERRORS):  # gathered meanwhile, or cut off
                found = pq.read_table(file, columns=TRACE_COLUMNS, filters=[("run_id", "=", run)])
                found = cast_columns(found, "traces").to_pandas().dropna(subset="step")
                if len(found):
                    self.traces[run] = found.sort_values("step")
        return self.traces.get(run, pd.DataFrame(columns=TRACE_COLUMNS))

    def _find_state(self, held: bool | None, all_there: bool, quiet: float) -> str:
        if not held and all_there and not (self.folder / PARTS).is_dir():
            return "ended"
        return "running" if held or (held is None and quiet < RUNNING_S) else "stopped"

    def _compute_elapsed_s(self, running: bool) -> float:
        ends = [table.until for table in self.tables.values()] or [self._find_last_write()]
        return max(0.0, (time.time() if running else max(ends)) - self._find_start())

    def _estimate_remaining_s(self, elapsed: float, cells: int) -> float | None:
        """Seconds that the remaining cells take at the mean rate since the sweep began or resumed."""
        begun = self._find_start()
        fresh = sum(file.parent.name == PARTS and table.changed >= begun for file, table in self.tables.items())
        return elapsed / fresh * cells if fresh and cells > 0 else None

    def _iterate_tables(self) -> Iterator[tuple[Path, float]]:
        for file in [self.folder / "runs.parquet", *sorted((self.folder / PARTS).glob("cell-*.runs.parquet"))]:
            with contextlib.suppress(FileNotFoundError):  # gathered meanwhile
                yield file, file.stat().st_mtime

    def _read_changed(self) -> None:
        """Read new and changed tables, and drop those that are gone."""
        there = dict(self._iterate_tables())
        known = {file: table for file, table in self.tables.items() if there.get(file) == table.changed}
        self.tables = {}
        for file, changed in there.items():
            try:
                self.tables[file] = known.get(file) or _summarise_table(
                    load(file, columns=_list_columns(file)), changed
                )
            except UsageError as fault:
                if file.exists():  # else it was gathered meanwhile
                    warnings.warn(str(fault), SkippedFile, stacklevel=2)

    def _rank_best(self) -> pd.DataFrame:
        """Best configuration so far of each solver on each problem, over all finished seeds."""
        seen = {file: table.changed for file, table in self.tables.items()}
        if self.best[0] != seen:
            rows = [table.runs for table in self.tables.values() if len(table.runs)]
            order = (
                rank_configurations(select_comparable(pd.concat(rows, ignore_index=True))) if rows else pd.DataFrame()
            )
            self.best = seen, select_best(order) if len(order) else order
        return self.best[1]

    def _find_start(self) -> float:
        """Start or last resumption, seconds since 1970, as recorded: file times of a copy are its own."""
        files = list(self.folder.glob("environment*.json")) or [self.folder]
        return max(read_time(read_environment(file)) or file.stat().st_mtime for file in files)

    def _find_last_write(self) -> float:
        """Time of the last write, seconds since 1970."""
        parts = [self.folder / PARTS] if (self.folder / PARTS).is_dir() else []
        return max(
            [
                self._find_start(),
                *(table.changed for table in self.tables.values()),
                *(part.stat().st_mtime for part in parts),
            ]
        )


def _summarise_table(runs: pd.DataFrame, changed: float) -> TableSummary:
    cells: dict[int, Counter[str]] = {}
    counted: list[Any] = list(runs.groupby(["cell", "status"]).size().reset_index(name="runs").itertuples())
    for row in counted:
        cells.setdefault(int(row.cell), Counter())[row.status] = int(row.runs)
    ends = runs["started_at"] + pd.to_timedelta(runs["cell_s"], unit="s")
    until = ends.max().timestamp() if ends.notna().any() else 0.0
    return TableSummary(changed, until, cells, _select_best_rows(runs.drop(columns=["cell", "cell_s"])))


def _list_columns(file: Path) -> list[str]:
    """Columns to read of a table: those that rank configurations, and the settings."""
    try:
        names = pq.read_schema(file).names
    except READ_ERRORS:  # ``load`` says which
        names = []
    return list(dict.fromkeys([*READ_COLUMNS, *filter(is_setting, names)]))


def _select_best_rows(runs: pd.DataFrame) -> pd.DataFrame:
    """Rows of a table; of one larger than MAX_ROWS those of its best configurations."""
    if len(runs) <= MAX_ROWS:
        return runs
    compared = select_comparable(runs)
    order = rank_configurations(compared)
    rows = compared[[*KEYS]].merge(order.assign(rank=np.arange(len(order)))[[*KEYS, "rank"]], on=list(KEYS), how="left")
    return compared.iloc[np.argsort(rows["rank"].to_numpy(), kind="stable")[:MAX_ROWS]].drop(columns=list(KEYS))


def find_watched_sweep(word: str | None, outputs: Path) -> Path | None:
    """Sweep to watch: the named one, or else the newest; None where a folder has none yet."""
    within = outputs if word is None else expand_user(word)
    if is_sweep(within):
        return within
    if word is not None and next(walk_sweeps(within), None) is None:
        try:
            return find_sweep(word, outputs)
        except SweepNotFound:
            if not within.is_dir():
                raise
    try:
        return find_newest_sweep(within)
    except UsageError:
        return None


@dataclass(frozen=True)
class SweepSnapshot:
    """Progress of a sweep at one moment."""

    folder: Path
    state: str
    """``running``, ``ended``, or ``stopped`` before its end."""
    planned: int
    """Number of cells planned."""
    open_end: bool
    """Whether more cells may be planned: an adaptive sweep."""
    ended: int
    failed: int
    """Number of cells with a failed run."""
    statuses: Counter[str]
    """Runs so far by status."""
    best: pd.DataFrame
    """Ranking of the best configuration of each solver on each problem, best first."""
    elapsed_s: float
    left_s: float | None
    quiet_s: float
    """Seconds since the last write."""
    running: tuple[str, ...] = ()
    """The cells that have begun and not ended."""
