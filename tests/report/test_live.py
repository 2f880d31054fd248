from __future__ import annotations

import io
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from support.folding import folded

from gdbench.errors import UsageError
from gdbench.report.terminal.live import format_progress_line, render_snapshot
from gdbench.report.terminal.text_plot import Curve, plot_curves
from gdbench.results.live_status import SweepMonitor, SweepSnapshot
from gdbench.sweeps.executor import execute
from gdbench.sweeps.progress import Silent
from gdbench.sweeps.sweep_spec import SweepSpec


class Looks(Silent):
    """A progress that looks at the sweep's folder as a stranger would, and keeps what a kill at that moment leaves."""

    def __init__(self, root: Path) -> None:
        """Nothing has been seen."""
        self.root, self.seen, self.monitor = root, [], None  # type: ignore[var-annotated]

    def finish_job(self, job: Any, statuses: Sequence[str]) -> None:
        """Look, and copy."""
        (folder,) = self.root.glob("outputs/*/*")
        self.monitor = self.monitor or SweepMonitor(folder)
        self.seen.append(self.monitor.take_snapshot())
        shutil.copytree(folder, self.root / "killed" / str(len(self.seen)))


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Looks:
    """A sweep of four cells, one of which fails, that was looked at whenever a cell ended."""
    root = tmp_path_factory.mktemp("watched")
    looks = Looks(root)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        execute(SweepSpec(), folded("optimizer=gd,adam,momentum", "lr=0.01,0.1", "steps=200", "timing=off"), looks)
    return looks


def shown(seen: SweepSnapshot, monitor: SweepMonitor, width: int = 80) -> str:
    """A frame as plain text."""
    screen = io.StringIO()
    Console(file=screen, width=width).print(render_snapshot(seen, monitor.read_trace, width, colour=False))
    return screen.getvalue()


def test_a_sweep_is_seen_while_it_is_written(watched: Looks) -> None:
    """At each cell's end the folder tells how many have ended, their statuses, the best, and the time left."""
    assert [(seen.state, seen.ended, seen.planned) for seen in watched.seen] == [("running", n, 3) for n in (1, 2, 3)]
    assert [seen.statuses.total() for seen in watched.seen] == [2, 4, 6]
    assert [len(seen.best) for seen in watched.seen] == [1, 2, 3]
    assert [seen.left_s is not None for seen in watched.seen] == [True, True, False]
    assert format_progress_line(watched.seen[0]).startswith("cell 1/3  1 target, 1 budget  0:0")


def test_a_sweep_that_ended_says_so(watched: Looks, command: Callable[..., Any]) -> None:
    """Ended, it shows its best solvers, their curves with their letters, and what to do next."""
    (folder,) = watched.root.glob("outputs/*/*")
    done = command("sweeps", "watch", str(folder), "--once")

    assert done.code == 0
    assert f"{folder} · ended" in done.out
    assert "cell 3/3" in done.out
    assert "gap of the best on notebook_manual, step by step" in done.out
    assert f"Next: python -m gdbench report {folder}" in done.out
    assert command("sweeps", "watch", str(watched.root / "outputs")).out == command("sweeps", "watch", str(folder)).out


def test_a_killed_sweep_says_how_to_go_on(watched: Looks, command: Callable[..., Any]) -> None:
    """What a kill leaves is told as such, with exit code 1, and watching it ends at once."""
    folder = watched.root / "killed" / "2"
    done = command("sweeps", "watch", str(folder))

    assert done.code == 1
    assert f"{folder} · stopped" in done.out
    assert "cell 2/3" in done.out
    assert f"python -m gdbench resume={folder}" in " ".join(done.out.split()).replace("resume= ", "resume=")


def test_a_failed_cell_is_counted(command: Callable[..., Any], own: Path, tmp_path: Path) -> None:
    """Failed cells are told in a line of their own, and the exit code is 1."""
    command("--config-dir", str(own), "-m", "objective=raises,bowl", "timing=off", "steps=3", "--quiet")
    done = command("sweeps", "watch", "--once")

    assert done.code == 1
    assert "1 cell failed" in done.out


def test_nothing_to_watch_is_a_line(command: Callable[..., Any], tmp_path: Path) -> None:
    """An empty folder is no mistake; one that is not there is."""
    (tmp_path / "empty").mkdir()

    assert command("sweeps", "watch", "empty", "--once") == (0, "No sweep is in empty yet.\n", "")
    assert command("sweeps", "watch", "--once") == (0, "No sweep is in outputs yet.\n", "")
    assert command("sweeps", "watch", "nowhere", "--once").code == 2


def test_a_folder_that_goes_while_it_is_watched_is_a_line(watched: Looks) -> None:
    """What is removed under the eyes of an monitor is told in one line."""
    folder = watched.root / "killed" / "1"
    monitor = SweepMonitor(folder)
    monitor.take_snapshot()
    shutil.rmtree(folder)

    with pytest.raises(UsageError, match=r"1 has been removed, or renamed\.$"):
        monitor.take_snapshot()


@pytest.mark.parametrize("width", [60, 80, 120])
def test_a_frame_fits_the_terminal(watched: Looks, width: int) -> None:
    """No line of a frame is longer than the terminal is wide."""
    text = shown(watched.seen[-1], watched.monitor, width)
    path = str(watched.monitor.folder)

    assert max(len(line) for line in text.splitlines() if path[-8:] not in line) <= width


curves = st.lists(
    st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=30).map(
        lambda y: Curve("a", np.arange(len(y), dtype=np.float64), np.array(y))
    ),
    min_size=1,
    max_size=4,
)


@given(curves, st.integers(10, 60), st.integers(2, 12))
def test_every_picture_has_its_size(drawn: list[Curve], columns: int, rows: int) -> None:
    """Curves of any numbers fill a picture of exactly the size that was asked for, and each ends in it."""
    lines = plot_curves(drawn, columns, rows)

    assert [len(line.plain) for line in lines] == [columns] * rows
    assert 1 <= sum(line.plain.count("a") for line in lines) <= len(drawn)


def test_a_straight_line_is_drawn_straight() -> None:
    """From the upper left to the lower right: each line of text holds its share, the letter last."""
    lines = plot_curves([Curve("a", np.array([0.0, 10.0]), np.array([1.0, 0.0]))], 8, 4)

    assert [line.plain.rstrip() for line in lines] == ["⠙⢦⡀", "  ⠙⢦⡀", "    ⠙⢦⡀", "      ⠙a"]
