from __future__ import annotations

import io
import math
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from support.folding import folded
from support.tiers import representatives

import gdbench
from gdbench.analysis.ranked_rows import build_configuration_rows, build_run_rows
from gdbench.report.number_format import (
    format_digits,
    format_interval,
    format_interval_parts,
    format_number,
    format_seconds,
    format_seconds_range,
)
from gdbench.report.table_cells import format_cells
from gdbench.report.terminal.column_fitting import UNLIMITED
from gdbench.report.terminal.progress import SweepBar, SweepLines, choose_progress
from gdbench.report.terminal.sweep import render_sweep
from gdbench.results.costs import select_comparable
from gdbench.results.ranking import rank_configurations
from gdbench.results.run_settings import find_differing_settings, format_distinct

FOLDER = Path("outputs/2026-11-23/09-00-00_sweep")


def rendered(runs: pd.DataFrame, folder: Path = FOLDER, width: int = 100, per_run: bool = False) -> str:
    """The report as plain text."""
    file = io.StringIO()
    Console(file=file, width=width, highlight=False).print(render_sweep(runs, folder, width, per_run), crop=False)
    return file.getvalue()


SWEEPS: dict[str, dict[str, Any]] = {
    "one run": {"lr": 0.1},
    "lanes": {"lr": [0.01, 0.1, 1.0]},
    "methods": {
        "optimizer": ["gd", "adam", "armijo", "lbfgs"],
        "impl": ["manual", "torch"],
        "lr": [1e-4, 3e-1],
        "objective": "rosenbrock",
    },
    "objectives": {"objective": ["notebook_log", "styblinski_tang", "notebook_manual"], "lr": [1e-3, 1e10]},
    "wide": {
        "objective": "quadratic",
        "optimizer": "adam",
        "impl": ["manual", "foreach"],
        "lr": [0.123456789, 1e-300],
        "seed": [0, 123456],
        "start_noise": 0.1,
        "optimizer.beta1": [0.5, 0.98765],
    },
    "absolute": {"target_loss": 0.5, "lr": [0.1, 0.2]},
    "unavailable": {"optimizer": ["lbfgs", "gd"], "impl": "manual", "lr": 0.1},
    "many": {"lr": "tag(log,interval(1e-4,1))", "points": 60},
    "seeds": {
        "objective": "rosenbrock",
        "optimizer": ["gd", "adam", "lion"],
        "lr": [0.001, 0.1],
        "seed": [0, 1, 2, 3, 4],
        "start_noise": 0.5,
        "steps": 400,
        "target": 0.01,
    },
}


OTHER = {"impl": "foreach", "dtype": "bfloat16", "steps": 10, "objective.condition": 10.0}
"""A second sweep of the wide one: together they differ in all settings."""


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> dict[str, pd.DataFrame]:
    """Real sweeps, not timed."""
    outputs = tmp_path_factory.mktemp("outputs")
    shared = {"timing": "off", "outputs": outputs, "steps": 50, "device": "cpu"}
    sweeps = {name: gdbench.sweep(**{**shared, **asked}) for name, asked in SWEEPS.items()}
    other = gdbench.sweep(**{**shared, **SWEEPS["wide"], **OTHER})
    return {**sweeps, "wide": pd.concat([sweeps["wide"], other], ignore_index=True)}


