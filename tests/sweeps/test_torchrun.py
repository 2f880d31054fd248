"""Processes that torchrun starts: one of them writes and prints."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.tiers import representatives

WORDS = ("objective=rosenbrock", "steps=3", "timing=off")


def rank(number: int, tmp_path: Path) -> dict[str, str]:
    """The variables of a process of torchrun, whose temporary files are in a folder of their own."""
    place = tmp_path / "temporary"
    place.mkdir(exist_ok=True)
    return {"TORCHELASTIC_RUN_ID": "none", "RANK": str(number), "WORLD_SIZE": "2", "TMPDIR": str(place)}


@pytest.mark.parametrize("number", representatives([0, 1], [1]))
def test_the_first_process_alone_writes_and_prints(number: int, shell: Callable[..., Any], tmp_path: Path) -> None:
    """The others run the same cell, print nothing and leave nothing behind."""
    done = shell("-m", "gdbench", *WORDS, env=rank(number, tmp_path), real=True)

    assert done.code == 0, done.err
    assert bool(done.out) == (number == 0)
    assert len(list(tmp_path.glob("outputs/*/*"))) == (1 if number == 0 else 0)
    assert not list((tmp_path / "temporary").glob("gdbench-rank-*"))


def test_a_sweep_is_not_resumed_by_several_processes(
    command: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Processes that would run other cells wait for each other for ever: this is refused in one line."""
    for name, value in rank(0, tmp_path).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(tempfile, "tempdir", None)
    done = command(*WORDS, "resume=latest")

    assert done.code == 2
    assert "resume=latest is not possible under torchrun" in done.err
