from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from filelock import FileLock, Timeout
from support.processes import Process, Processes, Streams
from support.tiers import representatives

import gdbench
from gdbench.config.overrides import quote_text
from gdbench.config.schema import Timing
from gdbench.errors import UsageError, format_install_command
from gdbench.sweeps.machine_lock import NOTE, find_lock_file, lock_machine

ROOT = Path(__file__).parents[2]
LAUNCHERS = ("joblib", "submitit_local", "ray")
QUIET = ("timing=off", "--quiet")
NOT_EXACT = ("started_at", "sweep", "process", "overrides", "cell_s", "convergence_pass_s")

AWAY = '''
import os
import signal
import threading
import time
from pathlib import Path

import torch
from filelock import FileLock, Timeout
from gdbench.sweeps.machine_lock import find_lock_file
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
        threading.Event().wait()
    return bowl()


def guarded():
    """Fails unless somebody, its own worker, holds the lock of this machine."""
    if not HOME:
        try:
            FileLock(find_lock_file()).acquire(timeout=0)
        except Timeout:
            return bowl()
        raise AssertionError("it is nobody's turn")
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
    for name in ("counts", "dies", "beheads", "guarded", "meets"):
        (own / "objective" / f"{name}.yaml").write_text(f"_target_: away.{name}\n")
    (own / "objective" / "absent.yaml").write_text("_target_: absent.bowl\n")
    yield own
    for name in ("away", "absent"):
        sys.modules.pop(name, None)


def exact(find_lock_file: str) -> pd.DataFrame:
    """The columns of a sweep that every repetition gives again."""
    runs = gdbench.load(find_lock_file)
    return runs[[name for name in runs if name not in NOT_EXACT]]


# ----------------------------------------------------------------------------------------------------- the same table


ALONE = "joblib hydra.launcher.n_jobs=1"
"""Joblib in the one process that a launcher is started in: every other worker costs another import of torch."""


@pytest.mark.parametrize("launcher", representatives([ALONE, *LAUNCHERS], (ALONE,)))
def test_every_launcher_gives_the_same_table(command: Callable[..., Any], away: Path, launcher: str) -> None:
    """Three cells, with code of the user's, come back as this process makes them; what a worker lacks is told."""
    words = ["-m", "--config-dir", str(away), "objective=bowl,counts,absent", "optimizer=gd"]
    words += ["lr=0.1,${logspace:-3,-1,2}", "steps=20", "threads=2", "timing=off", "device=cpu"]
    assert command(*words, "outputs=here", "--quiet").code == 0
    done = command(*words, *f"hydra/launcher={launcher}".split(), "outputs=there")
    here, there = exact("here"), exact("there")
    absent = there["objective"] == "absent"

    assert done.code == 1, done.err
    pd.testing.assert_frame_equal(here[~absent], there[~absent])
    assert set(there["status"][absent]) == {"failed"}
    assert set(there["error"][absent]) == {LACKS}
    assert set(there["final_loss"][there["objective"] == "counts"].dropna()) == {2.0}
    *cells, last = done.err.splitlines()
    assert [line.split()[:2] for line in cells] == [["cell", f"{k}/3"] for k in range(1, 4)]
    assert last.startswith("gdbench: 3 of 9 runs have no result: 3 failed (objective=absent: ")
    assert [path.name for path in Path().glob("there/*/*/.*")] == [".hydra"]


@pytest.mark.slow
def test_ray_by_address_gives_the_same_table(command: Callable[..., Any], processes: Processes, cluster: str) -> None:
    """A cluster that is there already carries the same rows, and is left running."""
    words = ["-m", "optimizer=gd,adam", "impl=manual,torch", "lr=0.1,0.2", "steps=20", *QUIET]
    assert command(*words, "outputs=here").code == 0
    done = command(*words, "hydra/launcher=ray", f"hydra.launcher.ray.init.address={cluster}", "outputs=there")

    assert done == (0, "", "")
    pd.testing.assert_frame_equal(exact("here"), exact("there"))
    assert is_up(processes, cluster)


RAY = Path(sys.executable).with_name("ray")
SILENT = {"RAY_USAGE_STATS_ENABLED": "0"}


def is_up(processes: Processes, address: str) -> bool:
    """Whether Ray's own command line finds a cluster."""
    return processes.start(RAY, "status", "--address", address, cwd=Path("/"), env=SILENT).communicate().code == 0


@pytest.fixture
def cluster(processes: Processes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a Ray head on the loopback interface, which asks for a token."""
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN", uuid.uuid4().hex * 2)
    find_lock_file = Path(tempfile.mkdtemp(prefix="gdbench-ray-"))  # not in tmp_path: a socket's path must be short
    with socket.socket() as free, socket.create_server(("127.0.0.1", 0)) as taken:
        free.bind(("127.0.0.1", 0))
        port, dashboard = free.getsockname()[1], taken.getsockname()[1]
        free.close()
        address = f"127.0.0.1:{port}"
        try:
            head = start_head(processes, port, dashboard, find_lock_file, tmp_path)
            while not is_up(processes, address):
                assert head.poll() is None, (tmp_path / "head.log").read_text()
            yield address
        finally:
            processes.end_all()
            shutil.rmtree(find_lock_file, ignore_errors=True)


def start_head(processes: Processes, port: int, dashboard: int, find_lock_file: Path, cwd: Path) -> Process:
    """Start a Ray head; a taken port keeps its dashboard from starting, and that from asking the network."""
    words = ["start", "--head", "--block", "--node-ip-address=127.0.0.1", f"--port={port}", "--num-cpus=2"]
    words += ["--include-dashboard=false", f"--dashboard-port={dashboard}", f"--temp-dir={find_lock_file}"]
    return processes.start(RAY, *words, cwd=cwd, env=SILENT, streams=Streams(log=cwd / "head.log"))


# ------------------------------------------------------------------------------------------------------------- faults


@pytest.mark.slow
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

    assert (done.code, done.out) == (1, "")
    assert done.err.startswith("gdbench: 2 of 4 runs have no result: 2 failed (")
    assert len(done.err.splitlines()) == 1
    assert runs["status"].tolist() == ["budget", "target", "failed", "failed"]
    assert re.match(reason, runs["error"].iloc[-1]), runs["error"].iloc[-1]


@pytest.mark.slow
def test_a_sweep_outlives_the_head_of_its_ray(command: Callable[..., Any], away: Path) -> None:
    """When Ray itself dies, its driver with it, the cells that had ended are kept and the others say so."""
    words = ["-m", "--config-dir", str(away), "objective=bowl,beheads", "lr=0.1,0.2", "steps=20", *QUIET]
    done = command(*words, "hydra/launcher=ray", "hydra.launcher.ray.init.num_cpus=1")
    runs = gdbench.load()

    assert (done.code, done.out) == (1, "")
    assert done.err.startswith("gdbench: 2 of 4 runs have no result: 2 failed (")
    assert len(done.err.splitlines()) == 1
    assert runs["status"].tolist() == ["budget", "target", "failed", "failed"]
    assert runs["error"].iloc[-1].startswith("the launcher died: ")


def begun(processes: Processes, find_lock_file: Path, launcher: str) -> Process:
    """A launched sweep of a short cell, which has ended, and an endless one."""
    words = ["-m", "gdbench", "-m", "steps=10,1000000000", "timing=off", "trace=none", f"hydra/launcher={launcher}"]
    process = processes.fork(*words, cwd=find_lock_file)
    assert process.read_line().startswith("cell 1/2 ")
    return process


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["joblib", "ray"])
def test_ctrl_c_is_one_clean_line_and_leaves_no_worker(processes: Processes, tmp_path: Path, launcher: str) -> None:
    """What a terminal does on Ctrl-C ends a launched sweep with code 130, the table so far and nobody at work."""
    process = begun(processes, tmp_path, launcher)
    process.send_signal(signal.SIGINT, group=True)
    done = process.communicate()
    (folder,) = tmp_path.glob("outputs/*/*")

    # Python writes a line again of which a signal interrupts the flush, just when the test has read it.
    (line,) = {line for line in done.err.splitlines() if not line.startswith("cell 1/2 ")}
    assert (done.code, line) == (130, f"gdbench: interrupted. Finished cells: {folder.relative_to(tmp_path)}")
    assert "1 runs: " in done.out or "1 run: " in done.out
    assert processes.wait_for_all() == []


@pytest.mark.slow
def test_a_killed_sweep_takes_its_workers_with_it(processes: Processes, tmp_path: Path) -> None:
    """kill -9 leaves nobody at work for a sweep that is no more."""
    process = begun(processes, tmp_path, "submitit_local")
    process.kill()

    assert process.wait() == -signal.SIGKILL
    assert processes.wait_for_all() == []


# -------------------------------------------------------------------------------------------------------------- turns


@pytest.mark.slow
def test_timed_cells_of_a_machine_take_turns(command: Callable[..., Any], away: Path) -> None:
    """A timed cell runs under the lock of its machine, one begins when the other has had its time; stderr says why."""
    words = ["-m", "--config-dir", str(away), "objective=guarded", "optimizer=gd,momentum"]
    done = command(*words, "hydra/launcher=joblib")
    runs = gdbench.load()

    assert done.code == 0, runs["error"].tolist()
    assert done.err.splitlines()[0] == f"gdbench: {NOTE}"
    assert done.err.count(NOTE) == 1
    assert runs["started_at"].sort_values().diff().max().total_seconds() > 0.5


@pytest.mark.slow
def test_cells_that_need_not_be_alone_are_timed_side_by_side(command: Callable[..., Any], away: Path) -> None:
    """timing.exclusive=false lets two timed cells meet, and nothing is said of turns."""
    words = ["-m", "--config-dir", str(away), "objective=meets", "optimizer=gd,momentum", "timing.exclusive=false"]
    done = command(*words, "hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
    runs = gdbench.load()

    assert done.code == 0, runs["error"].tolist()
    assert runs["timed"].tolist() == [True, True]
    assert NOTE not in done.err


HOLDS = """
import signal
from gdbench.config.schema import Timing
from gdbench.sweeps.machine_lock import lock_machine
with lock_machine(Timing()):
    print("mine", flush=True)
    signal.pause()
"""


def test_a_turn_ends_with_its_worker(processes: Processes, tmp_path: Path) -> None:
    """While a process has its turn no other gets one, unless it times nothing; a killed process gives it back."""
    holder = processes.fork("-c", HOLDS, cwd=tmp_path)
    assert holder.read_line("out") == "mine\n"
    lock = FileLock(find_lock_file())
    with pytest.raises(Timeout):
        lock.acquire(timeout=0)
    with lock_machine(Timing(seconds=0.0)), lock_machine(Timing(exclusive=False)):
        pass
    holder.kill()
    holder.wait()
    with lock_machine(Timing()):
        pass


def test_a_lock_that_cannot_be_had_is_one_clear_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What stands in the way of taking turns is named, with a way around it."""
    monkeypatch.setattr("gdbench.sweeps.machine_lock.find_lock_file", lambda: tmp_path)
    with (
        pytest.raises(UsageError, match=r"cannot be locked \(.*\), so timed cells cannot take turns"),
        lock_machine(Timing()),
    ):
        pass


# ---------------------------------------------------------------------------------------------------- not to be had


HIDDEN = """
import sys
sys.modules.update(ray=None, hydra_plugins=None)
from gdbench.cli.main import main
sys.exit(sum(main(["-m", "lr=0.1,0.2", "timing=off", f"hydra/launcher={name}"]) for name in sys.argv[1:]))
"""


def test_a_launcher_that_is_not_installed_names_its_extra(shell: Callable[..., Any], tmp_path: Path) -> None:
    """One line says what to install, and nothing has begun."""
    extras = {"joblib": "joblib", "submitit_local": "slurm", "submitit_slurm": "slurm", "ray": "ray"}
    done = shell("-c", HIDDEN, *extras)

    assert done.code == 2 * len(extras)
    assert done.err.splitlines() == [
        f"gdbench: hydra/launcher={name} is not installed: {format_install_command(extra)}"
        for name, extra in extras.items()
    ]
    assert not list(tmp_path.iterdir())


def test_no_launcher_is_loaded_unless_asked_for(shell: Callable[..., Any]) -> None:
    """A sweep of this process imports neither Ray nor submitit, nor what starts them."""
    program = """
import sys
from gdbench.cli.main import main
assert main(["-m", "lr=0.1,0.2", "timing=off", "--quiet"]) == 0
print({"ray", "submitit", "gdbench.sweeps.launchers.ray", "gdbench.sweeps.launchers.submitit"} & set(sys.modules))
"""
    assert shell("-c", program) == (0, "set()\n", "")


@pytest.mark.skipif(shutil.which("sbatch") is not None, reason="Slurm is here")
def test_slurm_is_refused_where_there_is_none(command: Callable[..., Any], tmp_path: Path) -> None:
    """The configuration composes, with Slurm's own settings, and plans; without sbatch one line says what to do."""
    words = ["-m", "optimizer=gd,adam", "hydra/launcher=submitit_slurm", "hydra.launcher.partition=gpu"]
    shown = command(*words[2:], "--cfg", "hydra", "-p", "hydra.launcher")
    planned = command("--dry-run", *words)
    done = command(*words)

    assert "partition: gpu" in shown.out
    assert (planned.code, planned.err) == (0, "")
    assert (done.code, done.out) == (2, "")
    assert done.err == (
        "gdbench: hydra/launcher=submitit_slurm needs Slurm's sbatch, which is not on this machine:"
        " start it on a node of the cluster, or write hydra/launcher=submitit_local.\n"
    )
    assert not list(tmp_path.iterdir())


SBATCH = """#!/bin/bash
last=$(grep -oE -- '--array=0-[0-9]+' "$1" | grep -oE '[0-9]+$')
echo "Submitted batch job 42"
export SLURM_ARRAY_JOB_ID=42 SLURM_NTASKS=1 SLURM_JOB_NUM_NODES=1 SLURM_NODEID=0 SLURM_PROCID=0 SLURM_LOCALID=0
for k in $(seq 0 "$last"); do
    SLURM_JOB_ID=$((100 + k)) SLURM_ARRAY_TASK_ID=$k bash "$1"
done </dev/null >/dev/null 2>&1 &
"""
SRUN = """#!/bin/bash
while [[ $1 == --* ]]; do [[ $1 == --unbuffered ]] && shift || shift 2; done
exec "$@"
"""
SACCT = """#!/bin/bash
echo "JobID|State|NodeList"
echo "42_[0-1]|RUNNING|here"
"""


def use_stand_in(folder: Path, monkeypatch: pytest.MonkeyPatch, sbatch: str) -> None:
    """Put a stand-in for Slurm in front of PATH."""
    for name, text in {"sbatch": sbatch, "srun": SRUN, "sacct": SACCT}.items():
        script = folder / "bin" / name
        script.parent.mkdir(exist_ok=True)
        script.write_text(text)
        script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder / 'bin'}:{os.environ['PATH']}")


def words_of_slurm(folder: Path) -> list[str]:
    """A launcher that hands two cells to Slurm, with a setting, and a folder for what it writes."""
    return [
        *("hydra/launcher=submitit_slurm", "hydra.launcher.partition=gpu"),
        f"hydra.launcher.submitit_folder={folder}/logs/%j",
    ]


def handed_over(folder: Path) -> set[str]:
    """The lines of the one script that sbatch was given."""
    (submitted,) = (folder / "logs").glob("*.sh")
    return set(submitted.read_text().splitlines())


def test_sbatch_is_handed_one_array(
    command: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What sbatch is given is a job array with the settings that were given; what it says when it refuses is told."""
    use_stand_in(tmp_path, monkeypatch, "#!/bin/bash\necho 'no partition gpu' >&2\nexit 1\n")
    done = command("-m", "optimizer=gd,adam", "lr=0.1,0.2", "steps=20", *QUIET, *words_of_slurm(tmp_path))

    assert done.code == 1
    assert "no partition gpu" in done.err
    assert {"#SBATCH --partition=gpu", "#SBATCH --array=0-1%2"} <= handed_over(tmp_path)


@pytest.mark.slow
def test_slurm_gets_one_array(command: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is handed to sbatch is a job array that a stand-in for Slurm can run, with the settings that were given."""
    use_stand_in(tmp_path, monkeypatch, SBATCH)
    words = ["-m", "optimizer=gd,adam", "lr=0.1,0.2", "steps=20", *QUIET]
    assert command(*words, "outputs=here") == (0, "", "")
    assert command(*words, *words_of_slurm(tmp_path), "outputs=there") == (0, "", "")

    pd.testing.assert_frame_equal(exact("here"), exact("there"))
    assert {"#SBATCH --partition=gpu", "#SBATCH --array=0-1%2"} <= handed_over(tmp_path)


@pytest.mark.slow  # fast, in this process: test_overrides' folder of any name
def test_a_launcher_finds_folders_of_any_name(command: Callable[..., Any], own: Path, tmp_path: Path) -> None:
    """What stands in the names of the folders of configurations and outputs reaches the workers as it is."""
    name = "mïne it's a&b [z] {z} (x) ${HOME},a=b 100% ~"
    mine = own.rename(tmp_path / name)
    words = ["-m", "--config-dir", str(mine), "objective=bowl,notebook_square", "hydra/launcher=joblib", *QUIET]
    find_lock_file = [f"outputs={quote_text(name + ' out')}", "name=any"]

    assert command(*words, *find_lock_file, "hydra.launcher.n_jobs=1").code == 0
    runs = gdbench.load(Path(f"{name} out"))
    assert (runs["status"] != "failed").all()
    assert runs["objective"].tolist() == ["bowl", "notebook_square"]
