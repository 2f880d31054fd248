"""A folder of sweeps is input from strangers: whatever is damaged in it, a verb works or names the file in one line."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gdbench.results.columns import COLUMNS
from gdbench.results.damaged_files import DamagedFile
from gdbench.results.parquet_files import read_table

SEED = 21
SWEEPS = (
    "-m optimizer=gd,adam lr=0.1,0.01 seed=0,1 steps=20 timing=quick timing.seconds=0.02 --quiet name=one",
    "-m optimizer=gd lr=0.1,0.02 steps=20 timing=off --quiet name=two",
)
VERBS = (
    ("sweeps",),
    ("sweeps", "lr<0.05", "--json"),
    ("show", "{one}"),
    ("show", "{one}", "--all-runs"),
    ("show", "{run}", "--outputs", "{one}"),
    ("report", "{one}", "--format", "md"),
    ("report", "outputs", "--format", "md"),
    ("compare", "{one}", "{two}", "--format", "md"),
    ("compare", "--settings", "{one}", "{two}"),
    ("sweeps", "watch", "{one}", "--once"),
    ("export", "pytest-benchmark", "{one}", "--uri", "times.json"),
    ("sweeps", "archive", "{one}", "--to", "one.zip"),
    ("--dry-run", "resume={one}"),
)
QUICK = ("sweeps",)
"""Verbs that the default tier carries out: a tenth of a second each."""
TABLES = ("runs", "traces", "blocks")
JSON_FILES = ("environment.json", "labels.json", ".hydra/cells.json", ".hydra/command.json")
YAML_FILES = (".hydra/overrides.yaml", ".hydra/cell-00000.yaml")
VALUES: tuple[Any, ...] = (None, True, -1, 1.5, "text", [], [[1]], {}, {"a": {"b": None}}, [None])
TEXTS = {
    "empty": b"",
    "null": b"null",
    "list": b"[1, [2]]",
    "number": b"1e999",
    "deep": b"[" * 100_000,
    "bytes": b"\xff\xfe\x00{",
    "anchors": b"a: &a [1, 2]\nb: &b [*a, *a]\nc: [*b, *b]\nd: &d\n  e: *d\n",
    "laughs": b"a0: &a0 [x, x]\n" + b"".join(b"a%d: &a%d [*a%d, *a%d]\n" % (n, n, n - 1, n - 1) for n in range(1, 60)),
    "keys": b"{1: 2, null: 3, [1]: 4}",
}

Damage = Callable[[Path], None]


def change_table(name: str, change: Callable[[pa.Table], pa.Table]) -> Damage:
    """A change of a table that lies in Parquet as another version of gdbench could have written it, without digest."""

    def damage(folder: Path) -> None:
        file = folder / f"{name}.parquet"
        pq.write_table(change(pq.read_table(file).replace_schema_metadata()), file)

    return damage


def retype(table: pa.Table, column: str) -> pa.Table:
    """A table with a column of another type: text for numbers, and numbers for all else."""
    place, kind = table.column_names.index(column), table.schema.field(column).type
    is_number = pa.types.is_integer(kind) or pa.types.is_floating(kind)
    values = pa.array([f"t{row}" if is_number else row for row in range(table.num_rows)])
    return table.set_column(place, column, values)


def nullify(table: pa.Table, column: str) -> pa.Table:
    """A table with nothing but null in a column."""
    return table.set_column(table.column_names.index(column), column, pa.nulls(table.num_rows))


def damage_tables() -> Iterator[tuple[str, Damage]]:
    """A column of runs dropped, null, of another type, or there twice; the same of traces and blocks."""
    columns = {"runs": COLUMNS, "traces": ("run_id", "step", "loss", "gap"), "blocks": ("run_id", "step_s")}
    for table, names in columns.items():
        for name in names:
            yield f"{table} without {name}", change_table(table, lambda rows, name=name: rows.drop_columns([name]))
            yield f"{table} {name} null", change_table(table, lambda rows, name=name: nullify(rows, name))
            yield f"{table} {name} retyped", change_table(table, lambda rows, name=name: retype(rows, name))
        yield f"{table} column twice", change_table(table, lambda rows: rows.append_column("run_id", rows["run_id"]))
        yield f"{table} without rows", change_table(table, lambda rows: rows.slice(0, 0))
        yield f"{table} rows twice", change_table(table, lambda rows: pa.concat_tables([rows, rows]))


def damage_bytes(chance: random.Random) -> Iterator[tuple[str, Damage]]:
    """Bytes of a table flipped, its end cut off, a folder or a text in its place."""

    def flip(file: Path, position: float) -> None:
        content = bytearray(file.read_bytes())
        content[int(position * len(content))] ^= 0x40
        file.write_bytes(bytes(content))

    def cut(file: Path, share: float) -> None:
        file.write_bytes(file.read_bytes()[: int(share * file.stat().st_size)])

    for table in TABLES:
        for number in range(8):
            place = chance.random()
            yield f"{table} flipped {number}", lambda folder, t=table, p=place: flip(folder / f"{t}.parquet", p)
        share = chance.random()
        yield f"{table} cut", lambda folder, t=table, p=share: cut(folder / f"{t}.parquet", p)
        yield f"{table} text", lambda folder, t=table: (folder / f"{t}.parquet").write_text("no table") and None

        def replace_by_folder(folder: Path, table: str = table) -> None:
            (folder / f"{table}.parquet").unlink()
            (folder / f"{table}.parquet").mkdir()

        yield f"{table} folder", replace_by_folder


def write_bytes(name: str, content: bytes) -> Damage:
    """A file of other content."""
    return lambda folder: (folder / name).write_bytes(content) and None


def set_field(name: str, field: str, value: Any) -> Damage:
    """A JSON file with another value of one field."""

    def damage(folder: Path) -> None:
        file = folder / name
        content = json.loads(file.read_text()) if file.exists() else {}
        file.write_text(json.dumps({**content, field: value}))

    return damage


def damage_texts(chance: random.Random) -> Iterator[tuple[str, Damage]]:
    """JSON and YAML files of another kind, gone, or with fields of another kind."""
    for name in (*JSON_FILES, *YAML_FILES):
        yield f"{name} gone", lambda folder, n=name: (folder / n).unlink(missing_ok=True)
        for kind, content in TEXTS.items():
            yield f"{name} {kind}", write_bytes(name, content)
    fields = {
        "environment.json": (
            "at",
            "command",
            "folder",
            "packages",
            "cpu",
            "cpu_count",
            "accelerators",
            "git",
            "sources",
        ),
        "labels.json": ("name", "tags", "note"),
        ".hydra/cells.json": ("0", "x"),
        ".hydra/command.json": ("words", "stamp"),
    }
    for name, keys in fields.items():
        for key in keys:
            for value in chance.sample(VALUES, 3):
                yield f"{name} {key}={value}", set_field(name, key, value)
    for value in VALUES:
        yield f"environment.json git.folder={value}", set_field("environment.json", "git", {"folder": value})


def list_damages() -> list[tuple[str, Damage]]:
    """All damages, by name."""
    chance = random.Random(SEED)
    return [*damage_tables(), *damage_bytes(chance), *damage_texts(chance)]


DAMAGES = dict(list_damages())
FEW = (
    "runs without cell", "runs status null", "runs lr retyped", "runs column twice", "runs flipped 1",
    "environment.json git.folder=[]", ".hydra/cells.json null", ".hydra/cell-00000.yaml deep",
)  # fmt: skip


@pytest.fixture
def sweeps(carried_out: Callable[..., Path], command: Callable[..., Any], tmp_path: Path) -> dict[str, str]:
    """Two sweeps in this test's folder, and the words that stand for them."""
    shutil.copytree(carried_out(*SWEEPS), tmp_path, dirs_exist_ok=True)
    one, two = (str(next(Path().glob(f"outputs/*/*_{name}"))) for name in ("one", "two"))
    return {"one": one, "two": two, "run": pq.read_table(Path(one) / "runs.parquet")["run_id"][0].as_py()}


