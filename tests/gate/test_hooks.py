"""The gate in git hooks: commits contain what was staged, whatever the layout of the repository."""

from __future__ import annotations

import ast
import itertools
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.layouts import COMMITS, LAYOUTS, edit
from support.repositories import commit, git
from support.tiers import representatives

from gdbench.engine.environment import describe_checkout, read_git_diff
from gdbench.engine.git import make_clean_environment, make_git_environment, read_git
from gdbench.errors import UsageError
from gdbench.gate.git_worktree import find_repository, open_worktree
from gdbench.gate.request import GateRequest, find_head

ROOT = Path(__file__).parents[2]
TREES = """
import sys
from pathlib import Path
from gdbench.gate.git_worktree import find_repository, open_worktree, resolve_base

top = find_repository(Path.cwd())
with open_worktree(top, resolve_base(top, None, "outputs", True).commit) as side:
    held = sorted(file.name for file in side.root.iterdir())
with Path(sys.argv[1]).open("a") as log:
    print(top, *held, file=log)
"""
"""All that the gate does with git, without torch."""


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests do not see the environment of a pull request, and use this gdbench in every process."""
    monkeypatch.delenv("GITHUB_BASE_REF", raising=False)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    for who in ("AUTHOR", "COMMITTER"):  # so that commits made twice are the same
        monkeypatch.setenv(f"GIT_{who}_DATE", "2026-01-01T12:00:00+00:00")


def check_a_commit(place: Path, layout: str, kind: str, script: str) -> Path:
    """Make a commit twice, without and with a hook, and compare the results; returns the hook's log."""
    log = place / "log"
    states = []
    for name, words in (("free", "true"), ("hooked", f"{script} >> {shlex.quote(str(log))} 2>&1")):
        (place / name).mkdir()
        checkout = LAYOUTS[layout](place / name)
        checkout.install(words)
        edit(checkout)
        COMMITS[kind](checkout, words)
        states.append(checkout.state())

    assert states[0] == states[1]
    return log


EVERY_KIND = [("plain", kind) for kind in COMMITS]
EVERY_LAYOUT = [(layout, "commit -am") for layout in LAYOUTS if layout != "plain"]


UNLIKE = [("linked", "commit -am")]


@pytest.mark.parametrize(("layout", "kind"), representatives(EVERY_KIND + EVERY_LAYOUT, EVERY_KIND + UNLIKE))
def test_a_commit_holds_what_was_staged(tmp_path: Path, layout: str, kind: str) -> None:
    """Commit, index and work tree are as without the hook, and the base was available to it."""
    script = tmp_path / "trees.py"
    script.write_text(TREES)
    held = tmp_path / "held"
    check_a_commit(tmp_path, layout, kind, shlex.join([sys.executable, str(script), str(held)]))
    top, *names = held.read_text().split()

    assert Path(top).is_relative_to(tmp_path / "hooked")
    assert {"a", "b", "mine"} <= set(names)
    assert ("new" in names) is (kind == "rebase -x")  # there the base is the commit that was just made


FEW = (("plain", "commit -am"), ("plain", "commit PATH"), ("plain", "rebase -x"), ("linked", "commit --amend"))
"""Where a whole gate is run by CI, of 4 CPU s each; the campaign runs it by all kinds in all layouts."""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("layout", "kind"),
    [
        pytest.param(*case, marks=() if case in FEW else pytest.mark.campaign)
        for case in itertools.product(LAYOUTS, COMMITS)
    ],
)
def test_a_gate_inside_of_a_hook(tmp_path: Path, layout: str, kind: str) -> None:
    """The whole gate, as a user's hook runs it, passes and leaves the commit alone: 54 gates."""
    gate = [sys.executable, "-m", "gdbench", "gate", "--config-dir", "mine", "--time", "off", "--allow-same"]
    log = check_a_commit(tmp_path, layout, kind, shlex.join(gate)).read_text()

    assert "exact   1 same" in log
    assert "PASSED (exit 0)" in log


