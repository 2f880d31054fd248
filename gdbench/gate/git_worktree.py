"""The base: which revision it is, and a git worktree of it, which is removed however the gate ends."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import filelock

from gdbench.engine.git import GitError, GitMissing, read_git
from gdbench.errors import NotMeasured, UsageError
from gdbench.gate.series import SourceTree
from gdbench.results.locks import hold_lock

__all__ = ["Base", "NoRepository", "find_clean_commit", "find_repository", "list_commits_between", "open_worktree"]
__all__ += ["resolve_base"]

FOLDER = "gdbench-gate"
"""The folder of worktrees, inside the repository's .git, where no tool that walks the tree finds them."""
KEEPER = Path(__file__).with_name("worktree_keeper.py")


class NoRepository(UsageError):
    """The folder is in no repository, or git is not installed."""


@dataclass(frozen=True)
class Base:
    """A revision to compare with."""

    commit: str
    how: str
    """How it was chosen: ``merge base with main``."""

    @property
    def short(self) -> str:
        """Its first digits."""
        return self.commit[:7]


def _find_commit(folder: Path, revision: str) -> str | None:
    """The commit that a revision names; None if it names none."""
    with contextlib.suppress(GitError):
        return read_git(folder, "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}")
    return None


def find_repository(folder: Path) -> Path:
    """The top of the git repository that contains a folder. Raises UsageError; NoRepository if there is none."""
    try:
        return Path(read_git(folder, "rev-parse", "--show-toplevel"))
    except GitMissing as reason:
        raise NoRepository(f"the gate compares with a git revision, and {reason}. Or use --baseline FILE.") from None
    except GitError as reason:
        kind = NoRepository if "not a git repository" in str(reason) else UsageError
        raise kind(
            f"git gives no repository for {folder} ({reason}): start the gate inside the one that it is to compare, or"
            " use --baseline FILE."
        ) from None


def resolve_base(top: Path, revision: str | None, outputs: str, allow_same: bool) -> Base:
    """The revision to compare the working tree with.

    Raises NotMeasured if there is none, or no difference, and UsageError for a ``revision`` that names no commit.

    Without a ``revision``: the merge base with the default branch; if the tree is clean and HEAD is on the default
    branch, the first parent.
    """
    is_clean = _is_clean(top, outputs)
    base = _resolve_named(top, revision) if revision else _resolve_default(top, is_clean)
    trees = [read_git(top, "rev-parse", f"{commit}^{{tree}}") for commit in (base.commit, "HEAD")] if is_clean else []
    if trees and trees[0] == trees[1] and not allow_same:
        raise NotMeasured(
            f"the working tree is that of {base.short} ({base.how}): nothing to compare. Name another base with"
            " --base, or compare all the same with --allow-same."
        )
    return base


def _resolve_named(top: Path, revision: str) -> Base:
    commit = _find_commit(top, revision)
    if commit is None:
        raise UsageError(
            f"--base {revision} names no commit here. In a shallow clone fetch it first"
            " (actions/checkout: fetch-depth: 0)."
        )
    return Base(commit, revision if not commit.startswith(revision) else "given")


def _resolve_default(top: Path, is_clean: bool) -> Base:
    head = _find_commit(top, "HEAD")
    if head is None:
        raise NotMeasured("there is no commit yet: nothing to compare with.")
    trunk = _find_trunk(top)
    if trunk is None:
        raise NotMeasured(
            "no default branch is known (neither origin/HEAD, main nor master): name the base with --base."
        )
    try:
        fork = read_git(top, "merge-base", "HEAD", trunk)
    except GitError:
        raise NotMeasured(
            f"HEAD and {trunk} have no common commit here: fetch the history (actions/checkout: fetch-depth: 0), or"
            " name the base with --base."
        ) from None
    is_on_trunk = read_git(top, "rev-parse", "--abbrev-ref", "HEAD") == trunk.removeprefix("origin/")
    if not is_clean or (fork != head and not is_on_trunk):
        return Base(head if is_on_trunk else fork, "HEAD" if is_on_trunk else f"merge base with {trunk}")
    parent = _find_commit(top, "HEAD^1")
    if parent is None:
        raise NotMeasured(
            "HEAD has no parent here: it is the first commit, or the clone is shallow"
            " (actions/checkout: fetch-depth: 2)."
        )
    return Base(parent, "first parent")


