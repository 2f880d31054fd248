from __future__ import annotations

import ast
import importlib.util
import json
import os
import re
import signal
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow
import pytest
from support.processes import Processes
from support.tiers import representatives

import gdbench
from gdbench.results import sweep_folder
from gdbench.results.load import SkippedFile
from gdbench.results.parquet_files import read_table, write_table
from gdbench.sweeps.fingerprint import cell_fingerprint
from gdbench.sweeps.source_files import _list_imports, find_sources

WORDS = ("-m", "optimizer=gd,adam", "impl=manual,torch", "lr=0.1,0.2", "steps=5", "timing=off")
NOT_EXACT = re.compile(r"_s$|^started_at$|^sweep$|^overrides$|^cell_fingerprint$|^process$")


@pytest.fixture
def folder(once: Callable[..., Path]) -> Path:
    """A sweep of four cells, done."""
    return once(" ".join((*WORDS, "--quiet")))


def exact(runs: pd.DataFrame) -> pd.DataFrame:
    """The columns that two sweeps of one command share."""
    return runs[[name for name in runs if not NOT_EXACT.search(name)]].reset_index(drop=True)


def started(place: Path) -> dict[int, Any]:
    """When each cell started."""
    return dict(gdbench.load(place, columns=["cell", "started_at"]).itertuples(index=False))


def drop(place: Path, *cells: int) -> None:
    """Make the folder one of a sweep that was killed when these cells had not ended."""
    (place / "parts").mkdir()
    runs, traces = (read_table(place / f"{name}.parquet", name) for name in ("runs", "traces"))
    for cell in sorted({0, 1, 2, 3} - set(cells)):
        mine = runs.filter([each == cell for each in runs["cell"].to_pylist()])
        keys = set(mine["run_id"].to_pylist())
        for name, table in (
            ("traces", traces.filter([run in keys for run in traces["run_id"].to_pylist()])),
            ("runs", mine),
        ):
            write_table(table, place / "parts" / f"cell-{cell:05d}.{name}.parquet")
    for name in ("runs", "traces"):
        (place / f"{name}.parquet").unlink()


# -------------------------------------------------------------------------------------------------------- going on


def test_a_sweep_goes_on_where_it_stopped(command: Callable[..., Any], folder: Path) -> None:
    """resume=FOLDER alone runs what is missing, says so, and ends with the table of a sweep that never stopped."""
    whole, traces, before = gdbench.load(folder), gdbench.load(folder, "traces"), started(folder)
    drop(folder, 1, 3)
    done = command(f"resume={folder}")
    after = started(folder)

    assert done.code == 0
    assert f"gdbench: Going on with {folder}: 4 cells: 2 done, 2 missing.\ncell 1/2 " in done.err
    pd.testing.assert_frame_equal(exact(gdbench.load(folder)), exact(whole))
    pd.testing.assert_frame_equal(gdbench.load(folder, "traces"), traces)
    assert {cell for cell in before if after[cell] != before[cell]} == {1, 3}
    assert sorted(file.name for file in folder.glob("environment*")) == ["environment.json", "environment_2.json"]
    assert not (folder / "parts").exists()


def test_nothing_runs_twice(command: Callable[..., Any], folder: Path) -> None:
    """A sweep that is done is shown again, and none of its files is written anew."""
    before = {file: file.stat().st_mtime_ns for file in folder.glob("*.parquet")}
    done = command(f"resume={folder}")

    assert "4 cells: 4 done; nothing to run." in done.err
    assert "8 runs" in done.out
    assert {file: file.stat().st_mtime_ns for file in folder.glob("*.parquet")} == before


def test_the_same_name_and_command_go_on(command: Callable[..., Any]) -> None:
    """name= finds its sweep again, grown by new cells; another question under the name is a sweep of its own."""
    for more in (["optimizer=gd"], ["optimizer=gd,adam"], ["optimizer=momentum,adam,gd"]):
        assert command("-m", *more, "lr=0.1", "steps=3", "timing=off", "name=mine", "--quiet").code == 0
    (only,) = Path("outputs").glob("*/*_mine")
    runs = gdbench.load(only).set_index("cell")

    assert runs["optimizer"].to_dict() == {0: "gd", 1: "adam", 2: "momentum"}
    for other in (["optimizer=gd", "lr=0.1", "name=mine"], ["optimizer=gd,adam,momentum", "lr=0.1", "name=others"]):
        command("-m", *other, "steps=4", "timing=off", "--quiet")
    assert len(list(Path("outputs").glob("*/*"))) == 3


