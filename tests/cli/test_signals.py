"""SIGINT, SIGTERM and SIGHUP at any moment of any verb: one line, exit code 128 + number, nothing left behind."""

from __future__ import annotations

import re
import shutil
import signal
import time
from pathlib import Path

import pytest
from support.processes import Done, Process, Processes

import gdbench

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
ENDLESS = ("-m", "gdbench", "-m", "steps=10,1000000000", "timing=off", "trace=none")
WORDS = {signal.SIGINT: "interrupted.", signal.SIGTERM: "ended by SIGTERM.", signal.SIGHUP: "ended by SIGHUP."}
SMALL = "optimizer=gd,adam lr=0.01,0.1 steps=20"
VERBS = {
    "run": "optimizer=gd lr=0.01 steps=20 timing=off",
    "run -m": f"-m {SMALL} dtype=float32,float64",
    "run -m joblib": f"-m {SMALL} timing=off hydra/launcher=joblib",
    "run --dry-run": f"-m {SMALL} --dry-run",
    "tune": "tune optimizer=gd,adam trials=20 steps=20 timing=off",
    "report": "report FOLDER",
    "report figures": "report FOLDER --format figures",
    "compare": "compare FOLDER OTHER",
    "compare --settings": "compare FOLDER OTHER --settings",
    "show": "show RUN",
    "reproduce": "reproduce RUN",
    "export tensorboard": "export tensorboard FOLDER",
    "list": "list optimizers",
    "sweeps": "sweeps",
    "sweeps watch": "sweeps watch FOLDER",
    "sweeps label": "sweeps label FOLDER --tag one",
    "sweeps archive": "sweeps archive FOLDER --to one.zip",
    "sweeps restore": "sweeps restore kept.zip --outputs restored",
    "sweeps rm": "sweeps rm OTHER --yes",
}
"""A command line of each verb; FOLDER and OTHER stand for sweeps, RUN for a run."""


@pytest.fixture(scope="module")
def sweeps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two sweeps and an archive of one."""
    from gdbench.results.archive import pack_sweeps

    place = tmp_path_factory.mktemp("sweeps")
    for name in ("one", "two"):
        outputs = place / "outputs"
        gdbench.sweep(
            "beale", optimizer=["gd", "adam"], lr=[0.01, 0.1], steps=20, timing="off", name=name, outputs=outputs
        )
    pack_sweeps([next(outputs.glob("*/*_one"))], place / "kept.zip", outputs)
    return place


@pytest.fixture
def begun(processes: Processes, tmp_path: Path) -> Process:
    """A sweep of a short and an endless cell, of which the short one has ended."""
    process = processes.fork(*ENDLESS, cwd=tmp_path)
    assert process.read_line().startswith("cell 1/2")
    return process


@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
def test_a_signal_ends_a_sweep_in_one_line(begun: Process, processes: Processes, tmp_path: Path, number: int) -> None:
    """Each signal ends a sweep with its exit code, the table so far and one line; the finished cell is on disk."""
    begun.send_signal(number)
    done = begun.communicate()
    (folder,) = tmp_path.glob("outputs/*/*")
    assert done.code == 128 + number
    assert done.err.splitlines()[-1] == f"gdbench: {WORDS[number]} Finished cells: {folder.relative_to(tmp_path)}"
    assert "Traceback" not in done.err
    assert gdbench.load(folder)["steps"].tolist() == [10]
    assert processes.wait_for_all() == []


STARTED = "import signal, sys; signal.signal(signal.SIGINT, signal.SIG_IGN); from gdbench.__main__ import run; run()"


def test_an_ignored_sigint_is_said_once_and_sigterm_ends(processes: Processes, tmp_path: Path) -> None:
    """Where SIGINT was ignored at the start, one line says so and how to end the sweep; SIGTERM ends it."""
    sweep = processes.fork("-c", STARTED, *ENDLESS[2:], cwd=tmp_path)
    line = sweep.read_line()
    assert "SIGINT (Ctrl-C) was ignored" in line
    assert f"kill {sweep.pid}." in line
    assert sweep.read_line().startswith("cell 1/2")
    sweep.send_signal(signal.SIGINT)
    sweep.send_signal(signal.SIGTERM)
    done = sweep.communicate()
    assert done.code == 143
    assert done.err.count("SIGINT") == 0
    assert done.err.splitlines()[-1].startswith("gdbench: ended by SIGTERM. Finished cells: ")


def test_a_second_signal_does_not_wait(processes: Processes, own: Path, tmp_path: Path) -> None:
    """A signal that user code swallows is followed by one that ends the process at once."""
    (own / "own_things.py").write_text(STUBBORN)
    words = ("--config-dir", str(own), "objective=bowl", "optimizer=gd", "timing=off", "steps=3")
    sweep = processes.fork("-m", "gdbench", *words, cwd=tmp_path)
    assert sweep.read_line("out") == "begun\n"
    sweep.send_signal(signal.SIGTERM)
    assert sweep.read_line("out") == "swallowed\n"
    time.sleep(1.1)  # repetitions within a second are one signal
    sweep.send_signal(signal.SIGTERM)
    done = sweep.communicate()
    assert (done.code, done.err) == (143, "gdbench: ended without waiting, by a second signal.\n")


STUBBORN = """
import os
import time
import torch
from gdbench.objectives import Objective


def fn(x):
    try:
        os.write(1, b"begun\\n")
        time.sleep(600)
    except BaseException:
        os.write(1, b"swallowed\\n")
    while True:
        time.sleep(0.01)


