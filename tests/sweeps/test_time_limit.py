"""Cells and sweeps that take longer than their limits allow, and cells that end their process."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from support.processes import Processes
from support.tiers import representatives

import gdbench

HANGS = """
import os
import time
import torch
from gdbench.objectives import Objective


def make(fn):
    return Objective(fn=fn, start=torch.ones(2, dtype=torch.float64), minimum=0.0)


def loops(x):
    while True:
        pass


def counts(x):
    return sum(range(10**14))  # holds the interpreter's lock, and checks for no signal


def dies(x):
    calls.append(x)
    if len(calls) > 1:  # the first is the check, before anything runs
        os._exit(0)
    return (x**2).sum()


calls = []


def slow(x):
    time.sleep(0.02)
    return (x**2).sum()


def catches(x):
    try:
        time.sleep(600)
    except Exception:
        pass
    return (x**2).sum()


def loop():
    return make(loops)


def sleeping():
    return make(catches)


def hang():
    return make(counts)


def leave():
    return make(dies)


def slow_step():
    return make(slow)


def building():
    time.sleep(600)
"""
NAMES = ("loop", "sleeping", "hang", "leave", "slow_step", "building")
SHORT = ("lr=0.01", "steps=3", "timing=off")


@pytest.fixture
def hangs(tmp_path: Path) -> Path:
    """A folder of objectives that do not end."""
    folder = tmp_path / "mine" / "objective"
    folder.mkdir(parents=True)
    (tmp_path / "mine" / "hanging.py").write_text(HANGS)
    for name in NAMES:
        (folder / f"{name}.yaml").write_text(f"_target_: hanging.{name}\n")
    return tmp_path / "mine"


@pytest.mark.parametrize("name", representatives(("loop", "sleeping"), ("loop",)))
def test_a_cell_that_does_not_end_is_a_row(hangs: Path, command: Callable[..., Any], name: str) -> None:
    """An endless loop of Python and a sleep are ended; the row says so, and the other cells have theirs."""
    done = command("--config-dir", str(hangs), "-m", f"objective={name},beale", *SHORT, "max_seconds=2")
    runs = gdbench.load().set_index("objective")
    assert runs["status"].to_dict() == {name: "timeout", "beale": "budget"}
    assert runs.loc[name, "error"] == "did not end within max_seconds=2"
    assert done.code == 0
    assert "1 of 2 runs have no result: 1 timeout (did not end within max_seconds=2)." in done.err
    assert not list(Path().rglob("running-*"))


@pytest.mark.slow
def test_slow_steps_are_ended_between_them(hangs: Path, command: Callable[..., Any]) -> None:
    """Steps that end are stopped after one of them, also by Python's API in a thread, which no alarm reaches."""
    words = ("objective=slow_step", "lr=0.01", "steps=100000", "timing=off", "trace=none", "max_seconds=1")
    assert command("--config-dir", str(hangs), *words).code == 1
    with ThreadPoolExecutor(1) as pool:
        axes = {"lr": 0.01, "steps": 100_000, "timing": "off", "trace": "none", "max_seconds": 1}
        runs = pool.submit(gdbench.sweep, "slow_step", config_dir=hangs, **axes).result()
    assert runs["status"].tolist() == ["timeout"]


@pytest.mark.slow
def test_runs_that_ended_in_time_keep_their_results(tmp_path: Path) -> None:
    """Of a cell whose runs are made one by one, those that had ended have their results, and the others say timeout."""
    import torch

    def fn(x: torch.Tensor) -> torch.Tensor:
        if x[0].item() > 1.5:  # .item(): not in lanes
            time.sleep(30)
        return (x**2).sum()

    runs = gdbench.run(
        fn, x0=[1.0, 1.0], optimizer="gd", lr=[0.1, 2.0], steps=4, timing="off", max_seconds=5, outputs=tmp_path
    )
    assert runs["status"].tolist() == ["budget", "timeout"]
    assert runs["final_loss"].notna().tolist() == [True, False]


@pytest.mark.slow
def test_a_sweep_that_takes_its_time_says_what_had_not_begun(hangs: Path, command: Callable[..., Any]) -> None:
    """At ``max_sweep_seconds`` the running cell is ended and the others are rows; resume= runs both."""
    words = ("--config-dir", str(hangs), "-m", "objective=loop,beale", *SHORT)
    done = command(*words, "max_sweep_seconds=2", "name=limited")
    runs = gdbench.load().set_index("objective")["error"].to_dict()
    assert runs == {
        "loop": "did not end within max_sweep_seconds=2",
        "beale": "had not begun within max_sweep_seconds=2",
    }
    assert done.code == 1
    again = command(*words, "max_seconds=0.3", "name=limited", "--dry-run")
    assert "2 cells, none run yet" in again.out or "2 missing" in again.out