@pytest.mark.slow
def test_a_sweep_from_before_a_setting_goes_on_as_one_problem(command: Callable[..., Any]) -> None:
    """Runs of a folder without the column judge_every were judged at every step, as the new ones are."""
    words = ("-m", "objective=beale", "lr=0.01", "steps=5", "timing=off", "name=older")
    command(*words, "optimizer=gd")
    (folder,) = Path("outputs").glob("*/*_older")
    older = read_table(folder / "runs.parquet", "runs").drop_columns(["judge_every", "target_metric"])
    write_table(older.replace_schema_metadata({}), folder / "runs.parquet")
    done = command(*words, "optimizer=gd,adam")
    runs = gdbench.load(folder)

    assert "1 done, 1 missing" in done.err
    assert runs["judge_every"].tolist() == [1, 1]
    assert "judge every" not in done.out


def test_sweeps_without_a_name_are_always_new(command: Callable[..., Any], folder: Path) -> None:
    """The same command twice is two sweeps, unless it has a name."""
    command(*WORDS, "--quiet")

    assert len(list(Path("outputs").glob("*/*"))) == 2


def test_python_goes_on_too(folder: Path) -> None:
    """gdbench.sweep(resume=FOLDER) alone repeats the command of the folder."""
    drop(folder, 0)
    runs = gdbench.sweep(resume=folder)

    assert len(runs) == 8
    assert runs.attrs["folder"] == str(folder)


def test_failed_cells_are_kept_with_their_reason_until_asked_for(command: Callable[..., Any], own: Path) -> None:
    """A cell that failed is not run again, but for retry=failed; a source that changed runs it in any case."""
    words = ["-m", "--config-dir", str(own), "objective=raises,bowl", "steps=2", "timing=off", "name=x"]
    assert command(*words).code == 1
    again, retried = command(*words), command(*words, "retry=failed")
    (place,) = Path("outputs").glob("*/*")

    assert "2 cells: 1 done, 1 failed (retry=failed runs them again); nothing to run." in again.err
    assert again.code == 1
    assert "2 cells: 1 done, 1 failed.\ncell 1/1 " in retried.err
    assert "no value here" in gdbench.load(place)["error"].dropna().item()


@pytest.mark.slow  # fast, in one process: test_user_modules' edit of a configuration folder
def test_a_change_of_the_source_makes_cells_stale(shell: Callable[..., Any], own: Path) -> None:
    """What a cell's module imports counts as its source; a cell of another module is not run again."""
    (own / "helper.py").write_text("FACTOR = 1.0\n")
    (own / "own_two.py").write_text(
        "import torch\nfrom gdbench.objectives import Objective\nimport helper\n"
        "def steep():\n    return Objective(fn=lambda x: helper.FACTOR * (x**2).sum(), start=torch.ones(2).double())\n"
    )
    (own / "objective" / "steep.yaml").write_text("_target_: own_two.steep\n")
    words = ["-m", "gdbench", "-m", "--config-dir", str(own), "objective=steep,bowl", "steps=2", "timing=off", "name=x"]
    first = shell(*words)
    (own / "helper.py").write_text("FACTOR = 2.0\n")
    second = shell(*words)
    runs = gdbench.load(own.parent / "outputs").set_index("objective")

    assert first.code == second.code == 0, second.err
    assert "2 cells: 1 done, 1 stale (their source or data changed)." in second.err
    assert runs["start_loss"].to_dict() == {"steep": 4.0, "bowl": 3.0}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["resume=nowhere"], "resume=nowhere is no folder of a sweep that can go on: .hydra/command.json is not there"),
        (
            ["resume=nowhere", "lr=0.1"],
            "resume=nowhere is no folder of a sweep that can go on: .hydra/cells.json is not there",
        ),
        (["resume={folder}", "lr=0.3"], "resume={folder} holds 4 cells that are not asked for here (cell 0 first)"),
        (["retry=all"], "retry=all is not known. Allowed: null, failed."),
    ],
)
def test_what_cannot_be_gone_on_with_is_refused(
    command: Callable[..., Any], folder: Path, words: list[str], message: str
) -> None:
    """A folder of something else, or of another sweep, is one clear line, and stays as it is."""
    done = command(*[word.format(folder=folder) for word in words])

    assert done.code == 2
    assert done.err.startswith(f"gdbench: {message.format(folder=folder)}")
    assert len(gdbench.load(folder)) == 8


