"""Makes a worktree, waits for the end of the gate and removes it: started as a file, so that kill -9 cannot prevent it.

Its arguments are the worktree's folder, the repository's top and the commit. What git objects comes as a line on
standard output; the end of standard input is the end of the gate. It loads no installed package, to be there at once.
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
ALONE = ("-c", f"core.hooksPath={os.devnull}", "-c", "submodule.recurse=false")
"""No hook of the user's runs for a worktree that is ours, and submodules are left out."""


def main() -> None:
    """Keep one worktree."""
    folder, top, commit = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    git = _git()
    objection = ""
    try:
        git.run_git(top, *ALONE, "worktree", "add", "--quiet", "--detach", str(folder), commit)
    except git.GitError as error:
        objection = str(error)
    with contextlib.suppress(BrokenPipeError):
        os.write(1, os.fsencode(f"{objection}\n"))
    sys.stdin.read()
    shutil.rmtree(folder, ignore_errors=True)
    with contextlib.suppress(git.GitError):  # git knows nothing of one that it refused to make
        git.run_git(top, "worktree", "remove", "--force", "--force", str(folder))
    with contextlib.suppress(OSError):
        Path(f"{folder}.lock").unlink()


def _git() -> Any:
    """The module ``gdbench.engine.git``, without the package."""
    spec = importlib.util.spec_from_file_location("gdbench_git", GIT)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    main()
