"""What the machine did meanwhile: told with every round, so that a doubtful verdict can be traced to its cause."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path

__all__ = ["Watch"]

Facts = Mapping[str, float | None]


class Watch:
    """Counts from when it is made; what a system does not tell is None."""

    def __init__(self) -> None:
        """Look at every counter."""
        self.before = _counters()

    def told(self) -> Facts:
        """What has been added since; ``clock_step_s`` is how far the wall clock was set meanwhile, load is as it is."""
        grown: dict[str, float | None] = {}
        for name, now in _counters().items():
            before = self.before[name]
            grown[name] = None if now is None or before is None else now - before
        load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
        return {**grown, "load": load}


def _counters() -> dict[str, float | None]:
    return {
        "wall_s": time.monotonic(),
        "cpu_s": time.process_time(),
        "clock_step_s": time.time() - time.monotonic(),
        "steal_ticks": _steal(),
        "involuntary_switches": _switches(),
        "throttled_periods": _throttled(),
    }


def _steal() -> float | None:
    """Ticks, of all processors, in which the hypervisor ran somebody else."""
    try:
        return float(Path("/proc/stat").read_text().splitlines()[0].split()[8])
    except (OSError, IndexError, ValueError):
        return None


def _switches() -> float | None:
    """How often this process had to make room for another."""
    try:
        import resource
    except ImportError:  # not on Windows
        return None
    return float(resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw)


def _throttled() -> float | None:
    """Periods in which the control group had used up its share of processor time."""
    try:
        lines = dict(line.split() for line in Path("/sys/fs/cgroup/cpu.stat").read_text().splitlines())
        return float(lines["nr_throttled"])
    except (OSError, KeyError, ValueError):
        return None
