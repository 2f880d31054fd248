from __future__ import annotations

import io
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from rich.console import Console

from gdbench.report.terminal.progress import PaceEstimate, SweepBar, SweepLines


@dataclass
class Cell:
    """A cell of a hundred lane-steps."""

    label: str = "rosenbrock gd manual"
    lane_steps: int = 100
    is_timed: bool = False


class Clock:
    """Seconds that pass when a test says so."""

    now = 0.0

    def perf_counter(self) -> float:
        """The time."""
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock by which progress is captured."""
    clock = Clock()
    monkeypatch.setattr("gdbench.report.terminal.progress.time", clock)
    return clock


def test_a_line_a_cell_tells_what_came_how_fast_and_how_long_still(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each cell that ends is a line on stderr; the last one has no time left to tell."""
    lines = SweepLines()
    lines.note("Going on.")
    lines.begin([Cell(), Cell()])
    for _ in range(2):
        lines.start_job(Cell())
        clock.now += 5  # imports, which are none of the cell's pace
        lines.add_lane_steps(0)
        clock.now += 0.01
        lines.add_lane_steps(100)
        lines.finish_job(Cell(), ["target", "budget", "target"])
    captured = capsys.readouterr()
    first, last = captured.err.splitlines()[1:]

    assert captured.out == ""
    assert captured.err.startswith("gdbench: Going on.\n")
    assert first.startswith("cell 1/2  rosenbrock gd manual  2 target, 1 budget  ")
    assert first.endswith("10k lane-steps/s  0:00 left")
    assert last.startswith("cell 2/2  ")
    assert last.endswith("lane-steps/s")


@pytest.mark.parametrize(("timed", "share"), [(False, 0.25), (True, 0.125)])
def test_a_cell_counts_as_far_as_it_has_come(timed: bool, share: float) -> None:
    """Within a cell progress goes by its lane-steps, which are half of the way where a timed pass follows."""
    pace = PaceEstimate(4)
    pace.start_cell(Cell(is_timed=timed))
    assert (pace.rate, pace.time_left, pace.share) == ("", "", 0.0)
    pace.add_lane_steps(25)

    assert pace.share == share
    assert pace.time_left
    pace.add_lane_steps(1000)
    assert pace.share == (0.5 if timed else 1.0)
    pace.finish_cell()
    assert (pace.ended, pace.share) == (1, 0.0)


def test_a_bar_leaves_nothing_behind_but_notes(clock: Clock) -> None:
    """In a terminal the bar names the cell and its pace while it runs, and is gone when the sweep ends."""
    screen = io.StringIO()
    bar = SweepBar(Console(file=screen, force_terminal=True, width=120))
    bar.note("Going on.")
    bar.begin([Cell()])
    bar.start_job(Cell())
    clock.now += 0.25
    bar.add_lane_steps(50)
    bar.finish_job(Cell(), ["target"])
    bar.close()

    assert "Going on." in screen.getvalue()
    assert "rosenbrock gd manual" in screen.getvalue()
    assert "lane-steps/s" in screen.getvalue()
    assert screen.getvalue().endswith("\x1b[2K")


def test_a_cell_of_one_step_has_a_rate(command: Callable[..., Any]) -> None:
    """The last line names lane-steps per second also where a cell reports its steps once."""
    done = command("steps=1", "timing=off")

    assert re.search(r"^cell 1/1 .*  [\d.]+k? lane-steps/s$", done.err, re.MULTILINE), done.err


def test_steps_that_are_reported_before_they_are_made_count_with_their_time(clock: Clock) -> None:
    """Compiled lanes report their steps before they make them: the report behind them ends the clock."""
    pace = PaceEstimate(1)
    pace.start_cell(Cell())
    clock.now += 5
    for lane_steps, seconds in ((0, 0.0), (100, 2.0), (0, 0.0)):
        pace.add_lane_steps(lane_steps)
        clock.now += seconds

    assert pace.rate == "50 lane-steps/s"


def test_steps_that_are_made_again_start_the_clock_again(clock: Clock) -> None:
    """Where a cell takes back its steps to make them anew, its pace is that of the second time."""
    pace = PaceEstimate(1)
    pace.start_cell(Cell())
    for lane_steps in (0, 100, -100, 0, 100):
        pace.add_lane_steps(lane_steps)
        clock.now += 1

    assert pace.rate == "100 lane-steps/s"
