"""Process that makes a worktree, and removes it when the gate ends: so kill -9 of the gate leaves nothing behind.

Its arguments are the worktree's folder, the repository's top and the commit. Git's error, or an empty line, goes to
standard output; standard input ends with the gate. It imports no installed package, to start quickly.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import sys
from pathlib import Path
from typing import Any

GIT = Path(__file__).parents[1] / "engine" / "git.py"
GIT_OPTIONS = ("-c", f"core.hooksPath={os.devnull}", "-c", "submodule.recurse=false")
"""No hook of the user runs for the worktree, and submodules are left out."""


def main() -> None:
    """Make a worktree, wait, and remove it."""
    folder, top, commit = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    git = _load_git()
    message = ""
    try:
        git.run_git(top, *GIT_OPTIONS, "worktree", "add", "--quiet", "--detach", str(folder), commit)
    except git.GitError as error:
        message = str(error)
    with contextlib.suppress(BrokenPipeError):
        os.write(1, os.fsencode(f"{message}\n"))
    sys.stdin.read()
    shutil.rmtree(folder, ignore_errors=True)
    with contextlib.suppress(git.GitError):  # git does not know a worktree that it refused to make
        git.run_git(top, "worktree", "remove", "--force", "--force", str(folder))
    with contextlib.suppress(OSError):
        Path(f"{folder}.lock").unlink()


def _load_git() -> Any:
    """The module ``gdbench.engine.git``, without importing the package."""
    spec = importlib.util.spec_from_file_location("gdbench_git", GIT)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    main()
