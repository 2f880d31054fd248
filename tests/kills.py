"""Kills real sweeps: ``python kills.py SWEEPS KILLS SEED WORDS...``, in the folder where their outputs go.

Each sweep is begun, killed with SIGKILL at a random moment, begun again under its name, and so on, and at last left
alone. What the killed ones had finished is printed as JSON: for each sweep ``{cell: when it started}``.
A fork of this process, in which all is imported already, is a fresh sweep without the seconds that imports take.
"""

import contextlib
import io
import json
import os
import random
import signal
import sys
import time

import torch._dynamo  # noqa: F401 (the first optimizer of torch.optim imports it, for a second or more)

import gdbench
from gdbench.cli import main


def begun(words: list[str]) -> int:
    """A sweep in a process of its own."""
    child = os.fork()
    if not child:
        os._exit(main([*words, "--quiet"]))
    return child


def ended(name: str) -> dict[int, str]:
    """The cells of a sweep that have ended, and when they had started."""
    try:
        runs = gdbench.load(f"outputs/*/*_{name}*")  # one killed at once leaves an empty folder, and _2 beside it
    except gdbench.UsageError:
        return {}
    return {int(cell): str(when) for cell, when in zip(runs["cell"], runs["started_at"], strict=True)}


def whole(words: list[str]) -> float:
    """How long a sweep takes that is left alone."""
    started = time.perf_counter()
    _, status = os.waitpid(begun(words), 0)
    assert status == 0
    return time.perf_counter() - started


sweeps, kills, seed = map(int, sys.argv[1:4])
words, moments, finished = sys.argv[4:], random.Random(seed), {}
with contextlib.redirect_stdout(io.StringIO()):
    main(["plan", *words])  # imports all that a sweep needs
longest = whole([*words, "name=whole"])
for sweep in range(sweeps):
    for _ in range(kills):
        child = begun([*words, f"name=s{sweep}"])
        time.sleep(moments.uniform(0, longest))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    finished[f"s{sweep}"] = ended(f"s{sweep}")
    whole([*words, f"name=s{sweep}"])
print(json.dumps(finished))