@pytest.fixture(scope="module")
def timed(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """A real sweep that was timed."""
    outputs = tmp_path_factory.mktemp("outputs")
    return gdbench.sweep(
        optimizer=["gd", "momentum"], lr=[0.1, 0.4], outputs=outputs, device="cpu", **{"timing.seconds": 0.05}
    )


WIDTHS = ((50, False), (64, True), (80, False), (130, False))


@pytest.mark.parametrize(
    ("name", "width", "per_run"),
    representatives(
        [(name, *width) for name in SWEEPS for width in WIDTHS],
        [(name, *WIDTHS[number % 2]) for number, name in enumerate(SWEEPS)],
    ),
)
def test_a_report_holds_its_width_and_cuts_nothing(
    tables: dict[str, pd.DataFrame], name: str, width: int, per_run: bool
) -> None:
    """At any width no line is longer than it but a path, and the settings of each row stand there whole."""
    runs = tables[name]
    text = rendered(runs, width=width, per_run=per_run)

    assert max(len(line) for line in text.splitlines() if not line.startswith(("Files", "Next"))) <= width
    assert "…" not in re.sub(r"^ … and \d+ more.*$", "", text, flags=re.MULTILINE)
    words = text.split()
    varied = [setting for setting in find_differing_settings(runs) if per_run or setting != "seed"]
    told = select_comparable(runs)
    shown = (
        build_run_rows(runs)
        if per_run
        else build_configuration_rows(runs, told, rank_configurations(told)).groupby("problem").head(20)
    )
    for setting in varied:
        if setting.partition(".")[0] not in ("objective", "steps", "threads"):  # shown in headings, with a word beside
            assert set(format_distinct(shown[setting])) - {""} <= set(words), setting


def settings_of_rows(text: str, columns: int) -> list[list[str]]:
    """The first cells of each row of the first table."""
    table = text.split("\n\n")[1]
    return [re.split(r" {2,}", line.strip())[:columns] for line in table.splitlines()[1:]]


def test_a_configuration_is_one_row_over_its_seeds(tables: dict[str, pd.DataFrame]) -> None:
    """Its number is the median of all seeds, the worse of two, between lowest and highest; the best is first."""
    runs = tables["seeds"]
    text = rendered(runs, width=UNLIMITED)
    rows = settings_of_rows(text, 6)
    hits = runs[(runs["optimizer"] == "adam") & (runs["lr"] == 0.1)]["steps_to_target"].astype(float)

    assert len(rows) == 6
    assert len({(row[0], row[1]) for row in rows}) == 6
    assert f"{hits.median():.0f} [{hits.min():.0f}, {hits.max():.0f}]" in text
    assert " · 5 seeds" in text.splitlines()[0]
    assert "5 of 5" in text
    assert "never [4, never]" in text
    assert "1 of 5" in text
    best = re.search(r"^Best: (\w+) \(manual\) at lr ([\d.]+): (\d+) gradients", text, re.MULTILINE)
    assert best is not None
    assert rows[0][:2] == [best[1], best[2]]
    assert best[3] == f"{hits.median():.0f}" == rows[0][3].split()[0]


def test_every_run_is_a_row_where_it_is_asked_for(tables: dict[str, pd.DataFrame]) -> None:
    """With --all-runs a run is a row, with its seed and its run_id; those that left the target are marked."""
    runs = tables["seeds"]
    text = rendered(runs, width=UNLIMITED, per_run=True)
    header, *rows = text.split("\n\n")[1].splitlines()

    assert header.split()[:3] == ["optimizer", "seed", "lr"]
    assert len(rows) == len(runs)
    keys = [row.split()[-1] for row in rows]
    assert all(runs["run_id"].str.startswith(key).sum() == 1 for key in keys)
    left = runs["steps_to_target"].notna() & (runs["final_gap"] > runs["target"])
    assert sum("†" in row for row in rows) == left.sum() > 0
    assert "\n† reached the target and left it again.\n" in text


def test_a_sweep_of_one_seed_has_a_row_a_run(tables: dict[str, pd.DataFrame]) -> None:
    """Where no seed is repeated, no column speaks of seeds, and both forms show the same rows."""
    runs = tables["lanes"]

    assert rendered(runs) == rendered(runs, per_run=True)
    assert "seeds" not in rendered(runs)


def test_the_least_important_columns_leave_first(tables: dict[str, pd.DataFrame], timed: pd.DataFrame) -> None:
    """In a narrow terminal the ratio to the reference leaves first, then times; the keys that show takes stay long."""
    wide, usual, narrow, narrowest = (rendered(timed, width=width) for width in (200, 80, 66, 46))

    assert wide.split("\n\n")[1].splitlines()[0].split()[-1] == "run_id"
    assert re.search(r"Not shown for lack of width: .*vs reference\. Use a wider terminal", " ".join(narrow.split()))
    for text in (wide, usual, narrow):
        assert text.split("\n\n")[1].splitlines()[0].split()[-1] == "run_id"
    assert "final gap" in narrowest.split("Not shown")[1]
    assert "steps to 1e-6" in narrowest.split("Not shown")[0]


@pytest.mark.parametrize("name", SWEEPS)
def test_a_report_begins_and_ends_the_same_way(tables: dict[str, pd.DataFrame], name: str) -> None:
    """First the version and what all share; last the folder, and a command that goes on."""
    runs = tables[name]
    lines = rendered(runs).splitlines()

    assert lines[0].startswith(f"gdbench {gdbench.__version__}")
    assert lines[-2] == f"Files: {FOLDER}"
    assert lines[-1] == f"Next: python -m gdbench report {FOLDER}"
    assert f"{len(runs)} run" in "\n".join(lines)


def test_a_sweep_kept_elsewhere_is_found_by_the_next_command(tables: dict[str, pd.DataFrame]) -> None:
    """Where the outputs lie elsewhere, the command that goes on names the folder, unbroken."""
    folder = Path("/some/where/else") / ("x" * 90)

    assert rendered(tables["lanes"], folder).endswith(f" report {folder}\n")


def test_equal_columns_go_to_the_caption(tables: dict[str, pd.DataFrame]) -> None:
    """What all rows share is said once; what tells rows apart has a column."""
    caption, _, header, *_ = rendered(tables["lanes"]).splitlines()

    assert caption.endswith("notebook_manual · gd · manual · float32 · cpu · 50 steps · target 1e-6")
    assert header.split()[:2] == ["lr", "status"]
    assert header.split()[-1] == "run_id"


SHARED_BY_PROBLEM = (
    {"quadratic condition=100", "float32", "50 steps"},
    {"quadratic condition=10", "bfloat16", "10 steps", "foreach"},
)


def test_every_swept_setting_has_a_column(tables: dict[str, pd.DataFrame]) -> None:
    """However many settings a sweep varies, each row can be told from all others, by its columns and its heading."""
    lines = rendered(tables["wide"]).splitlines()
    header = next(line for line in lines if "status" in line)

    assert {"impl", "lr", "beta1"} <= set(header.split())
    headings = [set(line.strip().split(" · ")) for line in lines if line.startswith(" quadratic")]
    assert [heading >= shared for heading, shared in zip(headings, SHARED_BY_PROBLEM, strict=True)] == [True, True]


def test_objectives_stand_apart(tables: dict[str, pd.DataFrame]) -> None:
    """One table never mixes objectives; each has its heading and its own best."""
    text = rendered(tables["objectives"])

    assert [line.split()[0] for line in text.splitlines() if re.match(r" \w+ · ", line)] == [
        "notebook_log",
        "styblinski_tang",
        "notebook_manual",
    ]
    assert "Best on styblinski_tang: gd (manual) at lr 0.001" in text


def test_what_cannot_win_is_last_and_marked(tables: dict[str, pd.DataFrame]) -> None:
    """Diverged and nonfinite rows are at the bottom with the step at which it happened, and without a gap."""
    order = ["target", "plateau", "budget", "diverged", "nonfinite", "unavailable"]
    table = rendered(tables["methods"]).split("\n\n")[1]
    shown = [word for line in table.splitlines() for word in line.split() if word in order]
    ranks = [order.index("plateau" if status == "budget" else status) for status in shown]

    assert len(shown) == len(tables["methods"])
    assert ranks == sorted(ranks)
    assert re.search(r"^ *1e10  nonfinite @\d+ +[0-9a-f]{6}$", rendered(tables["objectives"]), re.MULTILINE)


def test_marks_are_explained_when_they_are_used(tables: dict[str, pd.DataFrame], timed: pd.DataFrame) -> None:
    """A legend stands below for each mark in the table, and for no other."""
    legends = {
        r"\(\d+ g(, \d+ f)?\)|\(\d+ f\)": "(n g, m f): gradient and function evaluations",
        r"  ~ ": "~ not timed itself",
        r"  ≈ ": "≈ time difference to the row above",
        r"[\d\]] \*$|[\d\]] \*  ": "* limited by computation",
        r" † ?": "† reached the target and left it",
    }
    for runs in (*tables.values(), timed, timed.assign(overhead_bound=False), timed.assign(timed=False)):
        for width in (60, UNLIMITED) if len(runs) < 20 else (UNLIMITED,):
            text = rendered(runs, width=width)
            table = text[: re.search(r"^\d+ runs?: ", text, re.MULTILINE).start()]  # type: ignore[union-attr]
            for mark, legend in legends.items():
                assert bool(re.search(mark, table, re.MULTILINE)) == (legend in text), (mark, text)


def test_reasons_and_advice_are_told(tables: dict[str, pd.DataFrame]) -> None:
    """Why a run was not to be had, and an lr on the edge of its grid, are said in words."""
    assert "unavailable: optimizer=lbfgs has no manual implementation" in rendered(tables["unavailable"])
    assert re.search(
        r"at lr 0.2: .* Its lr is at the edge of\sthe\sgrid: try larger\svalues", rendered(tables["absolute"])
    )
    assert "edge" not in rendered(tables["one run"])


def test_long_tables_are_cut_with_a_count(tables: dict[str, pd.DataFrame]) -> None:
    """Sixty runs show the twenty best and say where the others are."""
    assert " … and 40 more, all in runs.parquet; --all-runs shows every run" in rendered(tables["many"])


def test_times_have_units_and_ratios_have_intervals(timed: pd.DataFrame) -> None:
    """A timed row shows its step time with a unit, its ratio to the reference with an interval, and time to target."""
    row = next(line for line in rendered(timed, width=200).splitlines() if line.startswith("gd "))

    assert re.search(r"\d (ns|µs|ms)  .*\d( ± \d| \[\d+\.\d+, \d).*\d (µs|ms)  [0-9a-f]{6}$", row)


# ---------------------------------------------------------------------------------------------------------- units


@given(st.floats(1e-9, 1e6))
def test_a_time_keeps_three_digits_and_its_size(value: float) -> None:
    """Three significant digits and a unit give the time back to half a percent; from 1 to 1000 of a unit below 1 s."""
    amount, unit = format_seconds(value).split()
    scale = {"s": 1.0, "ms": 1e-3, "µs": 1e-6, "ns": 1e-9}[unit]

    assert float(amount) * scale == pytest.approx(value, rel=5.1e-3)
    assert float(amount) >= 1
    assert unit == "s" or float(amount) <= 1000
    assert len(amount.replace(".", "")) >= 3


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (38.2e-6, "38.2 µs"),
        (1.18e-3, "1.18 ms"),
        (2.5, "2.50 s"),
        (0.9999, "1.00 s"),
        (999.9e-6, "1.00 ms"),
        (7e-9, "7.00 ns"),
        (123.4, "123 s"),
        (0.0, "0 ns"),
        (math.nan, ""),
    ],
)
def test_times_as_a_person_reads_them(value: float, text: str) -> None:
    """Three digits, trailing zeros kept, the unit that fits the rounded number; nothing for a missing value."""
    assert format_seconds(value) == text


