from __future__ import annotations

import datetime
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.folding import folded
from support.processes import Processes

from gdbench.errors import UsageError
from gdbench.results import parquet_files, sweep_folder
from gdbench.results.atomic import write_json
from gdbench.results.columns import COLUMNS
from gdbench.results.folder_layout import PARTS, find_finished_cells
from gdbench.results.load import load
from gdbench.results.sweep_folder import lock_folder
from gdbench.sweeps.executor import execute
from gdbench.sweeps.progress import Silent
from gdbench.sweeps.sweep_spec import SweepSpec

ROOT = Path(__file__).parents[2]
DTYPES = {
    "str": pd.StringDtype(na_value=np.nan),
    "shared": "category",
    "int": pd.Int64Dtype(),
    "float": np.dtype("float64"),
    "bool": pd.BooleanDtype(),
    "time": pd.DatetimeTZDtype("us", "UTC"),
}


def runs(rows: int = 2, **columns: Any) -> dict[str, Any]:
    """The columns of a small cell."""
    return {
        "run_id": np.array([b"%016x" % i for i in range(rows)]),
        "status": np.full(rows, "target", object),
        **columns,
    }


def part(folder: Path, number: int, **columns: Any) -> None:
    """Write a part of runs only."""
    (folder / PARTS).mkdir(parents=True, exist_ok=True)
    sweep_folder.write_part(folder, number, {"runs": runs(**columns)})


# -------------------------------------------------------------------------------------------------------- folders


def test_threads_that_start_together_get_folders_of_their_own(tmp_path: Path) -> None:
    """Hundreds of sweeps that start in the same second never share a folder."""
    with ThreadPoolExecutor(16) as pool:
        folders = list(pool.map(lambda _: sweep_folder.create_folder(str(tmp_path), "sweep"), range(300)))

    assert len(set(folders)) == 300
    assert all(folder.is_dir() for folder in folders)


def test_processes_that_start_together_get_folders_of_their_own(processes: Processes, tmp_path: Path) -> None:
    """Sweeps of several processes at once never share a folder either."""
    program = (
        "from gdbench.results.sweep_folder import create_folder\n"
        "for _ in range(60): print(create_folder('outputs', 'sweep'))"
    )
    started = [processes.fork("-c", program, cwd=tmp_path) for _ in range(3)]
    folders = [line for process in started for line in process.communicate().out.splitlines()]

    assert len(folders) == 180
    assert len(set(folders)) == 180


def test_a_folder_says_when_and_what(tmp_path: Path) -> None:
    """Folders lie by day, and are named by the time and the name given."""
    folder = sweep_folder.create_folder(str(tmp_path), "mine")

    datetime.date.fromisoformat(folder.parent.name)
    datetime.time.fromisoformat(folder.name.removesuffix("_mine").replace("-", ":"))
    assert "_" not in sweep_folder.create_folder(str(tmp_path / "other"), None).name


@pytest.mark.parametrize("name", ["a/b", "../x", "/tmp/x"])
def test_a_name_cannot_lead_out_of_the_outputs(tmp_path: Path, name: str) -> None:
    """A name with a slash is refused by name, not blamed on the disk."""
    with pytest.raises(UsageError, match=r"^name="):
        sweep_folder.create_folder(str(tmp_path), name)


# -------------------------------------------------------------------------------------------------------- writing


def test_parts_are_gathered_in_the_order_of_the_cells(tmp_path: Path) -> None:
    """Cells may end in any order: the table has them by number, and the parts are gone."""
    for cell in (11, 2, 0, 100):
        part(tmp_path, cell, cell=cell)
    assert find_finished_cells(tmp_path) == {0, 2, 11, 100}
    sweep_folder.merge_parts(tmp_path)

    assert load(tmp_path)["cell"].tolist() == [0, 0, 2, 2, 11, 11, 100, 100]
    assert [file.name for file in tmp_path.iterdir()] == ["runs.parquet"]


