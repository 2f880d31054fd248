"""Runs git: every git command of gdbench, as what a hook's own git has set would lead it astray.

Inside a hook git names its repository and its index in the environment, and that index is of the commit being made
just then. A git that we start must find its repository by the folder it is asked about, and touch no such index. The
gate's keeper loads this file without gdbench: it imports the standard library alone.
"""

from __future__ import annotations

import os
import subprocess
from functools import cache
from pathlib import Path

__all__ = ["GitError", "GitMissing", "make_clean_environment", "make_git_environment", "read_git", "run_git"]

PATHSPECS = frozenset(f"GIT_{kind}_PATHSPECS" for kind in ("LITERAL", "GLOB", "NOGLOB", "ICASE"))
"""How the caller's git reads paths; ours are written for the way it reads them by itself."""


class GitError(Exception):
    """A git command that failed: git's own reason, in one line."""


class GitMissing(GitError):
    """No git can be started."""


def run_git(folder: Path, *words: str, timeout: float | None = None) -> bytes:
    """The standard output of a git command in a folder. Raises GitError."""
    return _call_git(folder, words, make_git_environment(folder), timeout)


def read_git(folder: Path, *words: str, timeout: float | None = None) -> str:
    """The text that a git command prints, without the end of its last line. Raises GitError."""
    return os.fsdecode(run_git(folder, *words, timeout=timeout)).strip()


def make_git_environment(folder: Path) -> dict[str, str]:
    """The environment of a git command about a folder: it locks no index to refresh it, and speaks English."""
    unhooked = {**make_clean_environment(), "GIT_OPTIONAL_LOCKS": "0", "LANGUAGE": "C"}
    return {**unhooked, **_explicit_repository(folder, unhooked)}


def make_clean_environment() -> dict[str, str]:
    """This process's environment without what ties git to one repository, one index, or one way to read paths."""
    try:
        dropped = {*_local_variables(), *PATHSPECS}
    except GitMissing:  # nobody reads them
        return dict(os.environ)
    return {name: value for name, value in os.environ.items() if name not in dropped}


@cache
def _local_variables() -> frozenset[str]:
    """The names of the variables that speak of one repository alone, as git itself lists them. Raises GitMissing."""
    elsewhere = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return frozenset(_call_git(Path.cwd(), ("rev-parse", "--local-env-vars"), elsewhere).decode().split())


def _explicit_repository(folder: Path, unhooked: dict[str, str]) -> dict[str, str]:
    """The caller's GIT_DIR and GIT_WORK_TREE, where no .git says the same: ``git --git-dir=A --work-tree=B commit``.

    The innermost work tree that holds the folder counts: one that the folder itself leads to, unless it holds the
    caller's.
    """
    stated = {name: os.environ[name] for name in ("GIT_DIR", "GIT_WORK_TREE") if name in os.environ}
    if "GIT_DIR" not in stated:
        return {}
    here = Path.cwd()
    named = _work_tree(here, {**unhooked, **stated})
    if named is None or not folder.resolve().is_relative_to(named):
        return {}
    own = _work_tree(folder, unhooked)
    inside = own is not None and "GIT_WORK_TREE" in stated and named != own and named.is_relative_to(own)
    if own is not None and not inside:
        return {}
    return {"GIT_DIR": str(here / stated["GIT_DIR"]), "GIT_WORK_TREE": str(named)}


def _work_tree(folder: Path, environment: dict[str, str]) -> Path | None:
    """The top of the work tree that git finds from a folder; None where it finds none."""
    try:
        return Path(os.fsdecode(_call_git(folder, ("rev-parse", "--show-toplevel"), environment)).strip()).resolve()
    except GitError:
        return None


def _call_git(folder: Path, words: tuple[str, ...], environment: dict[str, str], timeout: float | None = None) -> bytes:
    try:
        done = subprocess.run(
            ["git", *words],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout,
        )
    except OSError as error:
        raise GitMissing(f"git cannot be started ({error.strerror}: {error.filename})") from None
    except subprocess.TimeoutExpired:
        raise GitError(f"git {words[0]} did not end within {timeout:g} s") from None
    if done.returncode:
        reason = " ".join(done.stderr.decode(errors="replace").split())
        raise GitError(reason or f"git {' '.join(words)} ended with {done.returncode}")
    return done.stdout
