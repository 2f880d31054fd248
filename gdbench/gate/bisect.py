"""Which commit between two did it: the gate's own comparison, halving what is left."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from gdbench.engine.git import read_git
from gdbench.errors import NotMeasured, UsageError
from gdbench.gate.exact_measures import ABSENT, compared, has_run, why_not
from gdbench.gate.git_worktree import commits_between, repository, worktree
from gdbench.gate.policy import FAILING, OPEN
from gdbench.gate.probe_client import Answers, ask
from gdbench.gate.series import Series, Side
from gdbench.gate.sides import Asked, suite_of

__all__ = ["Culprit", "bisected", "halved"]

Fails = Callable[[Side], str]
"""Why a commit fails, or nothing where it does not. Raises NotMeasured where that cannot be told."""


@dataclass(frozen=True)
class Culprit:
    """The first commit that fails."""

    commit: str
    subject: str
    why: str
    tried: int
    """How many commits were tried."""
    unmeasured: tuple[str, ...] = ()
    """Commits just before it of which nothing could be told: it may be one of them."""


def bisected(asked: Asked, good: str, bad: str, layer: str, told: Callable[[str], None]) -> Culprit:
    """The first commit after ``good``, up to ``bad``, at which one of the series that were asked for fails.

    As ever in bisection, commits are taken to be good up to one of them and bad from there on.
    """
    top = repository(Path.cwd())
    commits = commits_between(top, good, bad)
    series = suite_of(asked).running
    with worktree(top, read_git(top, "rev-parse", f"{good}^{{commit}}")) as base:
        fails = _exact(asked, series, base, told) if layer == "exact" else _time(series, base)
        return halved(top, commits, fails, told)


def halved(top: Path, commits: list[str], fails: Fails, told: Callable[[str], None]) -> Culprit:
    """The first of these commits that fails, if the last one does; those that cannot be measured are passed over."""
    reasons: dict[int, str] = {}
    unmeasured: dict[int, str] = {}

    def tried(number: int) -> None:
        try:
            with worktree(top, commits[number]) as side:
                reasons[number] = fails(side)
            told(f"{commits[number][:7]}  {reasons[number] or 'passes'}")
        except NotMeasured as reason:
            unmeasured[number] = str(reason)
            told(f"{commits[number][:7]}  cannot be measured: {reason}")

    low, high = -1, len(commits) - 1
    tried(high)
    if high in unmeasured:
        raise NotMeasured(f"{commits[-1][:7]} cannot be measured: {unmeasured[high]}")
    if not reasons[high]:
        raise UsageError(f"{commits[-1][:7]} passes when compared with the good end: there is nothing to find.")
    while open_ := [number for number in range(low + 1, high) if number not in unmeasured]:
        middle = min(open_, key=lambda number: abs(number - (low + high) // 2))
        tried(middle)
        if middle in reasons:
            low, high = (low, middle) if reasons[middle] else (middle, high)
    subject = read_git(top, "show", "--no-patch", "--format=%s", commits[high])
    return Culprit(
        commits[high], subject, reasons[high], len(reasons) + len(unmeasured), tuple(commits[low + 1 : high])
    )


def _exact(asked: Asked, series: list[Series], base: Side, told: Callable[[str], None]) -> Fails:
    before = ask(series, base)
    ulps = dict(suite_of(asked).ulps)
    known = [one for one in series if has_run(before.series.get(one.name, {}))]
    for one in series:
        if one not in known:
            told(f"{one.name} is left out: at the good end {why_not(before.series.get(one.name, {}))}")
    if not known:
        raise NotMeasured("no series could be measured at the good end.")

    def fails(side: Side) -> str:
        return _first_failure(known, before, ask(known, side, base), ulps)

    return fails


def _first_failure(series: list[Series], before: Answers, after: Answers, ulps: dict[str, float]) -> str:
    alike = before.fingerprint == after.fingerprint
    findings = [compared(s.name, before.series.get(s.name), after.series.get(s.name), alike, ulps) for s in series]
    for finding in findings:
        if finding.verdict in (*FAILING["exact"], "missing"):
            return f"{finding.series} {finding.verdict}: {finding.cause}"
    for finding in findings:
        if finding.verdict == "unmeasured":
            raise NotMeasured(f"{finding.series}: {finding.cause}")
    return ""


def _time(series: list[Series], base: Side) -> Fails:
    from gdbench.gate.timing.compare import compare
    from gdbench.gate.timing.errors import Failed
    from gdbench.gate.timing_findings import time_rulings

    def fails(side: Side) -> str:
        try:
            report = compare([replace(one, policy="gate") for one in series], base, side)
        except Failed as reason:
            raise NotMeasured(f"nothing could be timed: {reason}") from None
        rulings = time_rulings(report, {})
        for ruling in rulings:
            if ruling.verdict in FAILING["time"]:
                return f"{ruling.series} {ruling.verdict}: {ruling.cause}"
        for ruling in rulings:
            if ruling.verdict in (*ABSENT, *OPEN):
                raise NotMeasured(f"{ruling.series} is {ruling.verdict}: {ruling.cause}")
        return ""

    return fails
