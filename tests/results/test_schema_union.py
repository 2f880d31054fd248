from __future__ import annotations

import datetime
import random
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.tiers import count_examples, representatives

import gdbench
from gdbench.results import sweep_folder
from gdbench.results.columns import COLUMNS
from gdbench.results.folder_layout import PARTS
from gdbench.results.index import open_index
from gdbench.results.load import SkippedFile
from gdbench.results.query import parse_query
from gdbench.results.schema_union import MixedTypes, concat_tables
from gdbench.results.sweep_list import get_query_types, list_sweeps

pytestmark = pytest.mark.filterwarnings(
    "always::gdbench.results.load.SkippedFile", "always::gdbench.results.schema_union.MixedTypes"
)

OWN = """
import torch
from gdbench.objectives import Objective


def bowl(width=None):
    return Objective(fn=lambda x: (x**2).sum(), start=torch.ones(2, dtype=torch.float64), minimum=0.0)
"""


@pytest.fixture
def wide(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of a user's own with an objective whose parameter may be anything."""
    folder = tmp_path / "wide"
    (folder / "objective").mkdir(parents=True)
    (folder / "wide_things.py").write_text(OWN)
    (folder / "objective" / "wide.yaml").write_text("_target_: wide_things.bowl\nwidth: null\n")
    monkeypatch.syspath_prepend(str(folder))
    return folder


# ----------------------------------------------------------------------------------------------- the command line


@pytest.mark.parametrize(
    ("values", "texts"),
    representatives(
        [("auto,0.5", ["auto", "0.5"]), ("true,0.5", ["true", "0.5"]), ("[1,2],0.5", ["[1, 2]", "0.5"])],
        [("auto,0.5", ["auto", "0.5"])],
    ),
)
def test_values_of_several_kinds_are_a_sweep_like_any_other(
    command: Callable[..., Any], wide: Path, values: str, texts: list[str]
) -> None:
    """A parameter that is a word here and a number there runs, says so in a line, and stays readable by every verb."""
    done = command(
        "--config-dir",
        str(wide),
        "-m",
        "objective=wide",
        f"objective.width={values}",
        "timing=off",
        "steps=5",
        "--quiet",
    )
    lines = [
        line for line in done.err.splitlines() if line.startswith("gdbench: values of several kinds are read as text")
    ]

    assert done.code == 0
    assert len(lines) == 1
    assert "objective.width" in lines[0]
    folder = next(Path("outputs").glob("*/*"))
    runs = gdbench.load("outputs")
    assert runs["objective.width"].tolist() == texts
    assert [command(*words).code for words in after(folder, runs["run_id"].iloc[0])] == [0] * len(after(folder, ""))
    assert f"objective.width         {texts[0]}" in command("show", runs["run_id"].iloc[0]).out


def after(folder: Path, key: str) -> list[tuple[str, ...]]:
    """Verbs that read all sweeps, or this one."""
    return [
        ("sweeps", "objective.width!=null"), ("report", "--format", "md"), ("show", key),
        ("compare", str(folder), str(folder), "--settings"),
        ("compare", str(folder), str(folder), "--json"), ("sweeps", "watch", "--once"),
        ("--dry-run", f"resume={folder}"),
    ]  # fmt: skip


def test_kinds_that_differ_between_sweeps_are_text_as_well(command: Callable[..., Any], wide: Path) -> None:
    """Two sweeps, one with a number and one with a word: both are loaded, and equal numbers have equal texts."""
    for value in ("auto", "1", "1.0,0.5"):
        words = ("-m", "objective=wide", f"objective.width={value}", "timing=off", "steps=2", "--quiet")
        assert command("--config-dir", str(wide), *words).code == 0

    assert sorted(gdbench.load("outputs")["objective.width"]) == ["0.5", "1", "1", "auto"]
    assert command("sweeps", "objective.width=1").out.startswith("2 sweeps in outputs")


# ----------------------------------------------------------------------------------------------------------- a law

VALUES: dict[str, st.SearchStrategy[Any]] = {
    "null": st.none(),
    "bool": st.booleans(),
    "int": st.integers(-(2**62), 2**62),
    "float": st.floats(),
    "str": st.text(st.characters(codec="utf-8"), max_size=5),
    "list": st.lists(st.one_of(st.integers(-5, 5), st.none()), max_size=3),
    "floats": st.lists(st.floats(-1, 1), max_size=3),
    "words": st.lists(st.text("ab", max_size=2), max_size=3),
    "struct": st.fixed_dictionaries({"a": st.integers(0, 3)}),
    "other struct": st.fixed_dictionaries({"b": st.text("ab", max_size=2)}),
    "time": st.datetimes(datetime.datetime(1900, 1, 1), datetime.datetime(2200, 1, 1), timezones=st.just(datetime.UTC)),
    "naive": st.datetimes(datetime.datetime(1900, 1, 1), datetime.datetime(2200, 1, 1)),
    "bytes": st.binary(max_size=3),
    "date": st.dates(datetime.date(1900, 1, 1), datetime.date(2200, 1, 1)),
}
COLUMN = st.sampled_from(sorted(VALUES)).flatmap(lambda kind: st.lists(VALUES[kind], min_size=1, max_size=3))
SWEEP = st.tuples(st.booleans(), st.lists(COLUMN, min_size=1, max_size=3))
"""Whether a sweep is gathered, and the values of one column in each of its parts."""


def put(place: Path, number: int, values: list[Any], shared: bool = False) -> int:
    """Write a part whose runs have these values in a column; returns how many they are."""
    rows = len(values)
    column = pa.array(values)
    runs = {
        "run_id": [f"{number:08x}{row:08x}" for row in range(rows)],
        "status": ["target"] * rows,
        "cell": pa.array([number] * rows, pa.int64()),
        "objective.width": column.dictionary_encode() if shared and pa.types.is_string(column.type) else column,
    }
    (place / PARTS).mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(runs), place / PARTS / f"cell-{number:05d}.runs.parquet")
    return rows


