from __future__ import annotations

import io
import math
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from folding import folded
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

import gdbench
from gdbench.report.progress import Bar, Lines, progress
from gdbench.report.terminal import WIDTH, console, sweep_report
from gdbench.report.units import digits, number, seconds

FOLDER = Path("outputs/2026-11-23/09-00-00_sweep")


def rendered(runs: pd.DataFrame, folder: Path = FOLDER) -> str:
    """The report as plain text."""
    file = io.StringIO()
    console(file).print(sweep_report(runs, folder), crop=False)
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
}


OTHER = {"impl": "foreach", "dtype": "bfloat16", "steps": 10, "objective.condition": 10.0}
"""A second sweep of the wide one: together they differ in all settings."""


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> dict[str, pd.DataFrame]:
    """Real sweeps, not timed."""
    outputs = tmp_path_factory.mktemp("outputs")
    shared = {"timing": "off", "outputs": outputs, "steps": 50, "device": "cpu"}
    told = {name: gdbench.sweep(**{**shared, **asked}) for name, asked in SWEEPS.items()}
    other = gdbench.sweep(**{**shared, **SWEEPS["wide"], **OTHER})
    return {**told, "wide": pd.concat([told["wide"], other], ignore_index=True)}


@pytest.fixture(scope="module")
def timed(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """A real sweep that was timed."""
    outputs = tmp_path_factory.mktemp("outputs")
    return gdbench.sweep(
        optimizer=["gd", "momentum"], lr=[0.1, 0.4], outputs=outputs, device="cpu", **{"timing.seconds": 0.05}
    )


@pytest.mark.parametrize("name", SWEEPS)
def test_a_report_fits_the_page(tables: dict[str, pd.DataFrame], name: str) -> None:
    """No line of any sweep's report is wider than 100 columns, and nothing is cut off."""
    text = rendered(tables[name])

    assert max(map(len, text.splitlines())) <= WIDTH
    assert "…" not in re.sub(r"^ … and \d+ more.*$", "", text, flags=re.MULTILINE)


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


SHARED_BY_PROBLEM = (
    {"quadratic condition=100", "float32", "50 steps"},
    {"quadratic condition=10", "bfloat16", "10 steps", "foreach"},
)


def test_every_swept_setting_has_a_column(tables: dict[str, pd.DataFrame]) -> None:
    """However many settings a sweep varies, each row can be told from all others, by its columns and its heading."""
    lines = rendered(tables["wide"]).splitlines()
    header = next(line for line in lines if "status" in line)

    assert {"impl", "lr", "seed", "beta1"} <= set(header.split())
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
    assert re.search(r"^ *1e10  nonfinite @\d+ *$", rendered(tables["objectives"]), re.MULTILINE)


def test_marks_are_explained_when_they_are_used(tables: dict[str, pd.DataFrame], timed: pd.DataFrame) -> None:
    """A legend stands below for each mark in the table, and for no other."""
    legends = {
        r"\(\d+ g(, \d+ f)?\)|\(\d+ f\)": "(n g, m f): gradients and values",
        r"  ~ ": "~ not timed itself",
        r"  ≈ ": "≈ same work as the row above",
        r"\d \*$|\d \*  ": "* bound by its numbers",
    }
    for runs in (*tables.values(), timed, timed.assign(overhead_bound=False), timed.assign(timed=False)):
        text = rendered(runs)
        table = text[: text.index(" run")]
        for mark, legend in legends.items():
            assert bool(re.search(mark, table, re.MULTILINE)) == (legend in text), (mark, text)


def test_reasons_and_advice_are_told(tables: dict[str, pd.DataFrame]) -> None:
    """Why a run was not to be had, and an lr on the edge of its grid, are said in words."""
    assert "unavailable: optimizer=lbfgs has no manual implementation" in rendered(tables["unavailable"])
    assert "at lr 0.2, the edge of your grid: try larger lrs." in rendered(tables["absolute"])
    assert "edge" not in rendered(tables["one run"])


def test_long_tables_are_cut_with_a_count(tables: dict[str, pd.DataFrame]) -> None:
    """Sixty runs show the twenty best and say where the others are."""
    assert " … and 40 more, all in runs.parquet" in rendered(tables["many"])


def test_times_have_units_and_ratios_have_intervals(timed: pd.DataFrame) -> None:
    """A timed row shows its step time with a unit, its ratio to the reference with an interval, and time to target."""
    row = next(line for line in rendered(timed).splitlines() if line.startswith("gd "))

    assert re.search(r"\d (ns|µs|ms)  .*\d ± \d\.\d\d.*\d (µs|ms)$", row)


def test_a_console_that_is_no_terminal_is_plain() -> None:
    """Piped output is 100 columns of plain text."""
    out = console(io.StringIO())

    assert not out.is_terminal
    assert out.width == WIDTH


# ---------------------------------------------------------------------------------------------------------- units


@given(st.floats(1e-9, 1e6))
def test_a_time_keeps_three_digits_and_its_size(value: float) -> None:
    """Three significant digits and a unit give the time back to half a percent; from 1 to 1000 of a unit below 1 s."""
    amount, unit = seconds(value).split()
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
    assert seconds(value) == text


@given(st.floats(1e-6, 1e5))
def test_digits_are_significant(value: float) -> None:
    """A number of moderate size keeps three significant digits."""
    assert float(digits(value)) == pytest.approx(value, rel=5.1e-3)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.1, "0.1"), (3e-5, "3e-5"), (1.4e-14, "1.4e-14"), (1e10, "1e10"), (0.30000000000000004, "0.3"), (math.nan, "")],
)
def test_numbers_are_short(value: float, text: str) -> None:
    """Four digits at most, and exponents without padding."""
    assert number(value) == text


# ------------------------------------------------------------------------------------------------------- progress


class Cell:
    """A cell with a label."""

    label = "rosenbrock adam"


def test_lines_count_cells_and_statuses(capsys: pytest.CaptureFixture[str]) -> None:
    """Each cell that ends is one line on stderr: how far, what, and how many of which status."""
    lines = Lines()
    lines.begin([Cell(), Cell()])
    for statuses in (["target", "budget", "target"], ["failed"]):
        lines.now(Cell())
        lines.done(Cell(), statuses)
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
    bar = Bar(Console(file=file, force_terminal=True, width=100))
    bar.begin([Cell(), Cell()])
    bar.now(Cell())
    bar.done(Cell(), ["target"])
    bar.progress.refresh()
    bar.close()

    assert re.search(r"2 cells.*1/2.*rosenbrock adam", file.getvalue(), re.DOTALL)


def test_without_a_terminal_there_are_lines() -> None:
    """Progress suits what stderr is: plain lines in tests and pipes."""
    assert isinstance(progress(), Lines)


def test_a_job_is_labelled_in_a_few_words(tmp_path: Path) -> None:
    """A cell is named by what tells cells apart."""
    jobs = folded("optimizer=adam", "dtype=auto,float64")

    assert [job.label for job in jobs] == ["notebook_manual adam manual", "notebook_manual adam manual float64"]
