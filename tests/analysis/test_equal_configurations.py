"""Configurations that attain the same are said to tie wherever the best is named; numbers that read alike are one."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from gdbench.report.result_text import describe_range, describe_result, join_some

TIED = ("optimizer=gd", "lr=0.1", "noise=none,gaussian", "timing=off")
"""Both reach the notebook's target in 31 steps."""


pytestmark = pytest.mark.usefixtures("own_folder")


def one_line(text: str) -> str:
    """A text without its line ends."""
    return " ".join(text.split())


def test_equal_configurations_of_one_method_are_said_to_tie(command: Callable[..., Any]) -> None:
    """Without noise and with it gd takes 31 steps: best, verdict, its table and the list of sweeps say that both do."""
    best = one_line(command("-m", *TIED).out)
    page = one_line(command("report", "--format", "md").out)
    listed = one_line(command("sweeps").out)
    words = "2 of its configurations tie: lr 0.1 noise none; lr 0.1 noise gaussian."

    assert f"Best: gd (manual) at lr 0.1, noise none: 31 gradients. {words}" in best
    assert f"gd (lr 0.1 noise none) is best: 31 gradients, the only method. {words}" in page
    assert "| lr 0.1 noise none | lr 0.1 noise gaussian | 31 gradients |" in page
    assert "gd lr 0.1 noise none (2 of its configurations tie), 31 gradients on notebook_manual" in listed
    assert json.loads(command("sweeps", "--json").out)[0]["best_tied"] == 2


def test_a_tie_that_is_not_at_the_edge_of_the_lrs_is_no_reason_to_go_beyond_it(command: Callable[..., Any]) -> None:
    """Two lrs of one step each: that one of them is the largest does not mean that larger ones are better."""
    out = one_line(command("-m", "optimizer=gd", "lr=0.3,0.4,0.6", "timing=off", "target=0.5").out)

    assert "2 of its configurations tie: lr 0.4; lr 0.6." in out or "configurations tie: lr 0.3; lr 0.4; lr 0.6." in out
    assert "edge of the grid" not in out


@pytest.mark.parametrize(
    ("low", "high", "measure", "text"),
    [
        (31.0, 31.0, "gradients", "31 gradients (median of 3 seeds, all 31)"),
        (30.0, 33.0, "gradients", "31 gradients (median of 3 seeds, 30 to 33)"),
        (30.99999, 31.000001, "final loss", "final loss 31 (median of 3 seeds, all 31)"),
    ],
)
def test_ends_that_read_alike_are_one_number(low: float, high: float, measure: str, text: str) -> None:
    """A range from 31 to 31 is 31, also where its ends differ by less than what is printed."""
    row = {"value": 31.0, "value_lo": low, "value_hi": high, "measure": measure, "n": 3, "outcome": "stays"}

    assert describe_result(row) == text
    assert describe_range(row) == ("31" if "all" in text else "30 to 33")


def test_many_equals_are_counted() -> None:
    """Of many names a sentence lists four, and says how many more there are."""
    assert join_some(["a", "b"]) == "a; b"
    assert join_some([*"abcdef"]) == "a; b; c; d; and 2 more"