def test_a_big_table_has_dictionaries_only_where_values_come_again(tmp_path: Path) -> None:
    """A million learning rates, each its own, are written as they are; names and steps once each."""
    (tmp_path / PARTS).mkdir()
    many = parquet_files.SMALL_TABLE_ROWS + 1
    columns = {"lr": np.arange(float(many)), "optimizer": "gd", "steps": np.arange(many) % 7}
    sweep_folder.write_part(tmp_path, 0, {"runs": runs(many, **columns)})
    sweep_folder.merge_parts(tmp_path)
    written = pq.ParquetFile(tmp_path / "runs.parquet").metadata.row_group(0)
    column = {written.column(i).path_in_schema: written.column(i) for i in range(written.num_columns)}

    assert {name: column[name].has_dictionary_page for name in ("lr", "optimizer", "steps")} == {
        "lr": False,
        "optimizer": True,
        "steps": True,
    }
    assert load(tmp_path)["lr"].tolist() == list(range(many))


def test_a_part_counts_when_its_runs_are_there(tmp_path: Path) -> None:
    """Runs are written last: traces without them are of a cell that was cut off."""
    (tmp_path / PARTS).mkdir()
    sweep_folder.write_part(tmp_path, 0, {"traces": {"run_id": np.array([b"0" * 16]), "step": np.array([0])}})

    assert find_finished_cells(tmp_path) == set()


def test_writing_leaves_no_temporary_file(tmp_path: Path) -> None:
    """Files are written beside and renamed: nothing else is left, not even after a failure."""
    part(tmp_path, 0)
    write_json(tmp_path / "environment.json", {"path": tmp_path, "when": datetime.date(2026, 1, 1)})
    with pytest.raises(pa.ArrowInvalid):
        sweep_folder.write_part(tmp_path, 1, {"runs": runs(lr=np.zeros(3))})

    assert {file.name for file in tmp_path.rglob("*") if file.is_file()} == {
        "cell-00000.runs.parquet",
        "environment.json",
    }


def test_a_disk_that_refuses_is_told_in_one_line(tmp_path: Path) -> None:
    """What the system says of a folder that cannot be written becomes a UsageError with a way out."""
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=r"^outputs=.*file cannot be written \(.+\)\. Choose another") as refusal:
        sweep_folder.create_folder(str(tmp_path / "file"), None)

    assert "\n" not in str(refusal.value)


class Looks(Silent):
    """A progress that looks at the disk whenever a cell ends."""

    def __init__(self, place: Path) -> None:
        """Nothing has been seen."""
        self.place, self.seen = place, []

    def finish_job(self, job: Any, statuses: Any) -> None:
        """Count the rows that can be read now."""
        self.seen.append((len(load(self.place)), list(statuses)))


def test_a_cell_is_on_disk_when_it_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a sweep runs, all cells that have ended can be loaded."""
    monkeypatch.chdir(tmp_path)
    looks = Looks(tmp_path)
    execute(SweepSpec(), folded("optimizer=gd,adam,momentum", "lr=0.01,0.02", "steps=3", "timing=off"), looks)

    assert looks.seen == [(2, ["budget"] * 2), (4, ["budget"] * 2), (6, ["budget"] * 2)]


# -------------------------------------------------------------------------------------------------------- reading


@pytest.fixture(scope="module")
def sweeps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two sweeps: of methods with different hyper-parameters, and of one that fails beside one that is not there."""
    import gdbench

    outputs = tmp_path_factory.mktemp("outputs")
    shared: dict[str, Any] = {"timing": "off", "outputs": outputs, "steps": 20}
    gdbench.sweep("rosenbrock", optimizer=["adam", "lbfgs", "momentum"], impl="torch", lr=[1e-3, 1e-2], **shared)
    gdbench.sweep("mlp", optimizer="gd", **{**shared, "steps": 2}, **{"objective.hidden": 2, "objective.samples": 20})
    return outputs


def test_every_column_has_the_type_that_was_promised(sweeps: Path) -> None:
    """Each column of COLUMNS is there, in order, with its type: missing whole numbers do not make floats."""
    frame = load(sweeps)

    assert list(frame)[: len(COLUMNS)] == list(COLUMNS)
    assert {name: frame[name].dtype for name in COLUMNS} == {
        name: DTYPES[column.kind] for name, column in COLUMNS.items()
    }


