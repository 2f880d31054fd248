"""Which commit between two did it: the gate's own comparison, halving what is left."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from gdbench.gate.asking import Answers, ask
from gdbench.gate.comparison import Asked, suite_of
from gdbench.gate.exact import compared
from gdbench.gate.rulings import FAILING
from gdbench.gate.series import Series, Side
from gdbench.gate.trees import commits_between, repository, worktree
from gdbench.git import read_git
from gdbench.schema import UsageError

__all__ = ["Culprit", "bisected", "halved"]

Fails = Callable[[Side], str]
"""Why a commit fails, or nothing where it does not."""


@dataclass(frozen=True)
class Culprit:
    """The first commit that fails."""

    commit: str
    subject: str
    why: str
    tried: int
    """How many commits were tried."""


def bisected(asked: Asked, good: str, bad: str, layer: str, told: Callable[[str], None]) -> Culprit:
    """The first commit after ``good``, up to ``bad``, at which one of the series that were asked for fails.

    As ever in bisection, commits are taken to be good up to one of them and bad from there on.
    """
    top = repository(Path.cwd())
    commits = commits_between(top, good, bad)
    series = suite_of(asked).running
    with worktree(top, read_git(top, "rev-parse", f"{good}^{{commit}}")) as base:
        fails = _exact(asked, series, base) if layer == "exact" else _time(series, base)
        return halved(top, commits, fails, told)


def halved(top: Path, commits: list[str], fails: Fails, told: Callable[[str], None]) -> Culprit:
    """The first of these commits that fails, if the last one does."""
    reasons: dict[int, str] = {}

    def tried(number: int) -> str:
        with worktree(top, commits[number]) as side:
            reasons[number] = fails(side)
        told(f"{commits[number][:7]}  {reasons[number] or 'passes'}")
        return reasons[number]

    low, high = -1, len(commits) - 1
    if not tried(high):
        raise UsageError(f"{commits[-1][:7]} passes when compared with the good end: there is nothing to find.")
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if tried(middle) else (middle, high)
    subject = read_git(top, "show", "--no-patch", "--format=%s", commits[high])
    return Culprit(commits[high], subject, reasons[high], len(reasons))


def _exact(asked: Asked, series: list[Series], base: Side) -> Fails:
    before = ask(series, base)
    ulps = suite_of(asked).ulps

    def fails(side: Side) -> str:
        return _first_failure(series, before, ask(series, side, base), dict(ulps))

    return fails


def _first_failure(series: list[Series], before: Answers, after: Answers, ulps: dict[str, float]) -> str:
    alike = before.fingerprint == after.fingerprint
    for each in series:
        finding = compared(each.name, before.series.get(each.name), after.series.get(each.name), alike, ulps)
        if finding.verdict in (*FAILING["exact"], "missing"):
            return f"{each.name} {finding.verdict}: {finding.cause}"
    return ""


def _time(series: list[Series], base: Side) -> Fails:
    from gdbench.gate.times import time_rulings
    from gdbench.gate.timing.compare import compare

    def fails(side: Side) -> str:
        rulings = time_rulings(compare([replace(each, policy="gate") for each in series], base, side), {})
        slow = next((each for each in rulings if each.verdict in FAILING["time"]), None)
        return f"{slow.series} {slow.verdict}: {slow.cause}" if slow else ""

    return fails
