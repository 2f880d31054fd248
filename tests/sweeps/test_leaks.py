"""A sweep of many cells leaves no file descriptor and no thread behind."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import pytest

import gdbench

FDS = Path("/proc/self/fd")


def count_resources() -> tuple[int, int]:
    """Number of open file descriptors and of threads of this process."""
    return len(list(FDS.iterdir())), threading.active_count()


@pytest.mark.skipif(sys.platform != "linux", reason="descriptors are counted in /proc")
@pytest.mark.parametrize("cells", [8, pytest.param(300, marks=pytest.mark.slow)])
def test_a_sweep_leaks_no_descriptor_and_no_thread(cells: int, tmp_path: Path) -> None:
    """After a sweep of many cells as many file descriptors and threads are open as after one of two."""

    def run(count: int) -> int:
        steps = list(range(1, count + 1))
        return len(gdbench.sweep("rosenbrock", optimizer="gd", steps=steps, timing="off", outputs=tmp_path))

    assert run(2) == 2
    before = count_resources()

    assert run(cells) == cells
    assert count_resources() == before