def test_a_table_in_which_nothing_was_measured_has_every_column_too(tmp_path: Path) -> None:
    """Unavailable runs alone make a table of the same columns and types."""
    import gdbench

    frame = gdbench.sweep(optimizer="lbfgs", impl="manual", timing="off", outputs=tmp_path)

    assert frame["status"].tolist() == ["unavailable"]
    assert {name: frame[name].dtype for name in COLUMNS} == {
        name: DTYPES[column.kind] for name, column in COLUMNS.items()
    }


def test_columns_beside_the_promised_are_parameters(sweeps: Path) -> None:
    """Whatever else runs.parquet holds is named optimizer.* or objective.*."""
    frame = load(sweeps)

    assert not [name for name in frame if name not in COLUMNS and not name.startswith(("optimizer.", "objective."))]


def test_methods_with_other_parameters_stand_in_one_table(sweeps: Path) -> None:
    """A parameter is null in the rows of methods that do not have it."""
    frame = load(sweeps).set_index("optimizer")

    assert frame.loc["adam", "optimizer.beta1"].tolist() == [0.9, 0.9]
    assert frame.loc["momentum", "optimizer.beta1"].isna().all()
    assert frame.loc["lbfgs", "optimizer.history_size"].tolist() == [100, 100]
    assert frame["optimizer.history_size"].dtype == pd.Int64Dtype()
    assert frame["objective.n"].tolist()[:-1] == [2] * 6


def test_traces_hold_points_where_they_are_small(sweeps: Path) -> None:
    """x is a list of n numbers for n <= 16 and null beyond; traces begin at the start and end at the end."""
    traces = load(sweeps, "traces")
    small = traces[traces["run_id"].isin(load(sweeps).query("objective == 'rosenbrock'")["run_id"])]
    big = traces[~traces["run_id"].isin(small["run_id"])]

    assert {len(x) for x in small["x"]} == {2}
    assert small.groupby("run_id")["step"].min().unique().tolist() == [0]
    assert small["step"].max() == 20
    assert big["x"].isna().all()
    assert len(big) == 3


