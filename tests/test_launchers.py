from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import gdbench

ROOT = Path(__file__).parent.parent
LAUNCHERS = ("joblib", "submitit_local", "ray")
QUIET = ("timing=off", "--quiet")
NOT_EXACT = ("started_at", "sweep", "overrides")

AWAY = '''
import os
import signal
import time
from pathlib import Path

import torch
from own_things import bowl

HOME = os.getpid() == int(os.environ["HOME_PROCESS"])


def counts():
    """Its loss is the number of threads."""
    made = bowl()
    return type(made)(fn=lambda x: 0 * x.sum() + torch.get_num_threads(), start=made.start, minimum=0.0)


def dies():
    """Takes its worker with it."""
    if not HOME:
        os.kill(os.getpid(), signal.SIGKILL)
    return bowl()


def beheads():
    """Kills the head of the Ray that carries it, and goes on for ever."""
    if not HOME:
        for process in Path("/proc").glob("[0-9]*"):
            if "gcs_server" in (process / "comm").read_text() and os.getsid(int(process.name)) == os.getsid(0):
                os.kill(int(process.name), signal.SIGKILL)
        time.sleep(600)
    return bowl()


def lasts():
    """Goes on for ever."""
    if not HOME:
        time.sleep(600)
    return bowl()


def meets():
    """Waits until another process has come here too."""
    if not HOME:
        place = Path(__file__).parent / "met"
        place.mkdir(exist_ok=True)
        (place / str(os.getpid())).touch()
        for _ in range(600):
            if len(list(place.iterdir())) > 1:
                return bowl()
            time.sleep(0.1)
        raise TimeoutError("nobody came")
    return bowl()
'''
ABSENT = '''
import os

from own_things import bowl

if os.getpid() != int(os.environ["HOME_PROCESS"]):
    raise ImportError("not on this machine")
'''


@pytest.fixture
def away(own: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The user's folder, with objectives that behave otherwise in a worker than in the process that asks."""
    monkeypatch.setenv("HOME_PROCESS", str(os.getpid()))
    (own / "away.py").write_text(AWAY)
    (own / "absent.py").write_text(ABSENT)
    for name in ("counts", "dies", "beheads", "lasts", "meets"):
        (own / "objective" / f"{name}.yaml").write_text(f"_target_: away.{name}\n")
    (own / "objective" / "absent.yaml").write_text("_target_: absent.bowl\n")
    yield own
    for name in ("away", "absent"):
        sys.modules.pop(name, None)


def exact(place: str) -> pd.DataFrame:
    """The columns of a sweep that every repetition gives again."""
    runs = gdbench.load(place)
    return runs[[name for name in runs if name not in NOT_EXACT]]


def left_behind(mark: str) -> list[str]:
    """The processes, by command line, that have inherited a mark in their environment; waits for those that go."""
    for _ in range(100):
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if mark.encode() in (process / "environ").read_bytes():
                    found.append((process / "cmdline").read_text().replace("\0", " "))
            except OSError:
                continue
        if not found:
            return []
        time.sleep(0.1)
    return found


# ----------------------------------------------------------------------------------------------------- the same table


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_every_launcher_gives_the_same_table(command: Callable[..., Any], away: Path, launcher: str) -> None:
    """Twelve cells, with code of the user's, come back as this process makes them; what a worker lacks is told."""
    words = ["-m", "--config-dir", str(away), "objective=bowl,counts,absent", "optimizer=gd,lbfgs", "impl=manual,torch"]
    words += ["lr=0.1,${logspace:-3,-1,2}", "steps=20", "threads=2", "timing=off", "device=cpu"]
    assert command(*words, "outputs=here", "--quiet").code == 0
    done = command(*words, f"hydra/launcher={launcher}", "outputs=there")
    here, there = exact("here"), exact("there")
    absent = there["objective"] == "absent"

    assert done.code == 1, done.err
    pd.testing.assert_frame_equal(here[~absent], there[~absent])
    assert set(there["status"][absent & (there["impl"] == "torch")]) == {"failed"}
    assert set(there["error"][absent].dropna()) == {
        "objective=absent: _target_ absent.bowl cannot be imported (not on this machine)."
        " Write package.module.name; a module of your own must lie in the folder given by --config-dir."
    }
    assert set(there["final_loss"][there["objective"] == "counts"].dropna()) == {2.0}
    assert [line.split()[:2] for line in done.err.splitlines()] == [["cell", f"{k}/12"] for k in range(1, 13)]
    assert [path.name for path in Path().glob("there/*/*/.*")] == [".hydra"]