@given(st.floats(1e-6, 1e5))
def test_digits_are_significant(value: float) -> None:
    """A number of moderate size keeps three significant digits."""
    assert float(format_digits(value)) == pytest.approx(value, rel=5.1e-3)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.1, "0.1"), (3e-5, "3e-5"), (1.4e-14, "1.4e-14"), (1e10, "1e10"), (0.30000000000000004, "0.3"), (math.nan, "")],
)
def test_numbers_are_short(value: float, text: str) -> None:
    """Four digits at most, and exponents without padding."""
    assert format_number(value) == text


def decimals(text: str) -> int:
    """How many digits stand behind the point."""
    return len(text.partition("e")[0].partition(".")[2])


@given(st.floats(1e-12, 1e12), st.floats(0, 3), st.floats(0, 3))
def test_an_interval_has_the_digits_of_its_value(value: float, below: float, above: float) -> None:
    """Value and ends, or half of the interval, have the same decimals, and are what they were to a unit of the last."""
    low, high = value / (1 + below), value * (1 + above)
    texts = format_interval_parts(value, low, high)
    interval = format_interval(value, low, high)
    numbers = re.findall(r"[\d.]+(?:e-?\d+)?", interval)

    assert len({decimals(text) for text in (*texts, *numbers)}) == 1
    for text, true in zip(texts, (value, low, high), strict=True):
        unit = 10.0 ** (-decimals(text) + int(text.partition("e")[2] or 0))
        assert abs(float(text) - true) <= 0.5001 * unit
    assert float(texts[1]) <= float(texts[0]) <= float(texts[2])
    assert float(texts[0]) == pytest.approx(value, rel=0.051)
    if "±" in interval:
        unit = 10.0 ** -decimals(texts[0])
        assert abs(high - value - (value - low)) <= 2.01 * unit
        assert abs(float(numbers[1]) - (high - low) / 2) <= 1.01 * unit


