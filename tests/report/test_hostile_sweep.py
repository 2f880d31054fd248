"""A sweep of a stranger, whose every text is hostile, through all that looks at it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from support.hostile_texts import HOSTILE, has_control

import gdbench
from gdbench.results.labels import Labels, update_labels

TEXT = "\x1b[31m[red]\u202e<b>|=1\x9b2J\x07"
STORED = [text for text in HOSTILE if "\ud800" not in text and "\x00" not in text and len(text) < 100]


@pytest.fixture
def sweep(once: Callable[..., Path]) -> Path:
    """The folder of a sweep of four runs whose names, notes and errors were replaced."""
    folder = once("-m objective=beale optimizer=gd,adam lr=0.01,0.1 steps=5 timing=off --quiet")
    file = folder / "runs.parquet"
    table = pd.read_parquet(file)
    table["objective"] = TEXT
    table["optimizer"] = [f"{name}{TEXT}" for name in table["optimizer"]]
    table["status"], table["error"], table["traceback"] = "failed", [*STORED[:3], "\n".join(STORED)], "\n".join(STORED)
    table.to_parquet(file)
    update_labels(folder, lambda held: Labels(TEXT, (TEXT,), "\n".join(STORED)))
    return folder


@pytest.mark.parametrize(
    "words",
    [
        "show",
        "show RUN",
        "sweeps",
        "sweeps --csv",
        "sweeps label SWEEP",
        "report --format md",
        "compare A B --settings",
    ],
)
def test_a_strangers_texts_give_the_terminal_no_order(sweep: Path, command: Callable[..., Any], words: str) -> None:
    """Whatever looks at a sweep prints its texts without control codes and without markup taken for such."""
    a, b = gdbench.load(sweep)["run_id"][[0, 2]]
    names = {"RUN": a, "SWEEP": str(sweep), "A": a, "B": b}
    done = command(*(names.get(word, word) for word in words.split()))
    for line in (done.out + done.err).splitlines():
        assert not has_control(line.replace("\t", " ")), (words, line)
    assert "MarkupError" not in done.err
    assert done.out