@pytest.mark.parametrize("setting", ["max_seconds=0", "max_seconds=soon", "max_sweep_seconds=-1", "max_seconds=[1,2]"])
def test_a_wrong_limit_is_one_line(command: Callable[..., Any], setting: str) -> None:
    """A limit that is no positive number is refused before anything runs."""
    done = command(setting, *SHORT)
    assert done.code == 2
    assert done.err.startswith(f"gdbench: {setting.partition('=')[0]}=")
    assert len(done.err.splitlines()) == 1


@pytest.mark.slow
@pytest.mark.parametrize(("limit", "status"), [("max_seconds=2", "timeout"), ("max_sweep_seconds=2", "budget")])
def test_a_cell_that_hung_runs_again_only_where_its_sweep_had_the_limit(
    command: Callable[..., Any], limit: str, status: str
) -> None:
    """Its own limit it would miss again; that of the sweep it missed through no fault of its own."""
    command("objective=beale", *SHORT, "name=hung")
    (folder,) = Path("outputs").glob("*/*_hung")
    (folder / "runs.parquet").unlink()
    mark = {"cell": 0, "label": "beale gd manual", "limit": limit}
    (folder / ".hydra" / "running-00000.json").write_text(json.dumps(mark), encoding="utf-8")
    command("objective=beale", *SHORT, "name=hung")

    assert gdbench.load()["status"].tolist() == [status]


@pytest.mark.slow
def test_a_call_that_python_cannot_interrupt_ends_the_process(
    hangs: Path, processes: Processes, tmp_path: Path
) -> None:
    """It is killed by its watchdog, which says so; the sweep resumes with the other cells and a row for this one."""
    words = ("--config-dir", str(hangs), "-m", "objective=hang,beale", *SHORT, "max_seconds=2", "name=hung")
    done = processes.fork("-m", "gdbench", *words, cwd=tmp_path).communicate()
    assert done.code == -9
    *_, line = done.err.splitlines()
    assert line.startswith("gdbench: cell 0 (hang gd manual) did not end within max_seconds=2, in a call that Python")
    assert processes.wait_for_all() == []
    again = processes.fork("-m", "gdbench", *words, cwd=tmp_path).communicate()
    runs = gdbench.load(tmp_path / "outputs").set_index("objective")["status"].to_dict()
    assert runs == {"hang": "timeout", "beale": "budget"}, again
    assert not list(tmp_path.rglob("running-*"))


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["joblib", "submitit_local", "ray"])
def test_workers_that_hang_or_leave_cost_their_own_cells(
    hangs: Path, processes: Processes, tmp_path: Path, launcher: str
) -> None:
    """With every launcher a cell that hangs or calls os._exit is a row that says so, and all others have theirs."""
    words = ("--config-dir", str(hangs), "-m", "objective=hang,beale,loop,leave,booth,matyas", *SHORT, "max_seconds=2")
    done = processes.fork("-m", "gdbench", *words, f"hydra/launcher={launcher}", cwd=tmp_path).communicate()
    runs = gdbench.load(tmp_path / "outputs").set_index("objective")
    assert done.code == 1, done
    assert runs["status"].to_dict() == {
        **dict.fromkeys(("hang", "loop"), "timeout"), "leave": "failed",
        **dict.fromkeys(("beale", "booth", "matyas"), "budget"),
    }, runs["error"].to_dict()  # fmt: skip
    assert processes.wait_for_all() == []


@pytest.mark.slow
def test_a_launched_sweep_ends_in_time(hangs: Path, processes: Processes, tmp_path: Path) -> None:
    """At ``max_sweep_seconds`` every worker ends, and the cells that had not ended are rows."""
    words = ("--config-dir", str(hangs), "-m", "objective=beale,hang", *SHORT, "max_sweep_seconds=20")
    began = time.monotonic()
    done = processes.fork("-m", "gdbench", *words, "hydra/launcher=joblib", cwd=tmp_path).communicate()
    runs = gdbench.load(tmp_path / "outputs").set_index("objective")
    assert time.monotonic() - began < 60
    assert runs.loc["hang", "status"] == "timeout", done
    assert runs.loc["hang", "error"].endswith("within max_sweep_seconds=20"), done
    assert processes.wait_for_all() == []


@pytest.mark.slow
def test_a_process_that_ended_within_a_cell_is_told(hangs: Path, processes: Processes, tmp_path: Path) -> None:
    """After os._exit in a cell, the next start says in which, runs the other cells first, and keeps their rows."""
    words = ("--config-dir", str(hangs), "-m", "objective=leave,beale", *SHORT, "name=left")
    first = processes.fork("-m", "gdbench", *words, cwd=tmp_path).communicate()
    assert first.code == 0  # what os._exit said
    watched = processes.fork("-m", "gdbench", "sweeps", "watch", "left", cwd=tmp_path).communicate()
    assert "within cell 0 (leave gd manual)" in watched.out
    second = processes.fork("-m", "gdbench", *words, cwd=tmp_path).communicate()
    assert "gdbench: The process ended within cell 0 (leave gd manual) before: it runs last." in second.err
    assert gdbench.load(tmp_path / "outputs")["objective"].tolist() == ["beale"]
