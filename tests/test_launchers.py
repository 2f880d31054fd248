from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
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


def first_is_back():
    """Waits until the first cell has left its part."""
    while not list(Path("outputs").glob("*/*/parts/cell-00000.runs.parquet")):
        time.sleep(0.05)


def dies():
    """Takes its worker with it, when the first cell is back."""
    if not HOME:
        first_is_back()
        os.kill(os.getpid(), signal.SIGKILL)
    return bowl()


def beheads():
    """Kills the head of the Ray that carries it, when the first cell is back, and goes on for ever."""
    if not HOME:
        first_is_back()
        for process in Path("/proc").glob("[0-9]*"):
            if "gcs_server" in (process / "comm").read_text() and os.getsid(int(process.name)) == os.getsid(0):
                os.kill(int(process.name), signal.SIGKILL)
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
ABSENT = """
import os

from own_things import bowl

if os.getpid() != int(os.environ["HOME_PROCESS"]):
    raise ImportError("not on this machine")
"""
LACKS = (
    "objective=absent: _target_ absent.bowl cannot be imported (not on this machine)."
    " Write package.module.name; a module of your own must lie in the folder given by --config-dir."
)


@pytest.fixture
def away(own: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The user's folder, with objectives that behave otherwise in a worker than in the process that asks."""
    monkeypatch.setenv("HOME_PROCESS", str(os.getpid()))
    (own / "away.py").write_text(AWAY)
    (own / "absent.py").write_text(ABSENT)
    for name in ("counts", "dies", "beheads", "meets"):
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
    assert set(there["error"][absent & (there["impl"] == "torch")]) == {LACKS}
    assert set(there["final_loss"][there["objective"] == "counts"].dropna()) == {2.0}
    assert [line.split()[:2] for line in done.err.splitlines()] == [["cell", f"{k}/12"] for k in range(1, 13)]
    assert [path.name for path in Path().glob("there/*/*/.*")] == [".hydra"]


def test_ray_by_address_gives_the_same_table(command: Callable[..., Any], cluster: str) -> None:
    """A cluster that is there already carries the same rows, and is left running."""
    words = ["-m", "optimizer=gd,adam", "impl=manual,torch", "lr=0.1,0.2", "steps=20", *QUIET]
    assert command(*words, "outputs=here").code == 0
    done = command(*words, "hydra/launcher=ray", f"hydra.launcher.ray.init.address={cluster}", "outputs=there")

    assert done == (0, "", "")
    pd.testing.assert_frame_equal(exact("here"), exact("there"))
    assert ray_cli("status", "--address", cluster).returncode == 0


def ray_cli(*words: str) -> subprocess.CompletedProcess[str]:
    """What Ray's own command line does."""
    script = Path(sys.executable).with_name("ray")
    env = {**os.environ, "RAY_USAGE_STATS_ENABLED": "0"}
    return subprocess.run([script, *words], env=env, capture_output=True, text=True, timeout=60)


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a Ray head on the loopback interface, which asks for a token."""
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN", uuid.uuid4().hex * 2)
    place = Path(tempfile.mkdtemp(prefix="gdbench-ray-"))  # not in tmp_path: a socket's path must be short
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = ["start", "--head", "--block", "--node-ip-address=127.0.0.1", f"--port={port}", "--num-cpus=2"]
    words += ["--include-dashboard=false", f"--temp-dir={place}"]
    env = {**os.environ, "RAY_USAGE_STATS_ENABLED": "0", "PYTHONPATH": str(ROOT)}
    head = subprocess.Popen(
        [Path(sys.executable).with_name("ray"), *words],
        env=env,
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    address = f"127.0.0.1:{port}"
    try:
        for _ in range(60):
            if ray_cli("status", "--address", address).returncode == 0:
                break
        yield address
    finally:
        os.killpg(head.pid, signal.SIGKILL)
        head.wait()
        shutil.rmtree(place, ignore_errors=True)


# ------------------------------------------------------------------------------------------------------------- faults


@pytest.mark.parametrize(
    ("launcher", "reason"),
    [
        ("joblib", "A worker process managed by the executor was unexpectedly terminated"),
        ("submitit_local", r"job \d+ ended without a result; its log: /.*err"),
        ("ray", "The worker died unexpectedly while executing this task"),
    ],
)
def test_a_killed_worker_costs_the_cells_it_had(
    command: Callable[..., Any], away: Path, launcher: str, reason: str
) -> None:
    """The sweep ends by itself: what had ended is in the table, and what was lost is failed rows with a reason."""
    words = ["-m", "--config-dir", str(away), "objective=bowl,dies", "lr=0.1,0.2", "steps=20", *QUIET]
    done = command(*words, f"hydra/launcher={launcher}")
    runs = gdbench.load()

    assert done == (1, "", "")
    assert runs["status"].tolist() == ["budget", "target", "failed", "failed"]
    assert re.match(reason, runs["error"].iloc[-1]), runs["error"].iloc[-1]


def test_a_sweep_outlives_the_head_of_its_ray(command: Callable[..., Any], away: Path) -> None:
    """When Ray itself dies, its driver with it, the cells that had ended are kept and the others say so."""
    words = ["-m", "--config-dir", str(away), "objective=bowl,beheads", "lr=0.1,0.2", "steps=20", *QUIET]
    done = command(*words, "hydra/launcher=ray")
    runs = gdbench.load()

    assert done == (1, "", "")
    assert runs["status"].tolist() == ["budget", "target", "failed", "failed"]
    assert runs["error"].iloc[-1].startswith("the launcher died: ")


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_ctrl_c_is_one_clean_line_and_leaves_no_worker(away: Path, tmp_path: Path, launcher: str) -> None:
    """What a terminal does on Ctrl-C ends a launched sweep with code 130, the table so far and nobody at work."""
    mark = f"MARK_{uuid.uuid4().hex}"
    words = ["-m", "gdbench", "-m", "steps=10,1000000000", "timing=off", "record=none"]
    process = subprocess.Popen(
        [sys.executable, *words, f"hydra/launcher={launcher}"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), mark: "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stderr.readline().startswith("cell 1/2 ")
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    (folder,) = tmp_path.glob("outputs/*/*")

    assert (process.returncode, err) == (
        130,
        f"gdbench: interrupted. Finished cells: {folder.relative_to(tmp_path)}\n",
    )
    assert "1 runs: " in out or "1 run: " in out
    assert left_behind(mark) == []
