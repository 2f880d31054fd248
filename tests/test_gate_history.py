"""What the gate saw along a branch, where it changed, and which commit did it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from repositories import change, commit, git, repository
from test_gate import FEW, ROOT

from gdbench.gate import history
from gdbench.gate.history import add, exact_changes, load_history, time_changes
from gdbench.schema import UsageError


def report(commit: str | None, ops: int, ratio: float) -> dict[str, Any]:
    """What a gate tells of a commit."""
    numbers = {"status": "target", "ops per step": ops, "steps_to_target": None}
    exact = {"layer": "exact", "series": "adam", "numbers": numbers}
    timed = {"layer": "time", "series": "adam", "numbers": {"step_vs_reference": ratio}}
    return {"commit": commit, "fingerprint": "here", "findings": [exact, timed]}


@pytest.fixture
def kept(tmp_path: Path) -> tuple[Path, list[str]]:
    """Thirty commits, of which number 9 dispatches an operation more and number 15 is 8% slower."""
    git(tmp_path, "init", "--quiet")
    commits = []
    for number in range(30):
        commits.append(git_commit(tmp_path, number))
        noise = 0.005 * ((number * 7) % 11 - 5) / 5
        add(
            tmp_path / "kept",
            tmp_path,
            report(commits[-1], 30 + (number >= 9), 1.5 * (1 + noise + 0.08 * (number >= 15))),
        )
    return tmp_path / "kept", commits


def git_commit(folder: Path, number: int) -> str:
    """A commit of a day of its own."""
    day = f"2026-01-{number + 1:02d}T12:00:00+00:00"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GIT_COMMITTER_DATE", day)
        (folder / "file").write_text(str(number))
        git(folder, "add", "file")
        git(folder, "commit", "--quiet", "--message", f"number {number}")
    return git(folder, "rev-parse", "HEAD")


def test_an_exact_change_names_its_commit(kept: tuple[Path, list[str]]) -> None:
    """The one before, the one at which it was seen, and both values."""
    folder, commits = kept
    (found,) = exact_changes(load_history(folder)).to_dict("records")

    assert (found["after"], found["commit"]) == (commits[8], commits[9])
    assert (found["measure"], found["base"], found["head"]) == ("ops per step", 30, 31)
    assert found["subject"] == "number 9"


def test_of_two_reports_on_one_commit_the_later_counts(kept: tuple[Path, list[str]]) -> None:
    """Adding is a new file, and no row is doubled."""
    folder, commits = kept
    before = load_history(folder)
    add(folder, folder.parent, report(commits[-1], 40, 1.5))
    after = load_history(folder)

    assert len(after) == len(before)
    assert after["value"].max() == 40


def test_a_tree_that_is_no_commit_has_no_history(tmp_path: Path) -> None:
    """Its numbers would be another's."""
    with pytest.raises(UsageError, match="not committed"):
        add(tmp_path, tmp_path, report(None, 30, 1.0))
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
    monkeypatch.setattr(history, "otava", lambda: program)
    found = time_changes(load_history(folder)).to_dict("records")

    assert [each["commit"] for each in found] == [commits[index]] * told
    assert [(each["base"], each["head"]) for each in found] == [(1.50, 1.62)] * told


@pytest.mark.skipif(history.otava() is None, reason="pipx install apache-otava: it needs a numpy of its own")
def test_otava_finds_a_slowdown_of_eight_percent(kept: tuple[Path, list[str]]) -> None:
    """At its commit, and nowhere else."""
    folder, commits = kept
    (found,) = time_changes(load_history(folder)).to_dict("records")

    assert (found["after"], found["commit"]) == (commits[14], commits[15])


def test_bisection_names_the_commit_and_history_shows_it(
    command: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of four commits the third put the defect in; the gate's report on the last is a first entry of a history."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    repository(tmp_path, FEW)
    commit(tmp_path, "harmless")
    change(tmp_path)
    commit(tmp_path, "the defect")
    commit(tmp_path, "harmless too")
    done = command("gate", "bisect", "HEAD~3", "--config-dir", "mine")

    assert done.code == 0, done.err
    assert done.out.splitlines()[0].endswith(" the defect")
    assert "clone manual quadratic worse: ops per step: 15 -> 16 (+1 clone)" in done.out

    command("gate", "--config-dir", "mine", "--time", "off", "--base", "HEAD~3")
    shown = command("gate", "history", "--add")

    assert shown.code == 0, shown.err
    assert "1 commit, 2 series" in shown.out
    assert "No measure changed." in shown.out
    assert json.loads(max(tmp_path.glob("outputs/gate/*/gate.json")).read_text())["commit"] == git(
        tmp_path, "rev-parse", "HEAD"
    )
    assert len(pd.read_parquet(next(Path("outputs/gate-history").glob("*.parquet")))) > 20