@pytest.mark.parametrize(
    ("numbers", "text"),
    [
        ((168, 91, 245), "168 ± 77"),
        ((168, 120, 274), "168 [120, 274]"),
        ((1.06, 1.05, 1.07), "1.06 ± 0.01"),
        ((1.06, 1.056, 1.064), "1.060 ± 0.004"),
        ((1.5, 1.5, 1.5), "1.50"),
        ((3e-9, 1e-9, 7e-9), "3.00e-9 [1.00e-9, 7.00e-9]"),
        ((2.0, math.nan, math.nan), "2.00"),
        ((math.nan, math.nan, math.nan), ""),
    ],
)
def test_intervals_as_a_person_reads_them(numbers: tuple[float, float, float], text: str) -> None:
    """With ± where both ends are as far, in brackets where they are not, alone where they say no more."""
    assert format_interval(*numbers) == text


def test_a_table_of_a_report_writes_an_interval_in_the_digits_of_its_value() -> None:
    """A number beside the columns of its ends has their decimals, where 1.1 stood beside 1.05; alone it has its own."""
    table = pd.DataFrame({"ratio": [1.1, 2.0], "from": [1.05, math.nan], "to": [1.2, math.nan]})

    assert format_cells(table) == [["1.10", "1.05", "1.20"], ["2", "", ""]]


