"""Whole sweeps, from the start of one process to tables on disk, against what one would write by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from processes import medians, seconds

import gdbench

SWEEP = ["-m", "gdbench", "-m", "objective=rosenbrock", "device=cpu", "lr=tag(log,interval(1e-5,1e-1))", "points=1000"]
TIMINGS = {"timed": [], "untimed": ["timing=off"]}
IMPORTS = ["-c", "import torch, hydra, pandas"]
APP = Path(__file__).parent / "peers" / "hydra_app.py"


@pytest.fixture(scope="module")
def by_hand(tmp_path_factory: pytest.TempPathFactory) -> float:
    """Seconds that 1,000 jobs of the handwritten app take: one start, and 1,000 times what each of 100 jobs adds."""
    folder = tmp_path_factory.mktemp("by_hand")
    rates = ",".join(f"{lr:.6g}" for lr in np.geomspace(1e-5, 1e-1, 101))
    one = seconds([APP, "-m", "lr=1e-3", "hydra.sweep.dir=one"], folder)
    hundred = seconds([APP, "-m", f"lr={rates}", "hydra.sweep.dir=hundred"], folder)
    return one + 999 * (hundred - one) / 100


@pytest.mark.parametrize("timing", TIMINGS)
def test_1000_learning_rates_take_a_25th_of_a_handwritten_hydra_app(
    timing: str, by_hand: float, tmp_path: Path, timed: Callable[..., Any], figures: Callable[..., None]
) -> None:
    """A sweep of 1,000 learning rates x 100 steps is at least 25 times faster than the same loop under plain Hydra."""
    ours = timed(lambda: medians(tmp_path, 3, gdbench=[*SWEEP, *TIMINGS[timing]]))["gdbench"]
    figures(gdbench_s=ours, by_hand_s=by_hand, times_faster=by_hand / ours)
    assert by_hand >= 25 * ours


@pytest.mark.parametrize("timing", TIMINGS)
def test_1000_learning_rates_cost_little_more_than_the_imports(
    timing: str, tmp_path: Path, timed: Callable[..., Any], figures: Callable[..., None]
) -> None:
    """The same sweep ends within twice the time of importing torch, hydra and pandas, and a second."""
    taken = timed(lambda: medians(tmp_path, 5, gdbench=[*SWEEP, *TIMINGS[timing]], imports=IMPORTS))
    allowed = 2 * taken["imports"] + 1
    figures(gdbench_s=taken["gdbench"], imports_s=taken["imports"], of_what_is_allowed=taken["gdbench"] / allowed)
    assert taken["gdbench"] < allowed


def test_100_cells_cost_little_more_than_their_work(
    tmp_path: Path, timed: Callable[..., Any], figures: Callable[..., None]
) -> None:
    """Composing, checking, keying and writing 100 cells take at most 2 s beyond what the cells themselves do."""
    words = ["-m", "gdbench", "-m", "objective=quadratic", "device=cpu", "timing=off", "--quiet"]
    hundred = [*words, "objective.condition=range(2,102)", "outputs=hundred"]
    taken = timed(lambda: medians(tmp_path, 3, one=[*words, "objective.condition=2"], hundred=hundred))
    work = float(gdbench.load(max((tmp_path / "hundred").glob("*/*")))["convergence_pass_s"].sum())
    beyond = taken["hundred"] - taken["one"] - work
    figures(beyond_the_work_s=beyond, work_s=work, a_cell_ms=10 * beyond)
    assert beyond <= 2