@pytest.fixture
def hooked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """A repository, and another one whose hook set the environment variables."""
    for name in ("asked", "around"):
        folder = tmp_path / name
        folder.mkdir()
        git(folder, "init", "--quiet")
        (folder / "file").write_text(name)
        commit(folder, name)
    around = tmp_path / "around" / ".git"
    monkeypatch.setenv("GIT_DIR", str(around))
    monkeypatch.setenv("GIT_INDEX_FILE", str(around / "index"))
    monkeypatch.setenv("GIT_PREFIX", "")
    monkeypatch.setenv("GIT_LITERAL_PATHSPECS", "1")
    return tmp_path / "asked", tmp_path / "around"


def test_every_variable_of_one_repository_is_dropped(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No variable that git lists as local is in a child's environment, whatever its value."""
    names = read_git(tmp_path, "rev-parse", "--local-env-vars").split()
    for name in names:
        monkeypatch.setenv(name, "nonsense")

    assert len(names) > 10
    assert not set(names) & {*make_clean_environment(), *make_git_environment(tmp_path)}


def test_what_is_asked_of_a_folder_is_told_of_it(hooked: tuple[Path, Path]) -> None:
    """The folder decides, not the repository whose hook runs: top, description, and worktrees."""
    asked, around = hooked
    index = (around / ".git" / "index").read_bytes()
    with open_worktree(asked, "HEAD") as side:
        held = (side.root / "file").read_text()

    (asked / "file").write_text("changed")
    diff = read_git_diff(asked)
    git(asked, "checkout", "--quiet", "file")

    assert held == "asked"
    assert "-asked" in diff
    assert "+changed" in diff
    assert find_repository(asked) == asked
    assert describe_checkout(asked) == {"commit": git(asked, "rev-parse", "HEAD"), "dirty": False}
    assert (around / ".git" / "index").read_bytes() == index


def test_another_users_repository_is_told_in_gits_own_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Dubious ownership is not reported as a missing repository: the error states git's message."""
    git(tmp_path, "init", "--quiet")
    commit(tmp_path)
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    with pytest.raises(UsageError, match=r"dubious ownership.*safe\.directory") as raised:
        find_repository(tmp_path)

    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="dubious ownership"):
        find_head(GateRequest(baseline=Path("baseline.csv")))

    assert "\n" not in str(raised.value)
    assert "dubious ownership" in (describe_checkout(tmp_path) or {})["refused"]


def test_a_worktree_runs_no_hook_and_prunes_nothing_of_the_users(tmp_path: Path) -> None:
    """Neither is post-checkout run, nor a user's worktree pruned whose disk is not mounted."""
    top = tmp_path / "top"
    top.mkdir()
    git(top, "init", "--quiet")
    commit(top)
    hook = top / ".git" / "hooks" / "post-checkout"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path / 'ran'}\n")
    hook.chmod(0o755)
    git(top, "-c", "core.hooksPath=/dev/null", "worktree", "add", "--quiet", "-b", "far", str(tmp_path / "far"))
    (tmp_path / "far").rename(tmp_path / "unmounted")
    with open_worktree(top, "HEAD"):
        pass

    (tmp_path / "unmounted").rename(tmp_path / "far")
    assert not (tmp_path / "ran").exists()
    assert git(tmp_path / "far", "status", "--porcelain") == ""


STARTING = ("run", "Popen", "call", "check_call", "check_output", "getoutput", "system", "popen", "which")


def git_commands(file: Path) -> Iterator[int]:
    """The lines of a source file on which a command line of git begins, in a list or in a shell's words."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        first = None
        if isinstance(node, ast.List | ast.Tuple) and node.elts:
            first = node.elts[0]
        elif isinstance(node, ast.Call) and node.args and ast.unparse(node.func).rpartition(".")[2] in STARTING:
            first = node.args[0]
        if isinstance(first, ast.JoinedStr) and first.values:
            first = first.values[0]
        if isinstance(first, ast.Constant) and isinstance(first.value, str) and first.value.split()[:1] == ["git"]:
            yield node.lineno


@pytest.mark.parametrize("folder", ["gdbench", "experiments", "website"])
def test_git_is_started_by_one_function(folder: str) -> None:
    """Other calls would pass the variables of a hook to git."""
    found = [f"{file}:{line}" for file in (ROOT / folder).rglob("*.py") for line in git_commands(file)]

    assert {place.rpartition(":")[0] for place in found} <= {str(ROOT / "gdbench" / "engine" / "git.py")}
