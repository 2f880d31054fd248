from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.tiers import representatives

import gdbench
from gdbench.errors import UsageError, format_install_command
from gdbench.results import sweep_folder
from gdbench.results.columns import COLUMNS
from gdbench.results.costs import select_comparable
from gdbench.results.index import FOLDER, open_index
from gdbench.results.labels import Labels, read_labels, update_labels
from gdbench.results.load import load
from gdbench.results.query import parse_query
from gdbench.results.ranking import rank_configurations, select_best
from gdbench.results.sweep_list import get_query_types, list_sweeps
from gdbench.results.sweep_lookup import find_sweep

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two sweeps that really ran, 12 runs on two objectives and 1 on a third."""
    outputs = tmp_path_factory.mktemp("store") / "outputs"
    shared: dict[str, Any] = {"timing": "off", "outputs": outputs, "steps": 40}
    gdbench.sweep(
        ["rosenbrock", "notebook_manual"], optimizer=["gd", "adam"], lr=[1e-3, 0.1, 3.0], name="first", **shared
    )
    gdbench.sweep("beale", optimizer="gd", **shared)
    return outputs


@pytest.fixture
def outputs(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of them, as ``outputs`` in the working folder."""
    shutil.copytree(made, tmp_path / "outputs", ignore=shutil.ignore_patterns(FOLDER))
    monkeypatch.chdir(tmp_path)
    return Path("outputs")


@pytest.fixture(scope="module")
def rows(made: Path) -> pd.DataFrame:
    """All runs of the two sweeps."""
    return load(made)


def listed(*words: str, outputs: Path = Path("outputs")) -> pd.DataFrame:
    """The list of sweeps that a query gives."""
    with open_index(outputs) as index:
        return list_sweeps(index, parse_query(words, get_query_types(index)), outputs).sort_values("folder")


def the_first(outputs: Path) -> Path:
    """The larger sweep."""
    return next(outputs.glob("*/*_first"))


# ----------------------------------------------------------------------------------------------------------- the list


def test_the_list_tells_what_the_tables_hold(outputs: Path) -> None:
    """Cells, runs, statuses and the best run are those of the sweep's own table."""
    table = listed().set_index("name")
    runs = load(the_first(outputs))
    best = select_best(rank_configurations(select_comparable(runs)), ["problem"]).iloc[0]
    row = table.loc["first"]

    assert (row["runs"], row["cells"], row["planned"]) == (12, 4, 4)
    assert row["statuses"] == runs["status"].value_counts().to_dict()
    assert (row["best_run_id"], row["best_lr"]) == (best["run_id"], best["lr"])
    assert (row["best_value"], row["best_measure"]) == (best["value"], best["measure"])
    assert row["when"] == runs["started_at"].min().floor("s")
    assert table.loc["sweep", "statuses"] == load(find_sweep("sweep", outputs))["status"].value_counts().to_dict()


QUERIES = {
    "optimizer=adam": "optimizer == 'adam'",
    "optimizer=adam,nobody": "optimizer == 'adam'",
    "optimizer!=adam": "optimizer != 'adam'",
    "objective=rosen*": "objective == 'rosenbrock'",
    "objective~NOTE": "objective == 'notebook_manual'",
    "lr<0.1": "lr < 0.1",
    "lr<=0.1": "lr <= 0.1",
    "lr >= 0.1": "lr >= 0.1",
    "lr=1e-3,3": "lr == 0.001 or lr == 3",
    "optimizer.beta1=0.9": "`optimizer.beta1` == 0.9",
    "steps_to_target=null": "steps_to_target.isna()",
    "steps_to_target!=null": "steps_to_target.notna()",
    "timed=false": "timed == False",
    "seed=0": "seed == 0",
    "started_at>2020-01-01": "seed == 0",
    "hit_1e-01<20": "`hit_1e-01` < 20",
    "target_loss=1": "seed == 1",
}


@pytest.mark.parametrize("word", QUERIES)
def test_a_condition_counts_the_runs_for_which_it_holds(made: Path, rows: pd.DataFrame, word: str) -> None:
    """A condition on a column of runs means what pandas makes of the same words; sweeps without such a run are gone."""
    kept = rows.query(QUERIES[word])
    found = listed(word, outputs=made)

    assert found["runs"].tolist() == [int(n) for n in kept.groupby("sweep").size()]
    assert found["folder"].tolist() == sorted(kept["sweep"].unique())