@settings(max_examples=count_examples(8, 40), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sweeps=st.lists(SWEEP, min_size=1, max_size=4), shared=st.booleans())
def test_no_kinds_of_values_lose_a_row(
    sweeps: list[tuple[bool, list[list[Any]]]], shared: bool, tmp_path: Path
) -> None:
    """Whatever kinds a column has in parts and sweeps: gathering, loading, indexing and asking keep every row."""
    outputs = tmp_path / "outputs"
    shutil.rmtree(outputs, ignore_errors=True)
    rows = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MixedTypes)
        for number, (gathered, parts) in enumerate(sweeps):
            place = outputs / "2026-01-01" / f"00-00-{number:02d}_sweep"
            rows += sum(put(place, cell, values, shared) for cell, values in enumerate(parts))
            if gathered:
                sweep_folder.merge_parts(place)
        runs = gdbench.load(outputs)
        given = [value for _, parts in sweeps for values in parts for value in values]
        missing = sum(value is None for value in given)
        assert len(runs) == rows
        # To pandas a number that is none is missing too.
        assert missing <= runs["objective.width"].isna().sum() <= missing + sum(value != value for value in given)
        with open_index(outputs) as index:
            table = list_sweeps(index, [], outputs)
            present = list_sweeps(index, parse_query(["objective.width!=null"], get_query_types(index)), outputs)
        assert table["runs"].sum() == rows
        assert not table["fault"].any()
        assert present["runs"].sum() == rows - missing


