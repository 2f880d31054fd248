"""Work of Python's own, such as MLflow's, on several cores: a function called in fresh processes side by side."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

__all__ = ["shares", "spread"]

MOST = 4
"""More processes than that wait for each other's writes to one file."""
WORTH = 100
"""So many things for each process pay for its start."""


def shares(things: Sequence[Any]) -> list[Sequence[Any]]:
    """Things in equal shares, one for each process that is worth its start; all in one where none is."""
    count = max(1, min(MOST, os.cpu_count() or 1, len(things) // WORTH))
    return [things[place::count] for place in range(count)]


def spread(module: str, name: str, calls: Sequence[tuple[Any, ...]]) -> None:
    """Call ``module.name`` with each tuple of arguments, in a process each; raises RuntimeError with what one died of.

    These are no children of multiprocessing, which would run a user's script once more in each of them.
    """
    code = f"import pickle, sys; from {module} import {name}; {name}(*pickle.load(sys.stdin.buffer))"

    def carry_out(arguments: tuple[Any, ...]) -> None:
        done = subprocess.run([sys.executable, "-c", code], input=pickle.dumps(arguments), capture_output=True)
        if done.returncode:
            raise RuntimeError((done.stderr.decode(errors="replace").strip().splitlines() or ["it said nothing"])[-1])

    with ThreadPoolExecutor(len(calls)) as pool:
        list(pool.map(carry_out, calls))