def find_fault(words: tuple[str, ...], done: Any, one: str) -> str:
    """What is wrong with how a verb ended; nothing where it worked, or named what is damaged in one line."""
    text = done.out + done.err
    allowed = (0, 1, 2) if {"watch", "--settings"} & set(words) else (0, 2)
    if done.code not in allowed or "Traceback" in text:
        return f"exit code {done.code}: {text[-300:]}"
    if words == ("sweeps",) and "two" not in done.out:
        return f"the other sweep is not listed: {text[-300:]}"
    lines = [line for line in done.err.splitlines() if line.startswith("gdbench: ")]
    if done.code == 2 and len(lines) != 1:
        return f"{len(lines)} lines: {done.err[-300:]}"
    return "" if done.code != 2 or Path(one).name in done.err else f"no file named: {done.err}"


def find_faults(name: str, verbs: Iterable[tuple[str, ...]], sweeps: dict[str, str], command: Any) -> list[str]:
    """Damage a sweep and carry out verbs; returns what went wrong."""
    DAMAGES[name](Path(sweeps["one"]))
    faults = []
    for verb in verbs:
        words = tuple(word.format(**sweeps) for word in verb)
        try:
            fault = find_fault(words, command(*words), sweeps["one"])
        except Exception as error:
            fault = f"{type(error).__name__}: {error}"
        faults += [f"{name}, {' '.join(verb)}: {fault}"] if fault else []
    return faults


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("name", FEW)
def test_verbs_survive_damage(name: str, sweeps: dict[str, str], command: Callable[..., Any]) -> None:
    """No traceback, exit code 0 or 2, and one line that names the damaged sweep."""
    assert find_faults(name, (verb for verb in VERBS if verb[0] in QUICK), sweeps, command) == []