@given(first=st.integers(-(2**62), 2**62), second=st.floats(allow_nan=False))
def test_numbers_lose_no_digit(first: int, second: float) -> None:
    """Whole numbers beside others are floats where that keeps them, and text where it does not."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MixedTypes)
        both = concat_tables([pa.table({"a": [first]}), pa.table({"a": [second]})]).column("a").to_pylist()

    assert both == [first, second] or both[0] == str(first)


# ------------------------------------------------------------------------------------------- text that a cell shares


POOL = pa.proxy_memory_pool(pa.default_memory_pool())
"""Counts what Arrow takes; it lives as long as the tables do."""


def test_text_that_a_cell_shares_is_in_memory_once(tmp_path: Path) -> None:
    """Two cells of 10,000 explicit values each: what takes 2 GB a row apiece takes a few MB, on disk and loaded."""
    rows = 10_000
    usual = pa.default_memory_pool()
    place = tmp_path / "outputs" / "2026-01-01" / "00-00-00_sweep"
    (place / PARTS).mkdir(parents=True)
    pa.set_memory_pool(POOL)
    try:
        for cell in range(2):
            runs = {
                "run_id": np.array([b"%08x%08x" % (cell, row) for row in range(rows)]),
                "status": "target",
                "cell": cell,
                "overrides": f"lr=[{','.join(f'{cell + row / rows:.7g}' for row in range(rows))}]",
                "objective.matrix": str(list(range(20_000))),
            }
            sweep_folder.write_part(place, cell, {"runs": runs})
        sweep_folder.merge_parts(place)
        loaded = gdbench.load(tmp_path / "outputs")
        with open_index(tmp_path / "outputs") as index:
            assert list_sweeps(index, [], tmp_path / "outputs")["runs"].tolist() == [2 * rows]
            assert index.read_rows(["overrides"]).num_rows == 2 * rows
    finally:
        pa.set_memory_pool(usual)

    assert POOL.max_memory() < 50e6
    assert loaded.memory_usage(deep=True)[["overrides", "objective.matrix"]].sum() < 2e6
    assert loaded["overrides"].nunique() == 2
    assert sum(file.stat().st_size for file in tmp_path.rglob("*.parquet")) < 5e6


# -------------------------------------------------------------------------------------------- sweeps that are broken

BREAKAGES: dict[str, Callable[[Path], object]] = {
    "empty": lambda file: file.write_bytes(b""),
    "cut off": lambda file: file.write_bytes(file.read_bytes()[:-100]),
    "no Parquet": lambda file: file.write_text("run,lr\n1,2\n"),
    "a damaged page": lambda file: file.write_bytes(_damaged(file.read_bytes())),
    "somebody else's": lambda file: pq.write_table(pa.table({"a": [1]}), file),
    "a word for a number": lambda file: pq.write_table(pa.table({"run_id": ["a"], "lr": ["fast"]}), file),
    "a name twice": lambda file: pq.write_table(pa.table([["a"], ["b"]], names=["run_id", "run_id"]), file),
    "text that is none": lambda file: pq.write_table(pa.table({"run_id": _garbled()}), file),
}


def _damaged(content: bytes) -> bytes:
    return content[:40] + bytes(255 - byte for byte in content[40:400]) + content[400:]


def _garbled() -> pa.Array:
    return pa.StringArray.from_buffers(1, pa.py_buffer(np.array([0, 2], np.int32)), pa.py_buffer(b"\xff\xfe"))


IDENTITY = (
    "run_id",
    "cell",
    "status",
    "objective",
    "optimizer",
    "impl",
    "dtype",
    "device",
    "seed",
    "lr",
    "steps",
    "sweep",
)
"""Columns that tables have had since the first version."""


def older(table: pa.Table, chance: random.Random) -> pa.Table:
    """A table as another version may have written it: columns fewer, others, and of other widths."""
    lacking = [name for name in table.column_names if name not in IDENTITY]
    for name in chance.sample(lacking, 12):
        table = table.drop_columns(name)
    for name, kind in (("steps", pa.int32()), ("seed", pa.float64()), ("target", pa.float32())):
        if name in table.column_names and chance.random() < 0.5:
            table = table.set_column(table.column_names.index(name), name, table.column(name).cast(kind))
    value = chance.choice([True, 3, 0.5, "auto", [1.0, 2.0], {"a": 1}, None, datetime.datetime.now(datetime.UTC)])
    table = table.append_column("objective.width", pa.array([value] * table.num_rows))
    return table.replace_schema_metadata({})  # the digest of the names came later


def copies(made: Path, outputs: Path, count: int) -> tuple[int, list[Path]]:
    """So many sweeps, a tenth of them broken, made from the table of one; the rows of the others, and the broken."""
    chance = random.Random(17)
    table = pq.read_table(made / "runs.parquet")
    broken = []
    rows = 0
    for number in range(count):
        place = outputs / f"2026-01-{1 + number % 28:02d}" / f"00-{number // 60:02d}-{number % 60:02d}_sweep"
        place.mkdir(parents=True)
        pq.write_table(older(table, chance), place / "runs.parquet")
        shutil.copytree(made / ".hydra", place / ".hydra")
        if number % 10 == 3:
            BREAKAGES[sorted(BREAKAGES)[number // 10 % len(BREAKAGES)]](place / "runs.parquet")
            broken.append(place)
        else:
            rows += table.num_rows
    return rows, broken


@pytest.fixture
def made(once: Callable[..., Path]) -> Path:
    """The folder of a sweep of four runs that really ran, out of the way."""
    return once("-m objective=rosenbrock,beale lr=1e-3,1e-4 steps=5 timing=off outputs=elsewhere --quiet")


def read_all(made: Path, command: Callable[..., Any], count: int) -> None:
    """Load and list so many sweeps: every readable row, and one line for each sweep that cannot be read."""
    rows, broken = copies(made, Path("outputs"), count)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        runs = gdbench.load("outputs")
    said = [str(note.message) for note in caught if note.category is SkippedFile]

    assert len(runs) == rows
    assert sorted(said) == sorted(
        line for line in said for place in broken if f"{place}/runs.parquet is skipped" in line
    )
    assert len(said) == len(broken)
    assert {note.category for note in caught} == {SkippedFile, MixedTypes}
    assert set(COLUMNS) <= set(runs)
    listed = command("sweeps", "--csv", "--limit", "0").out.splitlines()
    assert len(listed) == count + 1
    key = str(runs["run_id"].iloc[0])
    named = {"report": len(broken), "watch": int(max(Path("outputs").glob("*/*")) in broken)}
    for words in (
        ("show", key),
        ("report", "outputs", "--format", "md"),
        ("sweeps", "objective.width=auto"),
        ("sweeps", "watch", "--once"),
    ):
        done = command(*words)
        assert done.code in (0, 1), done.err
        skipped = [line for line in done.err.splitlines() if "is skipped" in line]
        assert len(skipped) == named.get(words["watch" in words], 0)
        assert done.out


@pytest.mark.slow
def test_what_cannot_be_read_is_named_and_skipped(made: Path, command: Callable[..., Any]) -> None:
    """Of thirty sweeps of mixed kinds and versions, three are broken: every verb reads all rows of the others."""
    read_all(made, command, 30)


def test_watching_a_sweep_of_which_nothing_can_be_read_says_so(made: Path, command: Callable[..., Any]) -> None:
    """A sweep without a readable row, damaged or with no cell ended yet, is shown without standings and picture."""
    BREAKAGES["no Parquet"](made / "runs.parquet")
    damaged = command("sweeps", "watch", str(made), "--once")
    (made / "runs.parquet").unlink()
    (made / PARTS).mkdir()
    begun = command("sweeps", "watch", str(made), "--once")

    assert (damaged.code, damaged.err.count("is skipped")) == (1, 1)
    assert "stopped" in damaged.out
    assert (begun.code, begun.err) == (1, "")
    assert "cell 0/2 " in begun.out


@pytest.mark.slow
@pytest.mark.parametrize("count", [100, pytest.param(1000, marks=pytest.mark.campaign)])
def test_many_sweeps_of_mixed_kinds_versions_and_broken_files(
    made: Path, command: Callable[..., Any], count: int
) -> None:
    """The same of a hundred, where each way of being broken comes, and of a thousand."""
    read_all(made, command, count)


@pytest.mark.parametrize("how", sorted(BREAKAGES))
def test_a_sweep_that_is_named_and_cannot_be_read_is_one_line(
    made: Path, command: Callable[..., Any], how: str
) -> None:
    """A broken file that was asked for by name is a mistake in the command: one line that says which and why."""
    BREAKAGES[how](made / "runs.parquet")
    for words in (("report", str(made), "--format", "md"), ("compare", str(made), str(made), "--json")):
        done = command(*words)
        assert done.code == 2
        assert done.err.count("\n") == 1
        assert f"{made}/runs.parquet is not a Parquet file of gdbench" in done.err
