"""What the gate's time layer is worth, in one long campaign: ``python tests/speed/gate.py --hours 6``.

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

from gdbench.gate.series import Side
from gdbench.gate.suite import load_suite
from gdbench.gate.timing.calibration import SIZES, selftest

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
    parser.add_argument("--sizes", type=float, nargs="*", default=SIZES, help="slowdowns to put in, as fractions")
    parser.add_argument("--busy", type=float, default=60, help="seconds of work of the neighbour")
    parser.add_argument("--idle", type=float, default=60, help="seconds of rest of the neighbour")
    given = parser.parse_args()
    series = [each for each in load_suite("default").running if fnmatch.fnmatch(each.name, given.only)]
    series = [each for each in series if each.policy == "gate"]
    start = time.monotonic()

    def heard(words: str, share: float) -> None:
        print(f"{time.monotonic() - start:7.0f} s  {share:4.0%}  {words}", file=sys.stderr, flush=True)

    with neighbour(given.busy, given.idle) if given.busy else contextlib.nullcontext():
        figures = selftest(
            series, Side(ROOT, "head"), rounds=given.rounds, hours=given.hours, sizes=given.sizes, progress=heard
        )
    print(f"{len(series)} series")
    print("\n".join(figures.lines))
    for name, s in sorted(figures.s.items(), key=lambda each: -each[1]):
        print(f"  {name}: replicate SD {s:.2%}, found from {figures.found_from[name]:.1%}")


if __name__ == "__main__":
    main()
