"""The choice of the base revision, and its worktree."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.repositories import commit, git

from gdbench.errors import NotMeasured, UsageError
from gdbench.gate.git_worktree import list_commits_between, open_worktree, resolve_base


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests do not see the environment of a pull request."""
    monkeypatch.delenv("GITHUB_BASE_REF", raising=False)


@pytest.fixture
def three(tmp_path: Path) -> tuple[Path, list[str]]:
    """Three commits on main."""
    git(tmp_path, "init", "--quiet")
    commits = []
    for number in range(3):
        (tmp_path / "file").write_text(str(number))
        commits.append(commit(tmp_path, str(number)))
    return tmp_path, commits


def test_a_clean_main_is_compared_with_its_first_parent(three: tuple[Path, list[str]]) -> None:
    """Outputs and caches do not make a tree dirty."""
    top, commits = three
    for left in ("outputs/gate", "mine/__pycache__"):
        (top / left).mkdir(parents=True)
        (top / left / "x").write_text("")
    found = resolve_base(top, None, "outputs", False)

    assert (found.commit, found.how) == (commits[1], "first parent")


def test_a_dirty_main_is_compared_with_head(three: tuple[Path, list[str]]) -> None:
    """Also if the change is an untracked file."""
    top, commits = three
    (top / "new").write_text("")

    assert resolve_base(top, None, "outputs", False).commit == commits[2]


def test_a_branch_is_compared_with_where_it_left_main(three: tuple[Path, list[str]]) -> None:
    """The base is the merge base, however many commits main has since then."""
    top, commits = three
    git(top, "switch", "--quiet", "--create", "mine", commits[1])
    (top / "file").write_text("mine")
    commit(top)
    found = resolve_base(top, None, "outputs", False)

    assert (found.commit, found.how) == (commits[1], "merge base with main")


def test_a_pull_request_names_its_branch(three: tuple[Path, list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    """GITHUB_BASE_REF takes precedence over main."""
    top, commits = three
    git(top, "branch", "release", commits[0])
    git(top, "switch", "--quiet", "--create", "mine")
    monkeypatch.setenv("GITHUB_BASE_REF", "release")

    assert resolve_base(top, None, "outputs", False).commit == commits[0]


def test_a_shallow_clone_says_what_to_fetch(
    three: tuple[Path, list[str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Without a parent there is no base, and the gate does not pass."""
    clone = tmp_path_factory.mktemp("clone")
    git(clone, "clone", "--quiet", "--depth", "1", f"file://{three[0]}", ".")

    with pytest.raises(NotMeasured, match="fetch-depth: 2"):
        resolve_base(clone, None, "outputs", False)


def test_identical_trees_are_refused_unless_allowed(three: tuple[Path, list[str]]) -> None:
    """An empty commit leaves the tree equal."""
    top, commits = three
    commit(top, "empty")

    with pytest.raises(NotMeasured, match="--allow-same"):
        resolve_base(top, None, "outputs", False)
    assert resolve_base(top, None, "outputs", True).commit == commits[2]


def test_a_worktree_is_the_commit_and_goes_with_its_context(three: tuple[Path, list[str]]) -> None:
    """The worktree is removed also if the context raises."""
    top, commits = three
    folders = []

    def raises() -> None:
        with open_worktree(top, commits[0]) as side:
            folders.append(side.root)
            assert (side.root / "file").read_text() == "0"
            assert git(top, "status", "--porcelain") == ""
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        raises()

    assert not folders[0].exists()
    assert git(top, "worktree", "list").count("\n") == 0


def test_a_worktree_that_a_power_cut_left_is_removed_at_the_next_start(three: tuple[Path, list[str]]) -> None:
    """A worktree whose lock is free is stale."""
    top, commits = three
    left = top / ".git" / "gdbench-gate" / "left"
    left.parent.mkdir()
    git(top, "worktree", "add", "--quiet", "--detach", str(left), commits[0])
    Path(f"{left}.lock").write_text("")
    with open_worktree(top, commits[1]):
        pass

    assert list(left.parent.iterdir()) == []


def test_commits_between_are_those_after_the_good_one(three: tuple[Path, list[str]]) -> None:
    """Oldest first; a bad end that is not after the good one is a usage error."""
    top, commits = three

    assert list_commits_between(top, commits[0], "HEAD") == commits[1:]
    with pytest.raises(UsageError, match="does not come after"):
        list_commits_between(top, "HEAD", commits[0])
