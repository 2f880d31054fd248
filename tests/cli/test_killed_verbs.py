"""Every verb that writes, killed before its file operations: whole sweeps or none, and it goes through again."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import pytest
from support.processes import Done, Processes

import gdbench
from gdbench.results.archive import pack_sweeps
from gdbench.results.folder_layout import find_sweep_folders
from gdbench.results.sweep_lookup import find_sweep

VERBS = {
    "run": ("optimizer=gd lr=0.01 steps=5 timing=off name=new", 15),
    "run -m": ("-m optimizer=gd,adam lr=0.01,0.1 steps=5 timing=off name=new", 20),
    "tune": ("tune optimizer=gd trials=10 steps=10 timing=off name=new", 15),
    "report": ("report FOLDER --format html,md,tables", 10),
    "compare": ("compare FOLDER OTHER --format md,tables --to compared", 10),
    "export mlflow": ("export mlflow FOLDER --uri sqlite:///made.db", 12),
    "export tensorboard": ("export tensorboard FOLDER --uri logs", 10),
    "sweeps label": ("sweeps label FOLDER --tag one --note text", 10),
    "sweeps archive": ("sweeps archive FOLDER --to one.zip", 10),
    "sweeps restore": ("sweeps restore kept.zip --outputs restored", 15),
    "sweeps rm": ("sweeps rm OTHER --yes", 15),
}
"""A command line of each verb that writes, and before how many of its file operations it is killed at most."""
REFUSED = ("exists: remove or move it first", "exists: choose another name", "is no sweep of outputs")
"""What the repeated command may say where the killed one had done its work."""


@pytest.fixture(scope="module")
def sweeps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two sweeps and an archive of one."""
    place = tmp_path_factory.mktemp("sweeps")
    outputs = place / "outputs"
    for name in ("one", "two"):
        gdbench.sweep("beale", optimizer="gd", lr=[0.01, 0.1], steps=20, timing="off", name=name, outputs=outputs)
    pack_sweeps([next(outputs.glob("*/*_one"))], place / "kept.zip", outputs)
    return place


def fill(line: str, place: Path) -> list[str]:
    """The words of a command line, with the folders of both sweeps in it."""
    one, two = (str(next((place / "outputs").glob(f"20*/*_{name}")).relative_to(place)) for name in ("one", "two"))
    return line.replace("FOLDER", one).replace("OTHER", two).split()


def check_sweeps(place: Path, is_new: bool) -> None:
    """Every sweep that readers count is whole, but for a new one under way, and has its name for itself."""
    folders = [folder for folder in find_sweep_folders(place / "outputs") if has_rows(folder)]
    counts = {folder.name[9:]: len(gdbench.load(folder)) for folder in folders}
    assert counts.pop("one") == 2
    assert counts.pop("two", 2) == 2
    assert not is_new or set(counts) <= {"new"}
    for folder in find_sweep_folders(place / "outputs") if is_new else ():  # each tune begins anew, under the same name
        assert find_sweep(folder.name[9:], place / "outputs") == folder
    for folder in find_sweep_folders(place / "restored"):
        assert len(gdbench.load(folder)) == 2


def has_rows(folder: Path) -> bool:
    """Whether a sweep has rows."""
    return (folder / "runs.parquet").exists() or any((folder / "parts").glob("*.runs.parquet"))


@pytest.mark.campaign
@pytest.mark.slow
@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_that_writes_survives_kills(processes: Processes, sweeps: Path, tmp_path: Path, verb: str) -> None:
    """Killed before any of its file operations, a verb leaves whole sweeps or none, and goes through when repeated."""
    line, most = VERBS[verb]
    env = {"XDG_CACHE_HOME": str(tmp_path / "cache")}

    def run(name: str, **options: object) -> Done:
        place = tmp_path / name
        if not place.exists():
            shutil.copytree(sweeps, place)
        return processes.fork("-m", "gdbench", *fill(line, sweeps), cwd=place, env=env, **options).communicate()

    log = tmp_path / "log"
    assert run("whole", operations=str(log)).code == 0
    count = len(log.read_text().splitlines())
    numbers = range(1, count + 1, max(1, -(-count // most)))
    for number in numbers:
        name = f"at{number}"
        assert run(name, operations=os.devnull, signal_at=number).code == -signal.SIGKILL
        check_sweeps(tmp_path / name, is_new=True)
        again = run(name)
        assert again.code == 0 or any(words in again.err for words in REFUSED), (number, again)
        check_sweeps(tmp_path / name, is_new=verb != "tune")
        scratch = (".removed-", ".unarchive-", ".archive-", ".making-")
        left = [path for path in (tmp_path / name).rglob(".*") if path.name.startswith(scratch)]
        assert left == [] or again.code, (number, left)
        shutil.rmtree(tmp_path / name)
    print(f"{verb}: {len(numbers)} kills over {count} file operations")
