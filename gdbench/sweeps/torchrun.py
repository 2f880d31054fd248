"""Processes that torchrun started for one command: the first writes, the others leave nothing behind."""

from __future__ import annotations

import atexit
import functools
import os
import shutil
import tempfile

__all__ = ["find_scratch_folder", "has_torchrun", "is_follower"]


def has_torchrun() -> bool:
    """Whether torchrun has started this process."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def is_follower() -> bool:
    """Whether it is not the first of those that torchrun has started."""
    return has_torchrun() and os.environ.get("RANK", "0") != "0"


@functools.cache
def find_scratch_folder() -> str:
    """A folder for the sweeps of a process that is not the first, deleted when it ends."""
    folder = tempfile.mkdtemp(prefix="gdbench-rank-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