@pytest.mark.slow
def test_a_place_is_named_in_many_ways(sweeps: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of folders, one folder, a file, a pattern, and a list of them all load, each sweep once."""
    first, second = sorted(sweeps.glob("*/*"))
    whole = load(sweeps)
    monkeypatch.chdir(sweeps.parent)
    ways = [
        str(sweeps),
        sweeps / first.parent.name,
        f"{sweeps}/*/*",
        f"{sweeps}/**/runs.parquet".replace("**", "*/*"),
        [first, second],
        [first / "runs.parquet", second],
        [first, sweeps],
        sweeps.name,
    ]

    assert len(whole) == 7
    for way in ways:
        pd.testing.assert_frame_equal(load(way), whole)
    assert len(load(first)) == 6
    assert len(load(second / "runs.parquet")) == 1


@pytest.mark.parametrize("place", ["nowhere", "nowhere/*", ".", []])
def test_nothing_to_load_is_a_clear_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: Any) -> None:
    """An empty place is refused with what to do, not answered with an empty table."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=r"^nothing to load at .*: no runs\.parquet is there\. Run a sweep first\.$"):
        load(place)


@pytest.mark.parametrize("harm", ["cut", "empty", "text", "noise"])
def test_a_file_that_is_no_table_is_named(tmp_path: Path, harm: str) -> None:
    """A truncated or foreign file is refused by its name, in one line."""
    file = tmp_path / "runs.parquet"
    pq.write_table(pa.table({"run_id": ["a"] * 1000}), file)
    whole = file.read_bytes()
    file.write_bytes({"cut": whole[:-20], "empty": b"", "text": b"hello", "noise": whole[:4] + b"\0" * 99}[harm])
    with pytest.raises(UsageError, match=r"runs\.parquet is not a Parquet file of gdbench \(") as refusal:
        load(tmp_path)

    assert "\n" not in str(refusal.value)


def test_a_foreign_table_is_refused(tmp_path: Path) -> None:
    """A Parquet file of somebody else's is no sweep."""
    pq.write_table(pa.table({"name": ["a"], "run_id": [1]}), tmp_path / "runs.parquet")
    with pytest.raises(UsageError, match=r"runs\.parquet is not a Parquet file of gdbench"):
        load(tmp_path)


def test_a_foreign_table_beside_a_sweep_is_refused_too(sweeps: Path, tmp_path: Path) -> None:
    """A column of another type is told with the file that brought it."""
    pq.write_table(pa.table({"run_id": ["a"], "status": ["x"], "lr": ["a word"]}), tmp_path / "runs.parquet")
    with pytest.raises(UsageError, match=r"runs\.parquet is not .* \(its column lr is string, not double\)"):
        load([tmp_path, sweeps])


VALUES: dict[str, Callable[[], Any]] = {
    "lr": lambda: st.floats(allow_nan=True),
    "seed": lambda: st.integers(-(2**63), 2**63 - 1),
    "error": lambda: st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
    "timed": st.booleans,
}


@pytest.mark.parametrize("name", VALUES)
def test_values_survive_the_disk(name: str, tmp_path: Path) -> None:
    """What is written is read, to the last bit, and masked values are null."""

    @settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
    @given(st.lists(st.tuples(VALUES[name](), st.booleans()), min_size=1, max_size=5))
    def holds(pairs: list[tuple[Any, bool]]) -> None:
        values, hidden = zip(*pairs, strict=True)
        plain = np.array(values, dtype={"error": object, "seed": np.int64}.get(name))
        given_ = plain if name == "error" else np.ma.array(plain, mask=hidden)
        part(tmp_path, 0, rows=len(values), **{name: given_})
        read = load(tmp_path)[name]
        missing = [value is None for value in values] if name == "error" else list(hidden)

        for value, null, back in zip(values, missing, read, strict=True):
            if null or value != value:
                assert pd.isna(back)
            else:
                assert back == value

    holds()


def test_a_constant_is_stored_as_its_column(tmp_path: Path) -> None:
    """A value that all runs share is written once and read in every row; None is null of the right type."""
    example = {"str": "word", "shared": "words", "int": 3, "float": 0.5, "bool": True}
    kinds = {name: column.kind for name, column in COLUMNS.items() if column.kind != "time"}
    values = {name: example[kind] for name, kind in kinds.items() if name not in ("run_id", "status")}
    part(tmp_path, 0, rows=3, **values)
    part(tmp_path, 1, rows=1, **dict.fromkeys(values))
    read = load(tmp_path)

    assert {name: read[name].dtype for name in kinds} == {name: DTYPES[kind] for name, kind in kinds.items()}
    for name, value in values.items():
        assert (read[name][:3] == value).all(), name
        assert read[name][3:].isna().all(), name


@pytest.mark.slow
def test_a_sweep_without_rows_says_how_to_go_on(command: Callable[..., Any]) -> None:
    """Of a sweep in which no cell has ended a verb says that it runs, or that it was interrupted, and what to write."""
    command("optimizer=gd,adam", "steps=2", "timing=off", "--quiet")
    (folder,) = Path("outputs").glob("*/*")
    (folder / "runs.parquet").unlink()
    (folder / "parts").mkdir(exist_ok=True)
    stopped = command("show", str(folder))
    with lock_folder(folder):
        running = command("report", str(folder))

    assert (stopped.code, running.code) == (2, 2)
    assert stopped.err == (
        f"gdbench: {folder} has no rows: it was interrupted before the first of its 2 cells had ended. Resume it:"
        f" python -m gdbench resume={folder}.\n"
    )
    assert running.err == (
        f"gdbench: {folder} has no rows yet: it runs, and the first of its 2 cells has not ended. Follow it: python -m"
        f" gdbench sweeps watch {folder}.\n"
    )
    assert command(f"resume={folder}", "--quiet").code == 0
    assert len(load(folder)) == 2