def bowl(n=2, steepness=1.0):
    return Objective(fn=fn, start=torch.ones(2, dtype=torch.float64))
"""


LEAKS = """
import threading
import time
import torch
from gdbench.objectives import Objective

threading.Thread(target=time.sleep, args=(600,)).start()


def bowl(n=2, steepness=1.0):
    return Objective(fn=lambda x: (x**2).sum(), start=torch.ones(2, dtype=torch.float64))
"""


@pytest.mark.slow
def test_leaked_threads_do_not_keep_a_program(processes: Processes, own: Path, tmp_path: Path) -> None:
    """A sweep whose objective leaves a thread running ends by itself, with its exit code."""
    (own / "own_things.py").write_text(LEAKS)
    words = ("--config-dir", str(own), "objective=bowl", "optimizer=gd", "timing=off", "--quiet")
    assert processes.fork("-m", "gdbench", *words, cwd=tmp_path).communicate(limit=60) == Done(0, "", "")


LOST = """
import signal, sys
from gdbench.cli import main
from gdbench.__main__ import run

class Dropping:
    def __del__(self):
        signal.raise_signal(signal.SIGTERM)

def drop(words):
    dropping = Dropping()
    del dropping
    while True:
        pass

main.run = drop
run()
"""


def test_a_signal_in_a_destructor_is_not_lost(processes: Processes, tmp_path: Path) -> None:
    """A signal whose exception Python drops, as in a destructor, is sent again."""
    done = processes.fork("-c", LOST, "lr=0.1", cwd=tmp_path).communicate(limit=60)
    assert done == Done(143, "", "gdbench: ended by SIGTERM.\n")


# ---------------------------------------------------------------------------------------------------------- campaign


def fill(line: str, place: Path) -> list[str]:
    """A command line with the sweeps and the run of a folder in it."""
    one, two = (str(next((place / "outputs").glob(f"20*/*_{name}")).relative_to(place)) for name in ("one", "two"))
    run = str(gdbench.load(place / one)["run_id"].iloc[0])
    return line.replace("FOLDER", one).replace("OTHER", two).replace("RUN", run).split()


def count_runs(place: Path) -> dict[str, int]:
    """The number of runs of each sweep that was there before."""
    folders = [folder for name in ("one", "two") for folder in (place / "outputs").glob(f"20*/*_{name}")]
    return {folder.name: len(gdbench.load(folder)) for folder in folders}


def check_end(done: Done, number: int, seconds: float) -> str:
    """How a process ended that was sent a signal: ``caught``, ``over`` before it, or ``early``, before Python's own."""
    lines = done.err.splitlines()
    told = [line for line in lines if WORDS[signal.Signals(number)] in line]
    if done.code == 128 + number:
        assert len(told) == 1, (seconds, done)
        assert "Traceback" not in done.err, (seconds, done)
        assert "Exception ignored" not in done.err, (seconds, done)
        return "caught"
    if done.code == 0:
        assert "Traceback" not in done.err, (seconds, done)
        return "over"
    assert done.code == -number, (seconds, done)
    assert "gdbench/cli" not in done.err, (seconds, done)
    return "early"


def send_after(process: Process, number: int, seconds: float) -> Done:
    """What a process leaves that is sent a signal after some seconds."""
    time.sleep(seconds)
    process.send_signal(number, group=number == signal.SIGINT)
    return process.communicate(limit=120)


MOMENTS = 6


@pytest.mark.campaign
@pytest.mark.slow
@pytest.mark.parametrize("verb", VERBS)
def test_each_signal_at_any_moment_of_each_verb(processes: Processes, sweeps: Path, tmp_path: Path, verb: str) -> None:
    """Each signal, at moments all over a verb, ends it in one line; no row is lost, no process or scratch file left."""
    counts: dict[str, int] = {}
    env = {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    shutil.copytree(sweeps, tmp_path / "whole")
    began = time.monotonic()
    whole = processes.fork("-m", "gdbench", *fill(VERBS[verb], tmp_path / "whole"), cwd=tmp_path / "whole", env=env)
    assert whole.communicate().code == 0
    duration = time.monotonic() - began
    for number in SIGNALS:
        for moment in range(MOMENTS):
            place = tmp_path / f"{number}-{moment}"
            shutil.copytree(sweeps, place)
            seconds = duration * moment / MOMENTS + 0.01
            process = processes.fork("-m", "gdbench", *fill(VERBS[verb], place), cwd=place, env=env)
            end = check_end(send_after(process, number, seconds), number, seconds)
            counts[end] = counts.get(end, 0) + 1
            assert processes.wait_for_all(limit=30) == []
            expected = {1, 2} if verb == "sweeps rm" else {2}
            assert len(count_runs(place)) in expected
            assert set(count_runs(place).values()) == {4}
            assert not [path for path in place.rglob(".*") if re.match(r"\.(removed|unarchive|archive)-", path.name)]
            gdbench.load(place / "outputs")
            shutil.rmtree(place)
    print(f"{verb}: {counts}")


@pytest.mark.campaign
@pytest.mark.slow
@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
def test_each_signal_during_the_imports(processes: Processes, tmp_path: Path, number: int) -> None:
    """Each signal in the first seconds of a real start ends it in one line, once gdbench has begun to load."""
    counts: dict[str, int] = {}
    for moment in range(16):
        seconds = 0.03 + 0.1 * moment
        process = processes.start_python("-m", "gdbench", "steps=5", "timing=off", cwd=tmp_path)
        end = check_end(send_after(process, number, seconds), number, seconds)
        counts[end] = counts.get(end, 0) + 1
    print(f"{signal.Signals(number).name}: {counts}")
