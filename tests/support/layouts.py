"""Repositories in every layout that git knows, and commits of every kind in them, made while a hook runs."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gdbench.engine.git import make_git_environment
from support.repositories import git, repository

SUITE = """
defaults: {steps: 5, lr: 0.1, objective: quadratic}
series:
  - {optimizer: sound}
"""
LINES = "".join(f"line {number}\n" for number in range(30))


@dataclass(frozen=True)
class Checkout:
    """A work tree, and the words by which git is told where its repository lies, if no .git does."""

    folder: Path
    words: tuple[str, ...] = ()

    def git(self, *words: str) -> str:
        """What a git command prints here."""
        return git(self.folder, *self.words, *words)

    def answer(self, line: str, answers: str) -> None:
        """Carry out a git command that asks."""
        words = shlex.join(["git", "-c", "user.name=a", "-c", "user.email=a@b", *self.words, *shlex.split(line)])
        command = f"printf {shlex.quote(answers)} | {words}"
        subprocess.run(["bash", "-c", command], cwd=self.folder, env=make_git_environment(self.folder), check=True)

    def install(self, script: str) -> None:
        """Make a shell script the hook before each commit."""
        place = Path(self.git("rev-parse", "--git-path", "hooks"))
        hook = self.folder / place / "pre-commit"
        hook.parent.mkdir(parents=True, exist_ok=True)
        hook.write_text(f"#!/bin/sh\n{script}\n")
        hook.chmod(0o755)

    def state(self) -> dict[str, str]:
        """What the latest commit, the index and the work tree hold."""
        return {
            "commit": self.git("rev-parse", "HEAD^{tree}"),
            "count": self.git("rev-list", "--count", "HEAD"),
            "index": self.git("ls-files", "--stage"),
            "status": self.git("status", "--porcelain"),
            "worktrees": str(self.git("worktree", "list").count("\n")),
        }


def origin(place: Path) -> Path:
    """A repository with a suite, and two files of thirty lines."""
    folder = place / "origin"
    repository(folder, SUITE)
    for name in ("a", "b"):
        (folder / name).write_text(LINES)
    (folder / ".gitignore").write_text("outputs\n")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "two files")
    return folder


def plain(place: Path) -> Checkout:
    """One folder with its .git."""
    return Checkout(origin(place))


def linked(place: Path) -> Checkout:
    """A linked worktree, on a branch of its own."""
    git(origin(place), "worktree", "add", "--quiet", "-b", "side", "../linked")
    return Checkout(place / "linked")


def submodule(place: Path) -> Checkout:
    """The checkout of a submodule."""
    return Checkout(superproject(place).folder / "sub")


def superproject(place: Path) -> Checkout:
    """A repository that holds another as its submodule."""
    git(place, "clone", "--quiet", str(origin(place)), "around")
    around = Checkout(place / "around")
    around.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", "../origin", "sub")
    around.git("commit", "--quiet", "--message", "a submodule")
    (around.folder / "sub" / "a").chmod(0o644)
    return around


def shallow(place: Path) -> Checkout:
    """A clone of the latest commit alone."""
    git(place, "clone", "--quiet", "--depth", "1", f"file://{origin(place)}", "shallow")
    return Checkout(place / "shallow")


def separate(place: Path) -> Checkout:
    """A work tree whose .git is a file that leads elsewhere."""
    git(place, "clone", "--quiet", "--separate-git-dir", str(place / "elsewhere.git"), str(origin(place)), "separate")
    return Checkout(place / "separate")


def bare(place: Path) -> Checkout:
    """A worktree of a bare repository."""
    git(place, "clone", "--quiet", "--bare", str(origin(place)), "bare.git")
    git(place / "bare.git", "worktree", "add", "--quiet", "-b", "side", "../tree")
    return Checkout(place / "tree")


def stated(place: Path) -> Checkout:
    """A work tree without any .git: each command says where its repository lies."""
    folder = place / "stated"
    git(place, "clone", "--quiet", "--bare", str(origin(place)), "stated.git")
    git(place / "stated.git", "config", "core.bare", "false")
    folder.mkdir()
    checkout = Checkout(folder, (f"--git-dir={place / 'stated.git'}", f"--work-tree={folder}"))
    checkout.git("checkout", "--quiet", "main")
    return checkout


def within(place: Path) -> Checkout:
    """The same inside of another repository."""
    git(place, "init", "--quiet")
    (place / "outer").write_text("outer")
    git(place, "add", "outer")
    git(place, "commit", "--quiet", "--message", "outer")
    return stated(place)


LAYOUTS: dict[str, Callable[[Path], Checkout]] = {
    layout.__name__: layout
    for layout in (plain, linked, submodule, superproject, shallow, separate, bare, stated, within)
}


def edit(checkout: Checkout) -> None:
    """Change two files, one of them in two places, and stage a new one and a removal."""
    folder = checkout.folder
    (folder / "a").write_text(LINES.replace("line 1\n", "first\n").replace("line 28\n", "last\n"))
    (folder / "b").write_text(LINES + "more\n")
    (folder / "new").write_text("new\n")
    checkout.git("add", "new")
    checkout.git("rm", "--quiet", "--cached", ".gitignore")


def _staged(checkout: Checkout, *words: str) -> None:
    checkout.git("add", "a")
    checkout.git("commit", "--quiet", "--message", "staged", *words)


def _rebase(checkout: Checkout, script: str) -> None:
    checkout.git("-c", "core.hooksPath=/dev/null", "commit", "--quiet", "--all", "--message", "rebased")
    checkout.git("rebase", "--quiet", "--exec", script, "HEAD~1")


COMMITS: dict[str, Callable[[Checkout, str], None]] = {
    "commit": lambda checkout, _: _staged(checkout),
    "commit -am": lambda checkout, _: (checkout.git("commit", "--quiet", "-am", "all"), None)[1],
    "commit PATH": lambda checkout, _: (checkout.git("commit", "--quiet", "--message", "b", "b"), None)[1],
    "commit --amend": lambda checkout, _: _staged(checkout, "--amend"),
    "commit -p": lambda checkout, _: checkout.answer("commit --quiet --message part -p", "y\\nn\\nq\\n"),
    "rebase -x": _rebase,
}
"""By what a user types; each is told the script of the hook, for where it is none."""
