"""What gdbench adds to the work itself: nothing that can be seen in a step, and little before the first word."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from processes import medians

import gdbench
from gdbench.engine.reference_loops import make_plain_loop

COMPARISONS = 10


def reported(outputs: Path) -> list[float]:
    """The column step_time_ratio of as many runs as there are comparisons."""
    settings = {"impl": "manual", "device": "cpu", "lr": 0.1, "timing": "quick", "outputs": str(outputs)}
    return [float(gdbench.run("notebook_manual", **settings)["step_time_ratio"][0]) for _ in range(COMPARISONS)]


def test_a_reported_step_takes_as_long_as_one_written_by_hand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, timed: Callable[..., Any], figures: Callable[..., None]
) -> None:
    """A step of impl=manual takes within 3% of a bare loop's, which stands where the reference loop does otherwise."""
    monkeypatch.setattr("gdbench.engine.timing_pass.make_notebook_loop", make_plain_loop)
    ratios = timed(lambda: reported(tmp_path))
    figures(ratios_to_the_plain_loop=ratios, median=statistics.median(ratios))
    assert abs(statistics.median(ratios) - 1) <= 0.03


def test_a_reported_step_takes_little_more_than_the_notebooks(
    tmp_path: Path, timed: Callable[..., Any], figures: Callable[..., None]
) -> None:
    """A step of impl=manual takes at most 1.10 of a step of the notebook's loop, which moves x in place."""
    ratios = timed(lambda: reported(tmp_path))
    figures(ratios_to_the_notebook=ratios, median=statistics.median(ratios))
    assert statistics.median(ratios) <= 1.10


def test_help_is_there_before_torch_would_be(
    tmp_path: Path, timed: Callable[..., Any], figures: Callable[..., None]
) -> None:
    """``python -m gdbench --help`` takes less than a third of the time of ``import torch``."""
    commands = {"help": ["-m", "gdbench", "--help"], "torch": ["-c", "import torch"]}
    taken = timed(lambda: medians(tmp_path, 7, **commands))
    figures(help_s=taken["help"], torch_s=taken["torch"], share=taken["help"] / taken["torch"])
    assert taken["help"] < taken["torch"] / 3