def test_a_median_time_stands_between_its_extremes() -> None:
    """All three have the unit of the median; a seed that never got there is said so."""
    assert format_seconds_range(1.18e-3, 1.02e-3, 1.31e-3) == "1.18 [1.02, 1.31] ms"
    assert format_seconds_range(1e-3, 0.9e-3, math.inf) == "1.00 [0.90, never] ms"
    assert format_seconds_range(1.18e-3, 1.18e-3, 1.18e-3) == "1.18 ms"


# ------------------------------------------------------------------------------------------------------- progress


class Cell:
    """A cell with a label."""

    label = "rosenbrock adam"


def test_lines_count_cells_and_statuses(capsys: pytest.CaptureFixture[str]) -> None:
    """Each cell that ends is one line on stderr: how far, what, and how many of which status."""
    lines = SweepLines()
    lines.begin([Cell(), Cell()])
    for statuses in (["target", "budget", "target"], ["failed"]):
        lines.start_job(Cell())
        lines.finish_job(Cell(), statuses)
    lines.close()
    captured = capsys.readouterr()

    assert captured.out == ""
    assert [line.split("  ")[:3] for line in captured.err.splitlines()] == [
        ["cell 1/2", "rosenbrock adam", "2 target, 1 budget"],
        ["cell 2/2", "rosenbrock adam", "1 failed"],
    ]


def test_a_bar_shows_what_runs_now() -> None:
    """In a terminal a bar counts the cells and names the one that runs, and is gone at the end."""
    file = io.StringIO()
    bar = SweepBar(Console(file=file, force_terminal=True, width=100))
    bar.begin([Cell(), Cell()])
    bar.start_job(Cell())
    bar.finish_job(Cell(), ["target"])
    bar.progress.refresh()
    bar.close()

    assert re.search(r"2 cells.*1/2.*rosenbrock adam", file.getvalue(), re.DOTALL)


def test_without_a_terminal_there_are_lines() -> None:
    """Progress suits what stderr is: plain lines in tests and pipes."""
    assert isinstance(choose_progress(), SweepLines)


def test_a_job_is_labelled_in_a_few_words(tmp_path: Path) -> None:
    """A cell is named by what tells cells apart."""
    jobs = folded("optimizer=adam", "dtype=auto,float64")

    assert [job.label for job in jobs] == ["notebook_manual adam manual", "notebook_manual adam manual float64"]
