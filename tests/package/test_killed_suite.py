"""A run of pytest that is ended in the middle leaves nothing: no process, no worktree, no lock and no folder."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from support.processes import ROOT, Process, Processes

MIDDLE = '''
import os
import signal
import subprocess
from pathlib import Path

import pytest
from support.repositories import git, repository

from gdbench.gate.git_worktree import open_worktree


@pytest.mark.parametrize("number", range(2))
def test_middle(processes, tmp_path, number):
    """Is killed while a fork, its workers, real programs and a git worktree are there."""
    repository(tmp_path)
    words = ["-m", "gdbench", "-m", "steps=10,1000000000", "timing=off", "trace=none", "hydra/launcher=joblib"]
    with open_worktree(tmp_path, "HEAD"):
        launched = processes.fork(*words, cwd=tmp_path)
        assert launched.read_line().startswith("cell 1/2 ")
        processes.start("sh", "-c", "setsid sleep 1000 & exec sleep 2000", cwd=tmp_path)
        with open(os.environ["READY"], "w") as ready:  # a pipe that somebody waits at
            ready.write(str(number))
        launched.wait()
'''


def begin(processes: Processes, place: Path, *options: str) -> Process:
    """A run of pytest that has come to the middle of a test."""
    (place / "test_middle.py").write_text(MIDDLE)
    (place / "tmp").mkdir()
    ready = place / "ready"
    os.mkfifo(ready)
    env = {
        "READY": str(ready),
        "TMPDIR": str(place / "tmp"),
        "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}",
        "PYTEST_DEBUG_TEMPROOT": str(place / "tmp"),
    }
    words = ["-m", "pytest", "-p", "conftest", "-p", "no:cacheprovider", "-q", "--rootdir", str(place), *options]
    run = processes.start_python(*words, "test_middle.py", cwd=place, env=env)
    ready.read_text()
    return run


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "options"),
    [
        pytest.param(signal.SIGKILL, (), marks=pytest.mark.campaign),
        pytest.param(signal.SIGTERM, (), marks=pytest.mark.campaign),
        (signal.SIGINT, ()),
        (signal.SIGKILL, ("-n", "2")),
    ],
    ids=str,
)
def test_a_run_of_pytest_that_is_ended_leaves_nothing(
    processes: Processes, tmp_path: Path, number: signal.Signals, options: tuple[str, ...]
) -> None:
    """However pytest ends, all that its tests had started ends too, and their folders are gone with it.

    After Ctrl-C pytest itself ends in order, and keeps the folders of what has not passed.
    """
    run = begin(processes, tmp_path, *options)
    run.send_signal(number, group=number == signal.SIGINT)  # as a terminal does
    done = run.communicate()

    assert done.code == (2 if number == signal.SIGINT else -number), done
    assert processes.wait_for_all() == []
    (kept,) = (tmp_path / "tmp").glob("pytest-of-*")
    left = [str(path.relative_to(kept)) for path in kept.rglob("*") if not path.name.endswith("current")]
    if number == signal.SIGINT:
        left = [path for path in left if path.endswith("/.lock") or "gdbench-gate/" in path]
    assert left == []
