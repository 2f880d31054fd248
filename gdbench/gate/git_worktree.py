"""The two trees: which revision is the base, and a worktree of it that is gone afterwards, however the gate ends."""

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
from gdbench.gate.series import Side

__all__ = ["Base", "NoRepository", "base_of", "clean_commit", "commits_between", "repository", "worktree"]


PLACE = "gdbench-gate"
"""The folder of worktrees, inside the repository's .git, where no tool that walks the tree meets them."""
KEEPER = Path(__file__).with_name("worktree_keeper.py")


class NoRepository(UsageError):
    """A folder lies in no repository, or there is no git to ask."""


@dataclass(frozen=True)
class Base:
    """A revision to compare with."""

    commit: str
    how: str
    """What it is, in words: ``merge base with main``."""

    @property
    def short(self) -> str:
        """Its first digits."""
        return self.commit[:7]


def _known(folder: Path, revision: str) -> str | None:
    """The commit that a revision names; None where it names none."""
    with contextlib.suppress(GitError):
        return read_git(folder, "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}")
    return None


def repository(folder: Path) -> Path:
    """The top of the git repository that a folder lies in. Raises UsageError; NoRepository where there is none."""
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


def base_of(top: Path, revision: str | None, outputs: str, allow_same: bool) -> Base:
    """The revision to compare the working tree with. Raises NotMeasured where there is none, or no difference.

    Without a ``revision``: the merge base with the default branch; on a clean tree of the default branch itself, or of
    a commit that it holds, the first parent.
    """
    clean = _clean(top, outputs)
    base = _named(top, revision) if revision else _default(top, clean)
    same = clean and read_git(top, "rev-parse", f"{base.commit}^{{tree}}") == read_git(top, "rev-parse", "HEAD^{tree}")
    if same and not allow_same:
        raise NotMeasured(
            f"the working tree is that of {base.short} ({base.how}): nothing to compare. Name another base with"
            " --base, or compare all the same with --allow-same."
        )
    return base


def _named(top: Path, revision: str) -> Base:
    commit = _known(top, revision)
    if commit is None:
        raise NotMeasured(
            f"--base {revision} names no commit here. In a shallow clone fetch it first"
            " (actions/checkout: fetch-depth: 0)."
        )
    return Base(commit, revision if not commit.startswith(revision) else "given")


def _default(top: Path, clean: bool) -> Base:
    head = _known(top, "HEAD")
    if head is None:
        raise NotMeasured("there is no commit yet: nothing to compare with.")
    trunk = _trunk(top)
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
    on_trunk = read_git(top, "rev-parse", "--abbrev-ref", "HEAD") == trunk.removeprefix("origin/")
    if not clean or (fork != head and not on_trunk):
        return Base(head if on_trunk else fork, "HEAD" if on_trunk else f"merge base with {trunk}")
    parent = _known(top, "HEAD^1")
    if parent is None:
        raise NotMeasured(
            "HEAD has no parent here: it is the first commit, or the clone is shallow"
            " (actions/checkout: fetch-depth: 2)."
        )
    return Base(parent, "first parent")


def _trunk(top: Path) -> str | None:
    """The default branch: of the pull request, of the remote, or by its usual name."""
    if asked := os.environ.get("GITHUB_BASE_REF"):
        if (place := _branch(top, asked)) is None:
            raise NotMeasured(
                f"GITHUB_BASE_REF={asked} names no branch here: fetch it (actions/checkout: fetch-depth: 0), or name"
                " the base with --base."
            )
        return place
    usual = ["main", "master"]
    with contextlib.suppress(GitError):
        usual.insert(0, read_git(top, "symbolic-ref", "--short", "refs/remotes/origin/HEAD").removeprefix("origin/"))
    return next((place for name in usual if (place := _branch(top, name))), None)


def _branch(top: Path, name: str) -> str | None:
    """A branch of that name, the remote's first."""
    return next((place for place in (f"origin/{name}", name) if _known(top, place)), None)


def _clean(top: Path, outputs: str) -> bool:
    """Whether the tree is as it was committed, but for what runs leave behind."""
    left = [f":(exclude){outputs}"] if not Path(outputs).is_absolute() else []
    return not read_git(top, "status", "--porcelain", "--", ".", *left, ":(exclude,glob)**/__pycache__/**")


def clean_commit(top: Path, outputs: str) -> str | None:
    """The commit that the working tree is; None where it differs from it."""
    return _known(top, "HEAD") if _clean(top, outputs) else None


def commits_between(top: Path, good: str, bad: str) -> list[str]:
    """The commits after ``good`` up to ``bad``, along first parents, oldest first."""
    ends = [_known(top, revision) for revision in (good, bad)]
    for revision, commit in zip((good, bad), ends, strict=True):
        if commit is None:
            raise UsageError(f"{revision} names no commit here.")
    commits = read_git(top, "rev-list", "--first-parent", "--reverse", f"{ends[0]}..{ends[1]}").split()
    if not commits:
        raise UsageError(f"{bad} does not come after {good}.")
    return commits


@contextlib.contextmanager
def worktree(top: Path, commit: str, python: Path = Path(sys.executable)) -> Iterator[Side]:
    """A side that is a commit, in a worktree of its own."""
    place = _place(top)
    _clear(place, top)
    folder = place / f"{commit[:12]}-{uuid.uuid4().hex[:8]}"
    lock = filelock.FileLock(f"{folder}.lock")
    with lock, _kept(folder, top, commit):
        yield Side(folder, commit[:7], python)


@contextlib.contextmanager
def _kept(folder: Path, top: Path, commit: str) -> Iterator[None]:
    """A worktree that is removed when the context ends, or this process does."""
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


def _place(top: Path) -> Path:
    place = (top / read_git(top, "rev-parse", "--git-common-dir")).resolve() / PLACE
    place.mkdir(exist_ok=True)
    return place


def _clear(place: Path, top: Path) -> None:
    """Remove what a machine that went down left behind: worktrees whose gate no longer holds its lock."""
    for file in place.glob("*.lock"):
        lock = filelock.FileLock(file, timeout=0)
        with contextlib.suppress(filelock.Timeout), lock:
            folder = file.with_suffix("")
            shutil.rmtree(folder, ignore_errors=True)
            with contextlib.suppress(GitError):  # git need not know it any more
                read_git(top, "worktree", "remove", "--force", "--force", str(folder))
            file.unlink(missing_ok=True)
