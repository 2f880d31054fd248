"""History of measures along a branch, their changes, and bisection."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.repositories import git

from gdbench.errors import UsageError
from gdbench.gate import history
from gdbench.gate.bisect import bisect_commits
from gdbench.gate.history import add_report, find_exact_changes, find_time_changes, load_history
from gdbench.report.trend_page import make_trend_figures, write_trend


def report(commit: str | None, ops: int, ratio: float) -> dict[str, Any]:
    """A report of a gate on a commit."""
    numbers = {"status": "target", "ops per step": ops, "steps_to_target": None}
    exact = {"layer": "exact", "series": "adam", "numbers": numbers}
    timed = {"layer": "time", "series": "adam", "numbers": {"step_time_ratio": ratio}}
    return {"commit": commit, "fingerprint": "here", "findings": [exact, timed]}


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """Thirty commits, of which number 9 dispatches an operation more and number 15 is 8% slower."""
    tmp_path = tmp_path_factory.mktemp("kept")
    git(tmp_path, "init", "--quiet")
    commits = []
    for number in range(30):
        commits.append(git_commit(tmp_path, number))
        noise = 0.005 * ((number * 7) % 11 - 5) / 5
        add_report(
            tmp_path / "kept",
            tmp_path,
            report(commits[-1], 30 + (number >= 9), 1.5 * (1 + noise + 0.08 * (number >= 15))),
        )
    return tmp_path / "kept", commits


def git_commit(folder: Path, number: int) -> str:
    """A commit with a date of its own."""
    day = f"2026-01-{number + 1:02d}T12:00:00+00:00"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GIT_COMMITTER_DATE", day)
        (folder / "file").write_text(str(number))
        git(folder, "add", "file")
        git(folder, "commit", "--quiet", "--message", f"number {number}")
    return git(folder, "rev-parse", "HEAD")


def test_an_exact_change_names_its_commit(kept: tuple[Path, list[str]]) -> None:
    """The commit before, the commit itself, and both values."""
    folder, commits = kept
    (found,) = find_exact_changes(load_history(folder)).to_dict("records")

    assert (found["after"], found["commit"]) == (commits[8], commits[9])
    assert (found["measure"], found["base"], found["head"]) == ("ops per step", 30, 31)
    assert found["subject"] == "number 9"


def test_of_two_reports_on_one_commit_the_later_counts(kept: tuple[Path, list[str]], tmp_path: Path) -> None:
    """Adding writes a new file, and no row is duplicated."""
    (top, commits), folder = kept, tmp_path / "kept"
    shutil.copytree(top, folder)
    before = load_history(folder)
    add_report(folder, top.parent, report(commits[-1], 40, 1.5))
    after = load_history(folder)

    assert len(after) == len(before)
    assert after["value"].max() == 40


def test_a_tree_that_is_no_commit_has_no_history(tmp_path: Path) -> None:
    """A report without a commit, or without numbers, is refused."""
    with pytest.raises(UsageError, match="not committed"):
        add_report(tmp_path, tmp_path, report(None, 30, 1.0))
    with pytest.raises(UsageError, match="measured nothing"):
        add_report(tmp_path, tmp_path, {"commit": "HEAD", "fingerprint": "here", "findings": []})
    with pytest.raises(UsageError, match="holds no history"):
        load_history(tmp_path)


ANSWER = (
    '{"s0": [{"time": 1, "attributes": {}, "changes": [{"index": %d, "mean_before": "1.50", "mean_after": "1.62"}]}]}'
)


@pytest.mark.parametrize(("index", "told"), [(15, 1), (24, 1), (25, 0)], ids=["found", "just enough", "too late"])
def test_a_change_of_time_is_told_once_enough_follows(
    kept: tuple[Path, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, index: int, told: int
) -> None:
    """As Otava answers (this answer was recorded): a range of commits, once six are known from the change on."""
    folder, commits = kept
    program = tmp_path / "otava"
    program.write_text(f"#!{sys.executable}\nimport sys, yaml\nprint({ANSWER % index!r})\n")
    program.chmod(0o755)
    monkeypatch.setattr(history, "find_otava", lambda: program)
    found = find_time_changes(load_history(folder)).to_dict("records")

    assert [change["commit"] for change in found] == [commits[index]] * told
    assert [(change["base"], change["head"]) for change in found] == [(1.50, 1.62)] * told


@pytest.mark.slow
@pytest.mark.skipif(history.find_otava() is None, reason="pipx install apache-otava: it needs a numpy of its own")
def test_otava_finds_a_slowdown_of_eight_percent(kept: tuple[Path, list[str]]) -> None:
    """It is found at its commit and nowhere else."""
    folder, commits = kept
    (found,) = find_time_changes(load_history(folder)).to_dict("records")

    assert (found["after"], found["commit"]) == (commits[14], commits[15])


@pytest.mark.slow
@pytest.mark.parametrize("culprit", range(5))
def test_bisection_names_the_first_commit_that_fails(tmp_path: Path, culprit: int) -> None:
    """Each commit is tried in a worktree of its own, and no more than bisection needs."""
    git(tmp_path, "init", "--quiet")
    commits = [git_commit(tmp_path, number) for number in range(5)]
    lines: list[str] = []
    found = bisect_commits(
        tmp_path, commits, lambda side: "bad" if int((side.root / "file").read_text()) >= culprit else "", lines.append
    )

    assert (found.commit, found.subject, found.why) == (commits[culprit], f"number {culprit}", "bad")
    assert len(lines) == found.tried <= 4
    assert git(tmp_path, "worktree", "list").count("\n") == 0


def test_bisection_of_what_passes_is_refused(tmp_path: Path) -> None:
    """If the bad end passes there is nothing to find."""
    git(tmp_path, "init", "--quiet")
    commits = [git_commit(tmp_path, 0)]

    with pytest.raises(UsageError, match="nothing to find"):
        bisect_commits(tmp_path, commits, lambda side: "", lambda line: None)


@pytest.mark.slow
def test_the_trend_draws_times_and_what_changed(kept: tuple[Path, list[str]], tmp_path: Path) -> None:
    """A point per commit for times and for the exact measure that changed, a line at the change; on its own page."""
    rows = load_history(kept[0])
    changes = find_exact_changes(rows)
    time, ops = make_trend_figures(rows, changes)
    drawn = ops.chart.datasets["table"] if ops.chart else []
    page = write_trend(rows, changes, tmp_path).read_text()

    assert (time.title, ops.title) == ("Time of a step", "Operations of a step")
    assert [(row["kind"], row["number"]) for row in drawn] == [*(("value", n + 1) for n in range(30)), ("change", 10)]
    assert {file.name for file in (tmp_path / "figures").iterdir()} == {
        f"trend-{name}.{form}" for name in ("step_time_ratio", "ops-per-step") for form in ("svg", "png")
    }
    assert "number 9" in page
    assert not re.search(r"""(src|href)=["']http""", page)


@pytest.mark.slow
def test_a_subject_is_no_html(kept: tuple[Path, list[str]], tmp_path: Path) -> None:
    """The subject of a commit is shown as text, not as HTML."""
    rows = load_history(kept[0]).assign(subject="</script><script>alert(1)</script>")

    assert "<script>alert" not in write_trend(rows, find_exact_changes(rows), tmp_path).read_text()


def test_history_adds_the_latest_report_and_shows_what_changed(command: Callable[..., Any], tmp_path: Path) -> None:
    """The range of commits, the measure, both values, and the subject."""
    git(tmp_path, "init", "--quiet")
    for number in range(2):
        told = report(git_commit(tmp_path, number), 30 + number, 1.5)
        (tmp_path / f"outputs/gate/{number}").mkdir(parents=True)
        (tmp_path / f"outputs/gate/{number}/gate.json").write_text(json.dumps(told))
        done = command("gate", "history", "--add")

    assert done.code == 0, done.err
    assert "2 commits, 1 series" in done.out
    assert done.out.endswith("Trend: outputs/gate-history/trend.html\n")
    assert re.search(r"\w{7}\.\.\w{7} +adam +ops per step +30 +31 +number 1", done.out)