@pytest.mark.slow
@pytest.mark.campaign
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("name", DAMAGES)
def test_verbs_survive_every_damage(name: str, sweeps: dict[str, str], command: Callable[..., Any]) -> None:
    """The same of every damage that there is here: a few hundred, each with all verbs."""
    assert find_faults(name, VERBS, sweeps, command) == []


def flip_bits(file: Path, table: Any, count: int) -> tuple[int, list[int]]:
    """How many of many flipped bits of a file are noticed, and the places of those that change a table unnoticed."""
    chance, written, rows = random.Random(SEED), file.read_bytes(), read_table(file, table)
    noticed, silent = 0, []
    for _ in range(count):
        place, damaged = chance.randrange(len(written)), bytearray(written)
        damaged[place] ^= 1 << chance.randrange(8)
        file.write_bytes(damaged)
        try:
            same = str(read_table(file, table).to_pydict()) == str(rows.to_pydict())
            silent += [] if same else [place]
        except DamagedFile:
            noticed += 1
    return noticed, silent


def test_flipped_bits_are_noticed(sweeps: dict[str, str]) -> None:
    """A bit flipped anywhere in a table of runs is noticed, or changes nothing of what is read."""
    noticed, silent = flip_bits(Path(sweeps["one"]) / "runs.parquet", "runs", 60)
    assert silent == []
    assert noticed > 20


@pytest.mark.slow
@pytest.mark.campaign
@pytest.mark.parametrize("table", TABLES)
def test_thousands_of_flipped_bits_are_noticed(sweeps: dict[str, str], table: Any) -> None:
    """The same of 2,000 bits of each table."""
    assert flip_bits(Path(sweeps["one"]) / f"{table}.parquet", table, 2_000)[1] == []


@pytest.mark.filterwarnings("default")
def test_a_plan_counts_no_cell_of_a_damaged_table(sweeps: dict[str, str], command: Callable[..., Any]) -> None:
    """A flipped bit of a column that no plan needs is told, and the cells run again: nothing says that all is done."""
    folder = Path(sweeps["two"])
    file = folder / "runs.parquet"
    place = pq.ParquetFile(file).metadata.row_group(0).column(pq.read_schema(file).names.index("final_loss"))
    content = bytearray(file.read_bytes())
    content[place.data_page_offset + place.total_compressed_size - 3] ^= 1
    file.write_bytes(content)
    plan = command("--dry-run", f"resume={folder}")

    assert plan.code == 0
    assert "nothing to run" not in plan.out
    assert f"{file} is skipped" in plan.err
    assert "CRC" in plan.err or "checksum" in plan.err


@pytest.mark.filterwarnings("default")
def test_a_sweep_of_names_that_are_gone_can_be_read(sweeps: dict[str, str], command: Callable[..., Any]) -> None:
    """Where an objective or a parameter was renamed since, tables and reports are as before; a repetition says why."""
    folder = Path(sweeps["two"])
    for file in (folder / ".hydra").glob("cell-*.yaml"):
        text = file.read_text().partition("# stamp")[0]
        file.write_text(text.replace("gdbench.objectives.notebook", "gdbench.objectives.gone").replace("lr:", "lrr:"))
    run = pq.read_table(folder / "runs.parquet")["run_id"][0].as_py()
    for words in (("report", str(folder), "--format", "md"), ("show", str(folder)), ("show", run), ("sweeps",)):
        assert command(*words).code == 0, words
    again = command("reproduce", run)

    assert (again.code, again.err.count("\n")) == (2, 1), again