@pytest.mark.once
@settings(max_examples=8)
@given(st.lists(st.sampled_from(sorted(QUERIES)), min_size=2, max_size=3, unique=True))
def test_all_conditions_must_hold(made: Path, rows: pd.DataFrame, words: list[str]) -> None:
    """Several conditions keep the runs for which each holds."""
    kept = rows
    for word in words:
        kept = kept.query(QUERIES[word])

    assert listed(*words, outputs=made)["runs"].sum() == len(kept)


ASKED = [
    (["since=1d"], ["first", "sweep"]),
    (["until=1d"], []),
    (["since=2020-01-01", "until=2020-01-02T12:00"], []),
    (["name=fir*"], ["first"]),
    (["runs>1"], ["first"]),
    (["cells<=1"], ["sweep"]),
    (["folder~first"], ["first"]),
    (["tag=good"], ["first"]),
    (["tag!=good"], ["sweep"]),
    (["tag=null"], ["sweep"]),
    (["note~hand"], ["first"]),
    (["note=null"], ["sweep"]),
    (["name=first", "status=target"], ["first"]),
    (["name=sweep", "optimizer=adam"], []),
]
"""Conditions on whole sweeps, and the sweeps that they leave."""


def test_sweeps_are_asked_for_by_what_they_are(outputs: Path) -> None:
    """Time, name, tags, note and counts pick whole sweeps."""
    update_labels(the_first(outputs), lambda held: Labels(tags=("good", "old"), note="made by hand"))
    for words, names in ASKED:
        assert listed(*words)["name"].tolist() == names, words


@pytest.mark.parametrize(
    ("word", "line"),
    [
        ("optimzer=adam", r"optimzer is no column of these sweeps\. Did you mean optimizer\?"),
        ("beta1=0.9", r"beta1 is no column of these sweeps\. Did you mean optimizer\.beta1\?"),
        ("adam", r"sweeps adam is not known\. Allowed: watch, .* or a query COLUMN=VALUE, such as optimizer=adam\."),
        ("lr=fast", r"lr=fast must be a number, or null\."),
        ("timed=maybe", r"timed=maybe must be true, false or null\."),
        ("since=yesterday", r"since=yesterday must be 2026-11-01"),
        ("since<7d", r"since<7d: write since=2026-11-01"),
        ("optimizer<adam", r"optimizer<adam: optimizer is text; it can be compared by = != ~ alone\."),
    ],
)
def test_a_bad_query_is_one_line(made: Path, command: Callable[..., Any], word: str, line: str) -> None:
    """What cannot be asked is refused with the column that came and the nearest allowed ones, exit code 2."""
    done = command("sweeps", word, "--outputs", str(made))

    assert done.code == 2
    assert done.out == ""
    assert re.match(f"gdbench: {line}", done.err), done.err
    assert done.err.count("\n") == 1


@pytest.mark.parametrize("words", [["--sort", "best"], ["--csv", "--json"], ["--sql", "select 1", "lr=1"]])
def test_options_that_mean_nothing_are_refused(made: Path, command: Callable[..., Any], words: list[str]) -> None:
    """An unknown column to sort by, and options that exclude each other, are one line each."""
    done = command("sweeps", *words, "--outputs", str(made))

    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)


def test_forms_hold_the_same(outputs: Path, command: Callable[..., Any]) -> None:
    """CSV and JSON hold every column of each sweep, in the order that was asked for; a limit cuts all of them."""
    rows = json.loads(command("sweeps", "--json", "--sort", "runs").out)
    lines = list(csv.DictReader(io.StringIO(command("sweeps", "--csv", "--sort", "runs").out)))

    assert [row["name"] for row in rows] == [line["name"] for line in lines] == ["sweep", "first"]
    assert list(rows[0].keys() - lines[0].keys()) == []
    assert [row["name"] for row in json.loads(command("sweeps", "--json", "--sort", "-runs", "--limit", "1").out)] == [
        "first"
    ]
    assert rows[1]["statuses"] == dict(load(the_first(outputs))["status"].value_counts())


