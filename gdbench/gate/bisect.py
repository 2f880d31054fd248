"""Bisection with the gate's own comparison: the first commit between two revisions at which a series fails."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from gdbench.engine.git import read_git
from gdbench.errors import NotMeasured, UsageError
from gdbench.gate.exact_measures import ABSENT, compare_answers, explain_absence, has_run
from gdbench.gate.git_worktree import find_repository, list_commits_between, open_worktree
from gdbench.gate.policy import FAILING, OPEN
from gdbench.gate.probe_client import ProbeResults, run_probe
from gdbench.gate.request import GateRequest, load_head_suite
from gdbench.gate.series import Series, SourceTree

__all__ = ["Culprit", "bisect_commits", "bisect_series"]

FindFailure = Callable[[SourceTree], str]
"""Why a commit fails; empty if it passes. Raises NotMeasured if that cannot be determined."""


@dataclass(frozen=True)
class Culprit:
    """The first commit that fails."""

    commit: str
    subject: str
    why: str
    tried: int
    """Number of commits tried."""
    unmeasured: tuple[str, ...] = ()
    """Commits just before it that could not be measured: the culprit may be one of them."""


def bisect_series(request: GateRequest, good: str, bad: str, layer: str, report: Callable[[str], None]) -> Culprit:
    """Find the first commit after ``good``, up to ``bad``, at which one of the selected series fails.

    As in every bisection, commits are assumed to pass up to one of them and to fail from there on. ``report`` gets a
    line per commit.
    """
    top = find_repository(Path.cwd())
    commits = list_commits_between(top, good, bad)
    series = load_head_suite(request).running
    with open_worktree(top, read_git(top, "rev-parse", f"{good}^{{commit}}")) as base:
        is_exact = layer == "exact"
        find_failure = _compare_exactly(request, series, base, report) if is_exact else _compare_times(series, base)
        return bisect_commits(top, commits, find_failure, report)


def bisect_commits(top: Path, commits: list[str], find_failure: FindFailure, report: Callable[[str], None]) -> Culprit:
    """Find the first of these commits that fails, if the last one does; those that cannot be measured are skipped."""
    failures: dict[int, str] = {}
    unmeasured: dict[int, str] = {}

    def try_commit(number: int) -> None:
        try:
            with open_worktree(top, commits[number]) as tree:
                failures[number] = find_failure(tree)
            report(f"{commits[number][:7]}  {failures[number] or 'passes'}")
        except NotMeasured as reason:
            unmeasured[number] = str(reason)
            report(f"{commits[number][:7]}  cannot be measured: {reason}")

    low, high = -1, len(commits) - 1
    try_commit(high)
    if high in unmeasured:
        raise NotMeasured(f"{commits[-1][:7]} cannot be measured: {unmeasured[high]}")
    if not failures[high]:
        raise UsageError(f"{commits[-1][:7]} passes when compared with the good end: there is nothing to find.")
    while open_ := [number for number in range(low + 1, high) if number not in unmeasured]:
        middle = min(open_, key=lambda number: abs(number - (low + high) // 2))
        try_commit(middle)
        if middle in failures:
            low, high = (low, middle) if failures[middle] else (middle, high)
    subject = read_git(top, "show", "--no-patch", "--format=%s", commits[high])
    tried = len(failures) + len(unmeasured)
    return Culprit(commits[high], subject, failures[high], tried, tuple(commits[low + 1 : high]))


def _compare_exactly(
    request: GateRequest, series: list[Series], base: SourceTree, report: Callable[[str], None]
) -> FindFailure:
    before = run_probe(series, base)
    ulps = dict(load_head_suite(request).ulps)
    measured = [one for one in series if has_run(before.series.get(one.name, {}))]
    for one in series:
        if one not in measured:
            report(f"{one.name} is left out: at the good end {explain_absence(before.series.get(one.name, {}))}")
    if not measured:
        raise NotMeasured("no series could be measured at the good end.")

    def find_failure(tree: SourceTree) -> str:
        return _find_first_failure(measured, before, run_probe(measured, tree, base), ulps)

    return find_failure


def _find_first_failure(series: list[Series], before: ProbeResults, after: ProbeResults, ulps: dict[str, float]) -> str:
    is_alike = before.fingerprint == after.fingerprint
    results = [
        compare_answers(one.name, before.series.get(one.name), after.series.get(one.name), is_alike, ulps)
        for one in series
    ]
    for result in results:
        if result.verdict in (*FAILING["exact"], "missing"):
            return f"{result.series} {result.verdict}: {result.cause}"
    for result in results:
        if result.verdict == "unmeasured":
            raise NotMeasured(f"{result.series}: {result.cause}")
    return ""


def _compare_times(series: list[Series], base: SourceTree) -> FindFailure:
    from gdbench.gate.timing.blocks import MeasurementError
    from gdbench.gate.timing.scheduler import compare_times
    from gdbench.gate.timing_findings import make_time_verdicts

    def find_failure(tree: SourceTree) -> str:
        try:
            report = compare_times([replace(one, policy="gate") for one in series], base, tree)
        except MeasurementError as reason:
            raise NotMeasured(f"nothing could be timed: {reason}") from None
        verdicts = make_time_verdicts(report, {})
        for verdict in verdicts:
            if verdict.verdict in FAILING["time"]:
                return f"{verdict.series} {verdict.verdict}: {verdict.cause}"
        for verdict in verdicts:
            if verdict.verdict in (*ABSENT, *OPEN):
                raise NotMeasured(f"{verdict.series} is {verdict.verdict}: {verdict.cause}")
        return ""

    return find_failure
