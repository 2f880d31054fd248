"""rm, archive and unarchive that are killed before any one of their file operations."""

from __future__ import annotations

import os
import shutil
import signal
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.processes import Processes

import gdbench
from gdbench.errors import UsageError
from gdbench.results.archive import pack_sweeps, remove_sweep, unpack_sweeps
from gdbench.results.folder_layout import find_sweep_folders
from gdbench.results.temporary_paths import make_temporary_path

IMPORTS = """
import sys
from pathlib import Path
from gdbench.results.folder_layout import find_sweep_folders
from gdbench.results.archive import pack_sweeps, remove_sweep, unpack_sweeps
places = [Path(word) for word in sys.argv[1:]]
"""


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two sweeps of one cell each."""
    outputs = tmp_path_factory.mktemp("ran")
    for name in ("one", "two"):
        gdbench.sweep("beale", optimizer="gd", lr=0.01, steps=5, timing="off", trace="none", name=name, outputs=outputs)
    return outputs


@dataclass
class Killed:
    """Runs a call in a process that is killed before one of its file operations in a folder."""

    processes: Processes
    place: Path

    def run(self, call: str, count: int, *places: Path) -> bool:
        """Kill a call, of these ``places``, before operation number ``count``; whether it came so far."""
        options = {"cwd": self.place, "operations": os.devnull, "signal_at": count}
        done = self.processes.fork("-c", IMPORTS + call, *map(str, places), **options).communicate()
        assert done.code in (0, -signal.SIGKILL), done.err
        return done.code != 0


@pytest.fixture
def killed(processes: Processes, tmp_path: Path) -> Killed:
    """Kills what it runs in the folder of the test."""
    return Killed(processes, tmp_path)


def rows(outputs: Path) -> dict[str, int]:
    """How many runs each sweep has for whoever looks."""
    return {folder.name[9:]: len(gdbench.load(folder)) for folder in find_sweep_folders(outputs)}


def hidden(place: Path) -> list[Path]:
    """What a killed process left."""
    return [path for path in place.rglob(".*") if path.name.startswith((".removed", ".unarchive", ".archive"))]


def test_killed_rm_leaves_a_whole_sweep_or_none(ran: Path, killed: Killed, tmp_path: Path) -> None:
    """A sweep whose removal was killed is whole or gone for every reader, and the next rm clears the rest away."""
    for count in range(1, 100):
        outputs = tmp_path / str(count)
        shutil.copytree(ran, outputs)
        one, two = find_sweep_folders(outputs)
        came_so_far = killed.run("remove_sweep(*places)", count, one)
        assert rows(outputs) in ({"one": 1, "two": 1}, {"two": 1})
        assert len(gdbench.load(outputs)) == len(rows(outputs))
        if one.is_dir():
            remove_sweep(one)
        remove_sweep(two)
        assert hidden(outputs) == []
        if not came_so_far:
            break
    assert 5 < count < 99


@pytest.mark.slow
def test_killed_unarchive_leaves_whole_sweeps_or_none(ran: Path, killed: Killed, tmp_path: Path) -> None:
    """Sweeps whose unpacking was killed are whole or absent, and the same command or another one clears the rest."""
    file = tmp_path / "both.zip"
    pack_sweeps(find_sweep_folders(ran), file, ran)
    for count in range(1, 200, 3):
        outputs = tmp_path / str(count)
        came_so_far = killed.run("unpack_sweeps(*places)", count, file, outputs)
        assert set(rows(outputs).values()) <= {1}
        if not came_so_far:
            break
        for folder in find_sweep_folders(outputs):
            remove_sweep(folder)
        unpack_sweeps(file, outputs)
        assert rows(outputs) == {"one": 1, "two": 1}
        assert hidden(outputs) == []
    assert 10 < count < 197


def test_killed_archive_leaves_no_file_of_its_name(ran: Path, killed: Killed, tmp_path: Path) -> None:
    """An archive whose packing was killed is not there, and the next one of its folder clears the rest away."""
    for count in (1, 2):
        file = tmp_path / f"{count}.zip"
        assert killed.run("pack_sweeps(find_sweep_folders(places[1]), *places)", count, file, ran)
        assert not file.exists()
    pack_sweeps(find_sweep_folders(ran), tmp_path / "whole.zip", ran)
    assert [path.name for path in tmp_path.iterdir()] == ["whole.zip"]


def test_scratch_of_a_running_process_stays(ran: Path, tmp_path: Path) -> None:
    """What another process of this machine, or one of another machine, is writing is not removed."""
    parent = f"-{os.getppid()}-"
    others = [
        make_temporary_path(tmp_path, "archive", "a.zip").name.replace(f"-{os.getpid()}-", parent),
        ".archive-elsewhere-1-a.zip",
    ]
    for name in others:
        (tmp_path / name).touch()
    pack_sweeps(find_sweep_folders(ran), tmp_path / "whole.zip", ran)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*others, "whole.zip"])


def test_an_archive_that_would_fill_the_disk_is_refused(tmp_path: Path) -> None:
    """An archive of many gigabytes of zeros is refused in one line, and nothing is unpacked."""
    file = tmp_path / "bomb.zip"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as bomb:
        bomb.writestr("2026-01-01/00-00-00_a/runs.parquet", bytes(2**27))
        bomb.writestr("SHA256SUMS", f"{'0' * 64}  2026-01-01/00-00-00_a/runs.parquet\n")
    with pytest.raises(UsageError, match=r"bomb.zip would unpack [\d,]+ bytes into [\d,]+: .* nothing was unpacked"):
        unpack_sweeps(file, tmp_path / "outputs")
    assert not (tmp_path / "outputs").exists()
