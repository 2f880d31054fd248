"""Calibration of the gate's time layer in one long campaign: ``python tests/speed/gate.py --hours 6``.

Head against head and against itself slowed down, over the default suite, while a neighbour keeps a core busy half of
the time. Run it alone on the machine, but for the neighbour.
"""

from __future__ import annotations

import argparse
import contextlib
import fnmatch
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from gdbench.gate.series import SourceTree
from gdbench.gate.suite import load_suite
from gdbench.gate.timing.calibration import SIZES, calibrate
from gdbench.report.gate import describe_calibration

ROOT = Path(__file__).parents[2]
NEIGHBOUR = """
import itertools, time
for _ in itertools.count():
    end = time.monotonic() + {busy}
    while time.monotonic() < end:
        sum(range(1000))
    time.sleep({idle})
"""


@contextlib.contextmanager
def neighbour(busy: float, idle: float) -> Iterator[None]:
    """A process that takes a core for so many seconds, leaves it for so many, and so on."""
    process = subprocess.Popen([sys.executable, "-c", NEIGHBOUR.format(busy=busy, idle=idle)])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def main() -> None:
    """Carry out the campaign."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hours", type=float)
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--only", default="*", help="a pattern of series")
    parser.add_argument("--sizes", type=float, nargs="*", default=SIZES, help="slowdowns to inject, as fractions")
    parser.add_argument("--busy", type=float, default=60, help="seconds of work of the neighbour")
    parser.add_argument("--idle", type=float, default=60, help="seconds of rest of the neighbour")
    given = parser.parse_args()
    series = [one for one in load_suite("default").running if fnmatch.fnmatch(one.name, given.only)]
    series = [one for one in series if one.policy == "gate"]
    start = time.monotonic()

    def heard(words: str, share: float) -> None:
        print(f"{time.monotonic() - start:7.0f} s  {share:4.0%}  {words}", file=sys.stderr, flush=True)

    with neighbour(given.busy, given.idle) if given.busy else contextlib.nullcontext():
        result = calibrate(
            series, SourceTree(ROOT, "head"), rounds=given.rounds, hours=given.hours, sizes=given.sizes, progress=heard
        )
    print(f"{len(series)} series")
    print("\n".join(describe_calibration(result)))
    for name, sd in sorted(result.sd.items(), key=lambda item: -item[1]):
        print(f"  {name}: replicate SD {sd:.2%}, detectable from {result.detectable_slowdown[name]:.1%}")


if __name__ == "__main__":
    main()