# ---------------------------------------------------------------------------------------------------------- faults


THREE = ("-m", "optimizer=gd,adam,momentum", "lr=0.1,0.2", "steps=5", "timing=off", "--quiet")
"""Words of a sweep of three cells."""


@dataclass
class Killed:
    """A sweep of three cells that can be killed at any of its file operations, and what it is when it is left alone."""

    processes: Processes
    place: Path

    def begin(self, name: str, **options: Any) -> int:
        """Begin a sweep, or go on with it, in a process and a folder of its own; returns how that ended."""
        (self.place / name).mkdir(exist_ok=True)
        done = self.processes.fork("-m", "gdbench", *THREE, "name=it", cwd=self.place / name, **options).communicate()
        assert done.code < 0 or done == (0, "", "") or "Going on" in done.err, done
        return done.code

    def operations(self) -> list[str]:
        """The file operations of a sweep that is left alone, which is named whole."""
        log = self.place / "operations"
        assert self.begin("whole", operations=str(log)) == 0
        return log.read_text().splitlines()

    def check(self, name: str, **kill: Any) -> None:
        """Kill a sweep, go on with it, and compare it with the one that was left alone."""
        code = self.begin(name, **kill)
        assert code == (-signal.SIGKILL if "signal_at" in kill else -signal.SIGXFSZ)
        before = self.ended(name)
        assert self.begin(name) == 0
        after = self.ended(name)

        assert {cell: after[cell] for cell in before} == before, "what had ended is computed again"
        for table in ("runs", "traces"):
            left, whole = (gdbench.load(self.place / each, table) for each in (name, "whole"))
            if table == "runs":
                left, whole = exact(left), exact(whole)
            pd.testing.assert_frame_equal(left, whole)
        assert self.files(name) - {"environment_2.json", "gdbench_2.diff"} == self.files("whole"), (
            "a file is left, or lacks"
        )

    def files(self, name: str) -> set[str]:
        """The files of the sweep that went on, hidden ones too.

        What was killed before it had written down its cells is no sweep yet: it cannot go on, and its folder stays.
        """
        folders = (self.place / name / "outputs").glob("*/*")
        (begun,) = (place for place in folders if (place / ".hydra" / "cells.json").exists())
        return {path.relative_to(begun).as_posix() for path in begun.rglob("*") if path.is_file()}

    def ended(self, name: str) -> dict[int, str]:
        """The cells of a sweep that have ended, and when they had started."""
        try:
            runs = gdbench.load(self.place / name)
        except gdbench.UsageError:  # it was killed before it had a folder, or any cell in it
            return {}
        return dict(zip(runs["cell"], runs["started_at"].astype(str), strict=True))


@pytest.fixture
def killed(processes: Processes, tmp_path: Path) -> Killed:
    """A sweep to be killed."""
    return Killed(processes, tmp_path)


def test_a_sweep_survives_two_kills(killed: Killed) -> None:
    """Killed between its cells, and while its table is gathered, it goes on unharmed."""
    operations = killed.operations()
    parts = [number for number, line in enumerate(operations, 1) if re.match(r"os.rename .*/\.cell-.*runs", line)]
    assert len(parts) == 3
    for number in (parts[1], len(operations) - 1):
        killed.check(f"at{number}", signal_at=number, operations=os.devnull)


@pytest.mark.slow
@pytest.mark.parametrize("every", [8, pytest.param(1, marks=pytest.mark.campaign)])
def test_a_sweep_survives_a_kill_at_any_file_operation(killed: Killed, every: int) -> None:
    """Whichever of its file operations is the last before a kill, it goes on: each state that a crash can leave."""
    operations = killed.operations()
    numbers = range(1, len(operations) + 1, every)
    assert len(numbers) >= 20 // every
    for number in numbers:
        killed.check(f"at{number}", signal_at=number, operations=os.devnull)