@pytest.mark.parametrize("width", [60, 80, 120])
def test_the_table_fits_the_terminal(outputs: Path, width: int) -> None:
    """At any width no line is longer, each sweep has a line, and what is not shown is named."""
    from rich.console import Console

    from gdbench.report.terminal.listing import render_sweeps

    update_labels(the_first(outputs), lambda held: Labels("a_rather_long_name", ("good",), "A note of many words."))
    screen = io.StringIO()
    Console(file=screen, width=width).print(render_sweeps(listed(), 2, outputs, width))
    lines = screen.getvalue().splitlines()

    assert max(map(len, lines)) <= width
    assert all(any(line.startswith(folder) for line in lines) for folder in listed()["folder"])
    assert ("Not shown for lack of width" in screen.getvalue()) or width == 120


# ---------------------------------------------------------------------------------------------------------- the index


def counts() -> dict[str, int]:
    """The runs of each sweep that is listed, by its folder."""
    table = listed()
    return dict(zip(table["folder"], table["runs"], strict=True))


@pytest.mark.parametrize(
    "harm", representatives(["gone", "empty", "cut", "flipped", "foreign", "renamed"], ["gone", "cut", "renamed"])
)
def test_a_harmed_index_loses_nothing(outputs: Path, harm: str) -> None:
    """Whatever happens to the files of the index, the list is the same, and the index whole again."""
    before = listed()
    (file,) = (outputs / FOLDER).glob("*.parquet")
    content = file.read_bytes()
    half = len(content) // 2
    flipped = content[:half] + bytes([content[half] ^ 1]) + content[half + 1 :]
    if harm == "gone":
        shutil.rmtree(outputs / FOLDER)
    elif harm == "renamed":
        file.rename(file.with_name("other.parquet"))
    else:
        file.write_bytes({"empty": b"", "cut": content[:-9], "flipped": flipped, "foreign": b"hello"}[harm])

    pd.testing.assert_frame_equal(listed(), before)
    assert [each.name for each in (outputs / FOLDER).glob("*.parquet")] == [file.name]


