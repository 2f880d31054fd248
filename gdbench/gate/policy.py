"""The gate's policy: which verdicts fail, which are forgiven by waivers and acceptances, and the exit code."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from gdbench.gate.acceptance import Acceptance
from gdbench.gate.exact_measures import ABSENT, ExactResult
from gdbench.gate.series import Series
from gdbench.gate.suite import Waiver

__all__ = [
    "FAILED",
    "FAILING",
    "INCONCLUSIVE",
    "OPEN",
    "PASSED",
    "UNMEASURED",
    "Policy",
    "Verdict",
    "apply_policy",
    "choose_exit_code",
    "make_exact_verdict",
]

PASSED, FAILED, INCONCLUSIVE, UNMEASURED = 0, 1, 3, 4
"""Exit codes; 2 is a usage error."""

FAILING = {"exact": ("worse", "changed"), "time": ("slower",)}
OPEN = ("undecided", "contaminated")


@dataclass(frozen=True)
class Verdict:
    """The verdict of a layer on a series, and whether it fails the gate."""

    layer: str
    series: str
    verdict: str
    cause: str = ""
    fails: bool = False
    forgiven: str = ""
    """Why a failing verdict does not fail the gate."""
    first_difference: int | None = None
    numbers: Mapping[str, Any] = field(default_factory=dict)
    """Measures of the head, or the ratio and its interval."""
    base: Mapping[str, Any] = field(default_factory=dict)
    """Measures of the base."""


@dataclass(frozen=True)
class Policy:
    """Everything that may forgive a verdict."""

    waivers: Sequence[Waiver] = ()
    acceptances: Sequence[Acceptance] = ()
    """Those of the head that the base does not have."""
    fingerprint: str = ""
    against: str = ""
    """Digest of the baseline that is compared with; empty for a revision."""
    today: datetime.date = field(default_factory=datetime.date.today)
    time: str = "gate"
    """``advise``: no verdict on time fails."""

    def explain_forgiven(self, verdict: Verdict, policy: str) -> str:
        """Why a failing verdict does not fail the gate; empty if it does."""
        is_advice = policy == "advise" or (verdict.layer == "time" and self.time == "advise")
        if is_advice and verdict.verdict not in ABSENT:
            return "advice only"
        for waiver in self.waivers:
            if waiver.covers(verdict.series, verdict.layer) and self.today <= waiver.until:
                return f"waived until {waiver.until}: {waiver.reason}"
        if verdict.layer == "exact":
            finding = {"verdict": verdict.verdict, "base": verdict.base, "numbers": verdict.numbers}
            for acceptance in self.acceptances:
                if acceptance.covers(verdict.series, finding, self.fingerprint, self.against):
                    return f"accepted: {acceptance.reason}"
        return ""

    def find_expired(self, series: Iterable[str]) -> list[Waiver]:
        """Waivers past their last day that cover one of these series."""
        names = list(series)
        return [
            waiver
            for waiver in self.waivers
            if self.today > waiver.until and any(waiver.covers(name, layer) for name in names for layer in FAILING)
        ]


def apply_policy(verdicts: Iterable[Verdict], series: Sequence[Series], policy: Policy) -> list[Verdict]:
    """The verdicts with ``fails`` and ``forgiven`` set."""
    policies = {one.name: one.policy for one in series}
    decided = []
    for verdict in verdicts:
        is_failing = verdict.verdict in FAILING[verdict.layer]
        may_be_forgiven = is_failing or verdict.verdict in (*ABSENT, *OPEN)
        forgiven = policy.explain_forgiven(verdict, policies.get(verdict.series, "gate")) if may_be_forgiven else ""
        decided.append(replace(verdict, fails=is_failing and not forgiven, forgiven=forgiven))
    return decided


def make_exact_verdict(result: ExactResult) -> Verdict:
    """A verdict of the exact layer, before the policy is applied."""
    return Verdict(
        "exact",
        result.series,
        result.verdict,
        result.cause,
        first_difference=result.first_difference,
        numbers=result.measures,
        base=result.base_measures,
    )


def choose_exit_code(verdicts: Sequence[Verdict], inconclusive: str, is_contaminated: bool = False) -> int:
    """The exit code: a regression comes before what was not measured, and that before what is inconclusive."""
    if any(verdict.fails for verdict in verdicts):
        return FAILED
    unforgiven = {verdict.verdict for verdict in verdicts if not verdict.forgiven}
    if not verdicts or unforgiven & set(ABSENT):
        return UNMEASURED
    is_open = is_contaminated or bool(unforgiven & set(OPEN))
    return INCONCLUSIVE if is_open and inconclusive == "fail" else PASSED
