"""Controls: frozen loops on torch alone, timed on both sides, and the host's counters during a round.

The loops call no code of a side (one is bound by dispatch overhead, one by memory), so a difference between the sides
shows that the machine or the method is disturbed.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from gdbench.engine.reference_loops import make_memory_loop, make_plain_loop
from gdbench.engine.timer import Prepare
from gdbench.gate.timing.blocks import BlockLimits, make_block_timer

__all__ = ["CONTROLS", "ControlLoop", "HostCounters"]

CONTROLS: Mapping[str, Callable[[], Prepare]] = {
    "overhead": make_plain_loop,
    "memory": partial(make_memory_loop, megabytes=4),
}


class ControlLoop:
    """A frozen loop as a subject; its warm-up is one long block."""

    limits = BlockLimits()

    def __init__(self, name: str) -> None:
        """With arrays of its own."""
        prepare = CONTROLS[name]()
        prepare(100)()
        self.run_block = make_block_timer(prepare)

    def warm_up(self, steps: int, seconds: float) -> int:
        """No warm-up needed: all steps do the same work."""
        return 0

    def advance(self, step: int) -> None:
        """No-op: a control has no position."""


class HostCounters:
    """Counters of the host (steal, throttling, context switches) since this was made; None where not available."""

    def __init__(self) -> None:
        """Read every counter."""
        self.before = _read_counters()

    def read_growth(self) -> Mapping[str, float | None]:
        """Growth of each counter; ``clock_step_s`` is the adjustment of the wall clock, ``load`` the current load."""
        growth: dict[str, float | None] = {}
        for name, now in _read_counters().items():
            before = self.before[name]
            growth[name] = None if now is None or before is None else now - before
        load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
        return {**growth, "load": load}


def _read_counters() -> dict[str, float | None]:
    return {
        "wall_s": time.monotonic(),
        "cpu_s": time.process_time(),
        "clock_step_s": time.time() - time.monotonic(),
        "steal_ticks": _read_steal(),
        "involuntary_switches": _read_switches(),
        "throttled_periods": _read_throttled(),
    }


def _read_steal() -> float | None:
    """Ticks, over all processors, in which the hypervisor ran another machine."""
    try:
        return float(Path("/proc/stat").read_text().splitlines()[0].split()[8])
    except (OSError, IndexError, ValueError):
        return None


def _read_switches() -> float | None:
    """Involuntary context switches of this process."""
    try:
        import resource
    except ImportError:  # not on Windows
        return None
    return float(resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw)


def _read_throttled() -> float | None:
    """Periods in which the control group had used up its CPU quota."""
    try:
        lines = dict(line.split() for line in Path("/sys/fs/cgroup/cpu.stat").read_text().splitlines())
        return float(lines["nr_throttled"])
    except (OSError, KeyError, ValueError):
        return None