def test_an_index_is_not_read_again_where_nothing_changed(outputs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second list reads no table of a sweep."""
    before = listed()
    monkeypatch.setattr("gdbench.results.index.read_sweep_table", None)

    pd.testing.assert_frame_equal(listed(), before)


def test_folders_that_change_vanish_or_come_are_noticed(outputs: Path) -> None:
    """A changed table, one replaced by another of its size and time, a removed and a copied folder are all noticed."""
    first, second = the_first(outputs), find_sweep("sweep", outputs)
    counted = counts()
    file = first / "runs.parquet"
    state = file.stat()
    table = pq.read_table(file)
    shutil.copytree(second, outputs / "from_elsewhere" / "theirs")
    pq.write_table(table.slice(0, 5), file)
    assert counts() == {**counted, f"{first.parent.name}/{first.name}": 5, "from_elsewhere/theirs": 1}

    replaced = file.read_bytes()
    file.write_bytes(replaced[::-1])
    file.write_bytes(replaced)
    os.utime(file, ns=(state.st_atime_ns, state.st_mtime_ns))
    shutil.rmtree(second)
    assert counts() == {f"{first.parent.name}/{first.name}": 5, "from_elsewhere/theirs": 1}


@pytest.mark.slow
def test_many_small_changes_leave_few_files(outputs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sweeps that come one after the other are gathered in few files of the index, and all are there."""
    monkeypatch.setattr("gdbench.results.index.MAX_SMALL_SEGMENTS", 2)
    for number in range(5):
        shutil.copytree(find_sweep("sweep", outputs), outputs / "copies" / f"copy{number}")
        counts()

    assert len(counts()) == 2 + 5
    assert set(counts().values()) == {1, 12}
    assert len(list((outputs / FOLDER).glob("*.parquet"))) <= 2


def test_an_index_that_cannot_be_written_is_told_and_done_without(outputs: Path, command: Callable[..., Any]) -> None:
    """Where the index cannot be kept, the list is the same, with one line that says so."""
    before = json.loads(command("sweeps", "--json").out)
    shutil.rmtree(outputs / FOLDER)
    (outputs / FOLDER).write_text("in the way")
    done = command("sweeps", "--json")

    assert json.loads(done.out) == before
    assert done.err.startswith(f"gdbench: outputs/{FOLDER} cannot be written (")
    assert done.err.count("\n") == 1


@pytest.mark.parametrize("content", [b"", b"hello", None])
def test_what_is_no_table_is_listed_with_the_reason(
    outputs: Path, command: Callable[..., Any], content: bytes | None
) -> None:
    """A table that is cut off, or somebody else's, is named, and the others are listed."""
    place = outputs / "strange" / "thing"
    place.mkdir(parents=True)
    if content is None:
        pq.write_table(pa.table({"name": ["a"]}), place / "runs.parquet")
    else:
        (place / "runs.parquet").write_bytes(content)
    done = command("sweeps")

    assert done.code == 0
    assert "3 sweeps" in done.out
    assert "strange/thing: " in " ".join(done.out.split())
    assert "is not a Parquet file of gdbench" in " ".join(done.out.split())


def test_columns_of_other_types_stand_beside_each_other(outputs: Path) -> None:
    """A parameter that is a number in one sweep and text in another is compared as text."""
    file = find_sweep("sweep", outputs) / "runs.parquet"
    table = pq.read_table(file)
    table = table.append_column("optimizer.beta1", pa.array(["auto"] * len(table)))
    pq.write_table(table.replace_schema_metadata(None), file)  # as of a version that wrote no digest of names

    assert listed("optimizer.beta1=auto")["name"].tolist() == ["sweep"]
    assert listed("optimizer.beta1=0.9")["name"].tolist() == ["first"]
    pytest.importorskip("duckdb")
    with open_index(outputs) as index:
        from gdbench.results.sql import run_sql

        found = run_sql(index, 'select distinct "optimizer.beta1" b from runs where b is not null order by b', outputs)
    assert found["b"].tolist() == ["0.9", "auto"]


def test_a_list_loads_no_torch(outputs: Path, shell: Callable[..., Any]) -> None:
    """Neither torch nor hydra, nor what draws reports, is imported to list sweeps."""
    program = """
import sys
from gdbench.cli.main import main
assert main(["sweeps"]) == 0
slow = ("torch", "hydra", "omegaconf", "scipy", "sklearn", "altair", "duckdb")
assert not [name for name in slow if name in sys.modules]
"""
    done = shell("-c", program, real=True)

    assert done.code == 0, done.err
    assert "2 sweeps in outputs" in done.out


# -------------------------------------------------------------------------------------------------------------- in SQL


def test_sql_sees_every_run_and_every_sweep(outputs: Path, command: Callable[..., Any]) -> None:
    """The tables runs and sweeps answer a statement as pandas does; the answer comes as table, CSV or JSON."""
    pytest.importorskip("duckdb")
    statement = "select folder, optimizer, count(*) n, min(best_loss) least from runs group by all order by all"
    found = json.loads(command("sweeps", "--json", "--sql", statement).out)
    expected = load(outputs).groupby(["sweep", "optimizer"])["best_loss"].agg(["size", "min"]).reset_index()

    assert [tuple(row.values()) for row in found] == list(expected.itertuples(index=False, name=None))
    assert command("sweeps", "--csv", "--sql", "select sum(runs) s from sweeps").out == "s\n13.0\n"
    assert "13" in command("sweeps", "--sql", "select count(*) from runs").out
    assert set(COLUMNS) <= set(
        command("sweeps", "--csv", "--sql", "select * from runs limit 1").out.split("\n")[0].split(",")
    )


def test_wrong_sql_is_one_line(outputs: Path, command: Callable[..., Any]) -> None:
    """DuckDB's own words, on one line, with the tables that there are."""
    pytest.importorskip("duckdb")
    for statement in ("selct 1", "select nothing from runs", "select * from elsewhere"):
        done = command("sweeps", "--sql", statement)
        assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
        assert "runs, sweeps" in done.err


REFUSED = (
    "copy (select 1 x) to '{table}'",
    "copy (select 1 x) to '{table}' (use_tmp_file false)",
    "explain analyze copy (select 1 x) to '{table}'",
    "select 1; copy (select 1 x) to '{table}'",
    "pivot runs on lr; copy (select 1 x) to '{table}'",
    "attach '{folder}/made.db'",
    "export database '{folder}/exported'",
    "create table mine as select 1",
    "set enable_external_access = true",
    "install httpfs",
    "pragma version",
    "",
    "select * from read_text('/etc/hostname')",
    "select * from read_csv('/etc/passwd')",
    "select * from glob('/etc/*')",
    "select * from '/etc/hostname'",
    "select * from index",
    "select * from _lock",
)
"""Statements that do more than look at the sweeps, in every way that DuckDB has."""


def test_sql_neither_writes_nor_reads_another_file(outputs: Path, command: Callable[..., Any]) -> None:
    """What would do more than look at the sweeps is refused in one line, and every file is as it was."""
    assert command("sweeps").code == 0  # makes the index
    before = {file: file.read_bytes() for file in outputs.rglob("*") if file.is_file()}
    table = next(outputs.rglob("runs.parquet")).absolute()
    for statement in REFUSED:
        done = command("sweeps", "--sql", statement.format(table=table, folder=outputs.absolute()))
        assert (done.code, done.out, done.err.count("\n")) == (2, "", 1), statement
        assert done.err.startswith("gdbench: --sql"), statement
        after = {file: file.read_bytes() for file in outputs.rglob("*") if file.is_file()}
        assert after == before, statement


@pytest.mark.parametrize(
    "statement",
    ["from runs limit 1", "describe runs", "with a as (select 1 x) select * from a", "pivot runs on lr using count(*)"],
)
def test_sql_takes_every_kind_of_selection(outputs: Path, command: Callable[..., Any], statement: str) -> None:
    """FROM, DESCRIBE, WITH and PIVOT select as SELECT does."""
    done = command("sweeps", "--csv", "--sql", statement)
    assert (done.code, done.err) == (0, "")


def test_sql_without_duckdb_says_how_to_get_it(
    outputs: Path, command: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where DuckDB is missing, one line holds the command that installs it."""
    monkeypatch.setitem(sys.modules, "duckdb", None)
    done = command("sweeps", "--sql", "select 1")

    assert (done.code, done.err) == (2, f"gdbench: --sql needs DuckDB: {format_install_command('sql')}\n")


# --------------------------------------------------------------------------------------------------------- the labels


def test_labels_are_kept_in_the_sweeps_folder(outputs: Path, command: Callable[..., Any]) -> None:
    """Name, tags and note survive the loss of the index, and find the sweep."""
    folder = the_first(outputs)

    def label(*words: str) -> str:
        return command("sweeps", "label", *words).out.removeprefix(f"{folder}: ").rstrip("\n")

    assert command("sweeps", "label", "first", "--name", "best").code == 0
    assert label("best", "--tag", "good", "--tag", "old,worn") == "name best, tags good old worn, no note"
    assert label("best", "--untag", "old,w*") == "name best, tags good, no note"
    assert label("best", "--note", "made by hand") == "name best, tags good, note: made by hand"
    assert label("best") == "name best, tags good, note: made by hand"
    shutil.rmtree(outputs / FOLDER, ignore_errors=True)

    assert read_labels(folder) == Labels("best", ("good",), "made by hand")
    assert listed("name=best", "tag=good")["note"].tolist() == ["made by hand"]
    assert json.loads(command("sweeps", "label", "best", "--json").out) == {
        "folder": str(folder),
        "name": "best",
        "tags": ["good"],
        "note": "made by hand",
    }
    assert label("best", "--name", "", "--untag", "*", "--note", "") == "no name set, no tags, no note"


@pytest.mark.parametrize(
    "words",
    [
        ("sweeps", "label", "nobody", "--name", "x"),
        ("sweeps", "label", "first", "--name", "two words"),
        ("sweeps", "label", "first", "--tag", "a b"),
        ("sweeps", "label"),
        ("sweeps", "label", "20", "--name", "x"),
        ("sweeps", "rm", "first"),
        ("sweeps", "archive", "first", "sweep"),
        ("sweeps", "restore", "nowhere.zip"),
    ],
)
def test_a_mistake_with_a_sweep_is_one_line(outputs: Path, command: Callable[..., Any], words: tuple[str, ...]) -> None:
    """A sweep that is not there, or may be several, and a label that no query could hold change nothing."""
    before = sorted(outputs.rglob("*"))
    done = command(*words)

    assert done.code == 2
    assert len([line for line in done.err.splitlines() if line.startswith("gdbench: ")]) == 1
    assert sorted(outputs.rglob("*")) == before


def test_labels_that_cannot_be_read_are_told(outputs: Path, command: Callable[..., Any]) -> None:
    """A harmed labels.json hides no sweep, and is not written over."""
    (the_first(outputs) / "labels.json").write_text("{")

    assert listed()["note"].tolist() == ["(its labels.json cannot be read)", ""]
    assert "labels.json cannot be read" in command("sweeps", "label", "first", "--tag", "x").err
    assert (the_first(outputs) / "labels.json").read_text() == "{"


# ------------------------------------------------------------------------------------------------- away and elsewhere


def test_rm_removes_what_was_named_and_nothing_else(outputs: Path, command: Callable[..., Any]) -> None:
    """Its folder goes, and the day's when that is empty; a file of the user's is told before."""
    (the_first(outputs) / "mine.txt").write_text("mine")
    day = the_first(outputs).parent
    done = command("sweeps", "rm", "first", "--yes")

    assert done.code == 0
    assert "1 of them not made by gdbench (mine.txt first)" in done.out
    assert listed()["name"].tolist() == ["sweep"]
    assert command("sweeps", "rm", "sweep", "--yes").code == 0
    assert not day.exists()
    assert outputs.is_dir()


def test_a_sweep_that_runs_is_left_alone(outputs: Path, command: Callable[..., Any]) -> None:
    """rm and archive refuse a folder that is being written."""
    with sweep_folder.lock_folder(the_first(outputs)):
        done = [command("sweeps", "rm", "first", "--yes"), command("sweeps", "archive", "first")]

    assert [each.code for each in done] == [2, 2]
    assert all("is being written by a sweep that runs" in each.err for each in done)
    assert not list(Path().glob("*.zip"))


def test_an_archive_gives_the_same_folders(outputs: Path, command: Callable[..., Any]) -> None:
    """Every file comes back, bit for bit, labels too, and sha256sum agrees."""
    command("sweeps", "label", "first", "--tag", "good")
    folders = [the_first(outputs), find_sweep("sweep", outputs)]
    wanted = {
        file: file.read_bytes()
        for folder in folders
        for file in folder.rglob("*")
        if file.is_file() and not file.name.endswith("lock")
    }
    assert command("sweeps", "archive", "first", "sweep", "--to", "both.zip").code == 0
    assert command("sweeps", "archive", "first", "--to", "both.zip").code == 2
    refused = command("sweeps", "restore", "both.zip")
    assert (refused.code, " exists: " in refused.err) == (2, True)
    assert command("sweeps", "rm", "first", "sweep", "--yes").code == 0
    done = command("sweeps", "restore", "both.zip")

    assert done.out.splitlines() == sorted(map(str, folders))
    assert {file: file.read_bytes() for file in wanted} == wanted
    assert listed("tag=good")["name"].tolist() == ["first"]
    with zipfile.ZipFile("both.zip") as zipped:
        zipped.extractall("plain")
    assert subprocess.run(["sha256sum", "-c", "--quiet", "SHA256SUMS"], cwd="plain", check=False).returncode == 0


def harmed(files: dict[str, bytes], harm: str) -> dict[str, bytes]:
    """The files of an archive, and its hashes, after somebody has been at them."""
    some = next(name for name in files if name.endswith("command.json"))
    if harm == "outside":
        outside = f"{hashlib.sha256(b'x').hexdigest()}  ../x\n".encode()
        return {**files, "../x": b"x", "SHA256SUMS": files["SHA256SUMS"] + outside}
    if harm in ("changed", "added"):
        return {**files, (some if harm == "changed" else "more.txt"): b"more"}
    gone = "SHA256SUMS" if harm == "no hashes" else some
    return {name: data for name, data in files.items() if name != gone}


@pytest.mark.parametrize("harm", ["changed", "added", "missing", "no hashes", "outside", "cut", "flipped", "foreign"])
def test_a_harmed_archive_unpacks_nothing(outputs: Path, command: Callable[..., Any], harm: str) -> None:
    """An archive that is cut off, foreign, or not as it was packed is refused in one line, and leaves nothing."""
    command("sweeps", "archive", "first", "--to", "a.zip")
    if harm not in ("cut", "flipped", "foreign"):
        with zipfile.ZipFile("a.zip") as zipped:
            files = {name: zipped.read(name) for name in zipped.namelist()}
        with zipfile.ZipFile("a.zip", "w") as zipped:
            for name, data in harmed(files, harm).items():
                zipped.writestr(name, data)
    else:
        content = Path("a.zip").read_bytes()
        half = content[: len(content) // 2]
        flipped = half + bytes([content[len(half)] ^ 255]) + content[len(half) + 1 :]
        Path("a.zip").write_bytes({"cut": half, "flipped": flipped, "foreign": b"hello"}[harm])
    done = command("sweeps", "restore", "a.zip", "--outputs", "other")

    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert not Path("x").exists()
    assert not [*Path("other").rglob("*")]


def test_find_takes_folders_names_and_beginnings(outputs: Path) -> None:
    """A sweep is meant by its folder, its path within outputs, its name, or the begin of its date or time."""
    folder = the_first(outputs)

    for word in (str(folder), f"{folder.parent.name}/{folder.name}", "first", folder.name):
        assert find_sweep(word, outputs) == folder
    with pytest.raises(UsageError, match=r"is ambiguous .2 sweeps.: .*Give the folder"):
        find_sweep(folder.parent.name, outputs)


# -------------------------------------------------------------------------------------- what the list shows, typed back


@pytest.mark.parametrize("width", representatives([80, 200], [80]))
def test_every_text_of_the_list_finds_its_sweep_again(
    command: Callable[..., Any], outputs: Path, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    """The law over the columns of runs: COLUMN=TEXT, with a cell of the table as it stands there, lists that sweep."""
    from gdbench.report.terminal import listing as sweeps

    monkeypatch.setenv("COLUMNS", str(width))
    names = sorted(file.parent.relative_to(outputs).as_posix() for file in outputs.glob("*/*/runs.parquet"))
    for number, name in enumerate(names):
        update_labels(
            outputs / name, lambda held, number=number: Labels(f"n{number}", ("b", "a"), "one, two; and\nthree")
        )
        environment = outputs / name / "environment.json"
        told = json.loads(environment.read_text())
        told["git"]["folder"] = {"commit": f"{number}618539abc0123456789abcdef0123456789abcd", "dirty": number == 0}
        environment.write_text(json.dumps(told))
    with open_index(outputs, lambda words: None) as index:
        table = list_sweeps(index, [], outputs)
    cells = sweeps._text_columns(table)
    for column, texts in cells.items():
        for text, folder in zip(texts, cells["sweep"], strict=True):
            if text:
                done = command("sweeps", f"{column}={text}", "--json")
                assert done.code == 0, done.err
                assert folder in [row["folder"] for row in json.loads(done.out)], (column, text)


def test_a_commit_is_found_by_its_first_digits_and_a_dirty_one_by_yes(
    command: Callable[..., Any], outputs: Path
) -> None:
    """The seven digits that the table shows, with and without its star, are enough; yes and true are the same."""
    folder = next(outputs.glob("*/*_first"))
    told = json.loads((folder / "environment.json").read_text())
    told["git"]["folder"] = {"commit": "c61853900123456789abcdef0123456789abcdef", "dirty": True}
    (folder / "environment.json").write_text(json.dumps(told))

    for query in ("commit=c618539", "commit=c618539*", "dirty=yes", "dirty=true", "commit!=abcdef0"):
        done = command("sweeps", query, "--json")
        assert folder.name in [row["folder"].rpartition("/")[2] for row in json.loads(done.out)], query
    assert "No sweep" in command("sweeps", "commit=c618538").out


@pytest.mark.parametrize(
    ("text", "rows"),
    [("2026-11-30", 1), ("2026-11-30 10:20", 1), ("2026-11-30 10:21", 0), ("2026-11-30T10:20:30", 1)],
)
def test_a_time_means_as_long_as_it_says(text: str, rows: int) -> None:
    """A day is a day, and a minute a minute, as the list shows them."""
    from gdbench.results.query import match_rows

    began = pd.Timestamp("2026-11-30 10:20:30.5").tz_localize(datetime.now().astimezone().tzinfo).tz_convert("UTC")
    kind = pa.timestamp("us", tz="UTC")
    conditions = parse_query([f"when={text}"], {"when": kind})

    assert match_rows(pa.table({"when": pa.array([began.to_pydatetime()], kind)}), conditions).sum() == rows