@pytest.mark.slow
@pytest.mark.parametrize("size", [10, 3000, 10_000])
def test_a_sweep_survives_a_kill_within_a_write(killed: Killed, size: int) -> None:
    """Killed by the write that makes the first file too large, which leaves that file half written, it goes on."""
    killed.operations()
    killed.check(f"cut{size}", largest_file=size)


def test_two_sweeps_cannot_share_a_folder(command: Callable[..., Any], folder: Path) -> None:
    """While one process writes to a folder, another one is refused, and nothing is lost."""
    with sweep_folder.lock_folder(folder):
        done = command(f"resume={folder}")

    assert done.code == 2
    assert done.err.startswith(f"gdbench: {folder} is being written by another gdbench: ")
    assert command(f"resume={folder}").code == 0


@pytest.mark.parametrize("file", ["runs.parquet", "parts/cell-00002.runs.parquet"])
def test_what_cannot_be_read_is_named_and_run_again(command: Callable[..., Any], folder: Path, file: str) -> None:
    """A table or part that is cut off is renamed, with a line that says so, and its cells run again."""
    whole = exact(gdbench.load(folder))
    if "parts" in file:
        drop(folder)
    content = (folder / file).read_bytes()
    (folder / file).write_bytes(content[:-50])
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        done = command(f"resume={folder}", "--quiet")
    name = Path(file).name

    assert done.code == 0
    assert f"gdbench: {folder / file} is renamed to {name}.unreadable: Parquet magic bytes not found" in done.err
    pd.testing.assert_frame_equal(exact(gdbench.load(folder)), whole)
    assert (folder / f"{file}.unreadable").read_bytes() == content[:-50]


def test_a_part_that_cannot_be_read_is_skipped_with_a_warning(folder: Path) -> None:
    """Reading goes on without it, and names it."""
    drop(folder)
    (folder / "parts" / "cell-00001.runs.parquet").write_text("nothing")
    with pytest.warns(SkippedFile, match=r"cell-00001\.runs\.parquet is skipped: it is not a Parquet file of gdbench"):
        runs = gdbench.load("outputs")

    assert set(runs["cell"]) == {0, 2, 3}


@pytest.mark.parametrize("files", representatives([["runs"], ["runs", "traces"]], [["runs", "traces"]]))
def test_a_gathering_that_was_cut_off_is_made_up_for(
    command: Callable[..., Any], folder: Path, files: list[str]
) -> None:
    """Tables beside the parts they were made of tell every run once, before and after the next gathering."""
    whole, traces = gdbench.load(folder), gdbench.load(folder, "traces")
    kept = {name: (folder / f"{name}.parquet").read_bytes() for name in files}
    drop(folder)
    for name, content in kept.items():
        (folder / f"{name}.parquet").write_bytes(content)

    for _ in range(2):
        pd.testing.assert_frame_equal(gdbench.load(folder).sort_values("cell", ignore_index=True), whole)
        both = gdbench.load(folder, "traces")
        pd.testing.assert_frame_equal(
            *(each.sort_values(["run_id", "step"], ignore_index=True) for each in (both, traces))
        )
        assert command(f"resume={folder}", "--quiet").code == 0


@pytest.mark.parametrize("gone", [0, 2, 3])
def test_a_clearing_up_that_was_cut_off_leaves_the_order(command: Callable[..., Any], folder: Path, gone: int) -> None:
    """Killed while it removes what it has gathered, in whatever order, a sweep ends with all rows by their cells."""
    tables = ("runs", "traces")
    whole = {name: gdbench.load(folder, name) for name in tables}
    kept = {name: (folder / f"{name}.parquet").read_bytes() for name in tables}
    drop(folder)
    for name, content in kept.items():
        (folder / f"{name}.parquet").write_bytes(content)
    (folder / "parts" / f"cell-{gone:05d}.runs.parquet").unlink()

    assert command(f"resume={folder}", "--quiet").code == 0
    assert not (folder / "parts").exists()
    for name in tables:
        pd.testing.assert_frame_equal(gdbench.load(folder, name), whole[name])


# ---------------------------------------------------------------------------------------------------- content keys