def _find_trunk(top: Path) -> str | None:
    """The default branch: of the pull request, of the remote, or by its usual name."""
    if target := os.environ.get("GITHUB_BASE_REF"):
        if (branch := _find_branch(top, target)) is None:
            raise NotMeasured(
                f"GITHUB_BASE_REF={target} names no branch here: fetch it (actions/checkout: fetch-depth: 0), or name"
                " the base with --base."
            )
        return branch
    usual = ["main", "master"]
    with contextlib.suppress(GitError):
        usual.insert(0, read_git(top, "symbolic-ref", "--short", "refs/remotes/origin/HEAD").removeprefix("origin/"))
    return next((branch for name in usual if (branch := _find_branch(top, name))), None)


def _find_branch(top: Path, name: str) -> str | None:
    """The branch of that name, the remote's first; None without one."""
    return next((branch for branch in (f"origin/{name}", name) if _find_commit(top, branch)), None)


def _is_clean(top: Path, outputs: str) -> bool:
    """Whether the tree equals its commit, apart from the outputs and caches of runs."""
    excluded = [f":(exclude){outputs}"] if not Path(outputs).is_absolute() else []
    return not read_git(top, "status", "--porcelain", "--", ".", *excluded, ":(exclude,glob)**/__pycache__/**")


def find_clean_commit(top: Path, outputs: str) -> str | None:
    """The commit that the working tree equals; None if it differs."""
    return _find_commit(top, "HEAD") if _is_clean(top, outputs) else None


def list_commits_between(top: Path, good: str, bad: str) -> list[str]:
    """The commits after ``good`` up to ``bad``, along first parents, oldest first."""
    ends = [_find_commit(top, revision) for revision in (good, bad)]
    for revision, commit in zip((good, bad), ends, strict=True):
        if commit is None:
            raise UsageError(f"{revision} names no commit here.")
    commits = read_git(top, "rev-list", "--first-parent", "--reverse", f"{ends[0]}..{ends[1]}").split()
    if not commits:
        raise UsageError(f"{bad} does not come after {good}.")
    return commits


@contextlib.contextmanager
def open_worktree(top: Path, commit: str, python: Path = Path(sys.executable)) -> Iterator[SourceTree]:
    """A commit in a worktree of its own, which is removed when the context ends."""
    parent = _make_folder(top)
    _remove_stale(parent, top)
    folder = parent / f"{commit[:12]}-{uuid.uuid4().hex[:8]}"
    with hold_lock(Path(f"{folder}.lock")), _start_keeper(folder, top, commit):
        yield SourceTree(folder, commit[:7], python)


@contextlib.contextmanager
def _start_keeper(folder: Path, top: Path, commit: str) -> Iterator[None]:
    """A process that makes the worktree, and removes it when the context or this process ends."""
    keeper = subprocess.Popen(
        [sys.executable, "-I", "-S", str(KEEPER), str(folder), str(top), commit],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,  # Ctrl-C is for the gate
    )
    with keeper:  # whose end closes the pipes, and waits
        assert keeper.stdout
        refusal = keeper.stdout.readline().strip()
        if not folder.is_dir():
            raise UsageError(f"git makes no worktree of {commit[:7]}: {refusal}")
        yield


def _make_folder(top: Path) -> Path:
    folder = (top / read_git(top, "rev-parse", "--git-common-dir")).resolve() / FOLDER
    folder.mkdir(exist_ok=True)
    return folder


def _remove_stale(parent: Path, top: Path) -> None:
    """Remove worktrees whose gate no longer holds its lock: the machine went down."""
    for file in parent.glob("*.lock"):
        with contextlib.suppress(filelock.Timeout, UsageError), hold_lock(file, 0):
            folder = file.with_suffix("")
            shutil.rmtree(folder, ignore_errors=True)
            with contextlib.suppress(GitError):  # git may not know it any more
                read_git(top, "worktree", "remove", "--force", "--force", str(folder))
            file.unlink(missing_ok=True)
