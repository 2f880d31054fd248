"""Locks whose file is a link, another user's, or in a folder that may not be written."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

import gdbench
from gdbench.config.schema import Timing
from gdbench.errors import UsageError
from gdbench.results.labels import Labels, update_labels
from gdbench.results.locks import hold_lock, is_held
from gdbench.results.sweep_folder import create_folder, is_locked, lock_folder
from gdbench.sweeps.machine_lock import lock_machine

NOBODY = 65534


def test_a_lock_is_readable_by_its_user_alone(tmp_path: Path) -> None:
    """Whatever the umask, a lock has mode 0600; the machine's, a sweep's and that of labels are such locks."""
    before = os.umask(0)
    try:
        with hold_lock(tmp_path / "lock"):
            assert is_held(tmp_path / "lock")
        folder = create_folder(str(tmp_path), "one")
        with lock_folder(folder):
            update_labels(folder, lambda labels: Labels(note="x"))
    finally:
        os.umask(before)
    for file in (tmp_path / "lock", folder / ".hydra/lock", folder / ".hydra/labels.lock"):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.parametrize("kind", ["link", "dangling", "folder"])
def test_what_is_no_lock_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """A link or a folder in the place of a lock is one line, for sweeps, labels and the machine; none is followed."""
    place = create_folder(str(tmp_path), "one")
    (place / ".hydra").mkdir()
    target = tmp_path / "precious"
    if kind == "link":
        target.write_text("mine")
    for name in ("lock", "labels.lock"):
        (place / ".hydra" / name).mkdir() if kind == "folder" else (place / ".hydra" / name).symlink_to(target)
    lock = place / ".hydra/lock"
    monkeypatch.setattr("gdbench.sweeps.machine_lock.find_lock_file", lambda: lock)
    with pytest.raises(UsageError, match="where a lock must be: remove it"), lock_folder(place):
        pass
    with pytest.raises(UsageError, match="where a lock must be: remove it"):
        update_labels(place, lambda labels: labels)
    with pytest.raises(UsageError, match="so timed cells cannot take turns"), lock_machine(Timing()):
        pass
    assert is_locked(place) is None
    assert not target.exists() or target.read_text() == "mine"


def test_a_lock_of_another_user_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lock that another user owns, also one that everybody may write, is not waited for."""
    with hold_lock(tmp_path / "lock"):
        monkeypatch.setattr("os.getuid", lambda: tmp_path.stat().st_uid + 1)
        with (
            pytest.raises(UsageError, match=r"lock is a lock of another user \(.+\), so that"),
            hold_lock(tmp_path / "lock"),
        ):
            pass


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="only root may become another user")
def test_a_folder_that_may_not_be_written_is_one_line(tmp_path: Path) -> None:
    """A user without write permission gets one line about the folder, for a new sweep, a lock and labels."""
    for parent in (tmp_path, *tmp_path.parents[:2]):
        parent.chmod(0o755)
    runs = gdbench.sweep("beale", optimizer="gd", lr=0.01, steps=5, timing="off", outputs=tmp_path)
    folder = Path(runs.attrs["folder"])
    os.seteuid(NOBODY)
    try:
        with pytest.raises(UsageError, match="cannot be written"):
            create_folder(str(tmp_path), "two")
        with pytest.raises(UsageError, match=r"cannot be written|another user"), lock_folder(folder):
            pass
        with pytest.raises(UsageError, match=r"cannot be written|another user"):
            update_labels(folder, lambda labels: labels)
    finally:
        os.seteuid(0)