def test_the_same_question_has_the_same_key_however_it_is_written() -> None:
    """Keys count values, not words, and neither the place nor the name of a sweep."""
    from support.folding import folded

    keys = [
        [cell_fingerprint(job.spec) for job in folded("timing=off", *words)]
        for words in (["lr=0.1,0.2"], ["lr=[0.1,0.2]"], ["lr=interval(0.1,0.2)", "points=2"], ["lr=0.1,0.2", "name=x"])
    ]

    assert keys == [keys[0]] * 4
    different = folded("optimizer=gd,adam", "impl=manual,torch", "steps=3,4", "seed=0,1", "dtype=float32,float64")
    assert len({cell_fingerprint(job.spec) for job in different}) == len(different)


def test_sources_are_followed_through_imports() -> None:
    """A key covers what its objective's family needs, and not what only shows or sweeps."""
    found = find_sources(frozenset({"gdbench.sweeps.job_runner", "gdbench.objectives.classical"}))

    assert {"gdbench.engine.observer", "gdbench.engine.timer", "gdbench.objectives.classical", "gdbench.tree"} <= set(
        found
    )
    assert not any(name.startswith(("gdbench.report", "gdbench.cli.main", "torch", "numpy")) for name in found)
    assert "gdbench.objectives.classification" not in found


def parsed(package: str, text: str) -> set[str]:
    """What a text imports, by Python's own parser."""
    names = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = importlib.util.resolve_name("." * node.level + (node.module or ""), package)
            names |= {base, *(f"{base}.{alias.name}" for alias in node.names)}
    return names


UNUSUAL = '''"""Quoted: from ... import nothing, and import of goods."""
import a.b as c, d; import e  # and f
if True: from g import h
from i import (  # why
    j as k,
    l,  # import not_this
)
from m import n, \\
    o
class P:
    def q(self):
        try:
            from . import r
        finally:
            from .s import *
'''


@pytest.mark.parametrize("stride", representatives([1, 8], [8]))
def test_imports_are_read_off_the_text_as_a_parser_finds_them(tmp_path: Path, stride: int) -> None:
    """Of our own files, of pyarrow's, which are others', and of unusual forms no import is missed."""
    (tmp_path / "unusual.py").write_text(UNUSUAL)
    files = [*Path(gdbench.__file__).parent.rglob("*.py"), *Path(pyarrow.__file__).parent.glob("*.py")]
    for path in [*files[::stride], tmp_path / "unusual.py"]:
        name = f"some.package.of.{path.stem}"
        package = name if path.name == "__init__.py" else "some.package.of"

        assert parsed(package, path.read_text(encoding="utf-8")) <= set(_list_imports(name, path)), path


# ------------------------------------------------------------------------------------------------------------ plan


def test_a_plan_runs_nothing(command: Callable[..., Any], folder: Path) -> None:
    """A dry run lists the cells with their state and the time that earlier ones took, and writes no file."""
    drop(folder, 2)
    before = {file: file.stat().st_mtime_ns for file in Path().rglob("*")}
    done = command("--dry-run", f"resume={folder}")
    rows = json.loads(command("--dry-run", f"resume={folder}", "--json").out)

    assert done.code == 0
    assert [row["state"] for row in rows] == ["done", "done", "missing", "done"]
    assert [row["predicted_s"] for row in rows] == [0, 0, None, 0]
    assert done.out.splitlines()[0] == f"{folder}: 4 cells: 3 done, 1 missing."
    assert "1 cell (2 runs) to run, 1 without an estimate: no earlier sweep has a similar cell." in done.out
    assert {file: file.stat().st_mtime_ns for file in Path().rglob("*")} == before


@pytest.mark.slow
def test_a_plan_of_a_new_sweep_tells_its_time(command: Callable[..., Any], folder: Path) -> None:
    """Cells like earlier ones have a time, also at another size; a single cell can be planned too."""
    rows = json.loads(command("--dry-run", *WORDS, "--json").out)
    (larger,) = json.loads(command("--dry-run", "steps=500", "lr=[0.1,0.2]", "timing=off", "--json").out)

    assert [row["state"] for row in rows] == ["missing"] * 4
    assert all(0 < row["predicted_s"] < 10 for row in rows)
    assert larger["predicted_s"] == pytest.approx(100 * rows[0]["predicted_s"], rel=1e-6)
    assert "A new sweep: 1 cell, none run yet." in command("--dry-run", "steps=7").out


def test_a_bad_plan_is_refused(command: Callable[..., Any]) -> None:
    """What could not run cannot be planned."""
    assert command("--dry-run", "steps=0").code == 2
    assert not Path("outputs").exists()
