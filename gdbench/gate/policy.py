"""From what the layers found to what fails: policies, waivers, acceptances, and the exit code."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from gdbench.gate.acceptance import Acceptance
from gdbench.gate.exact_measures import ABSENT, Finding
from gdbench.gate.series import Series
from gdbench.gate.suite import Waiver

__all__ = [
    "FAILED",
    "FAILING",
    "INCONCLUSIVE",
    "OPEN",
    "PASSED",
    "UNMEASURED",
    "Ruling",
    "Terms",
    "exact_ruling",
    "exit_code",
    "ruled",
]

PASSED, FAILED, INCONCLUSIVE, UNMEASURED = 0, 1, 3, 4
"""Exit codes; 2 is a mistake in the command."""

FAILING = {"exact": ("worse", "changed"), "time": ("slower",)}
OPEN = ("undecided", "contaminated")


@dataclass(frozen=True)
class Ruling:
    """What a layer found of a series, and what that means for the gate."""

    layer: str
    series: str
    verdict: str
    cause: str = ""
    fails: bool = False
    forgiven: str = ""
    """Why it does not fail although it is a failing verdict."""
    first_difference: int | None = None
    numbers: Mapping[str, Any] = field(default_factory=dict)
    """Measures of the head, or the ratio and its interval."""
    base: Mapping[str, Any] = field(default_factory=dict)
    """Measures of the base."""


@dataclass(frozen=True)
class Terms:
    """All that may forgive a finding."""

    waivers: Sequence[Waiver] = ()
    accepted: Sequence[Acceptance] = ()
    """What the head has accepted and the base has not."""
    fingerprint: str = ""
    against: str = ""
    """The baseline that is compared with, by its digest; empty for a revision."""
    today: datetime.date = field(default_factory=datetime.date.today)
    time: str = "gate"
    """``advise``: nothing about time fails."""

    def forgiven(self, ruling: Ruling, policy: str) -> str:
        """Why a failing verdict does not fail; empty where it does."""
        advised = policy == "advise" or (ruling.layer == "time" and self.time == "advise")
        if advised and ruling.verdict not in ABSENT:
            return "advice only"
        for waiver in self.waivers:
            if waiver.covers(ruling.series, ruling.layer) and self.today <= waiver.until:
                return f"waived until {waiver.until}: {waiver.reason}"
        if ruling.layer == "exact":
            finding = {"verdict": ruling.verdict, "base": ruling.base, "numbers": ruling.numbers}
            for acceptance in self.accepted:
                if acceptance.covers(ruling.series, finding, self.fingerprint, self.against):
                    return f"accepted: {acceptance.reason}"
        return ""

    def lapsed(self, series: Iterable[str]) -> list[Waiver]:
        """Waivers whose day has gone, and that speak of one of these series."""
        names = list(series)
        return [
            waiver
            for waiver in self.waivers
            if self.today > waiver.until and any(waiver.covers(name, layer) for name in names for layer in FAILING)
        ]


def ruled(rulings: Iterable[Ruling], series: Sequence[Series], terms: Terms) -> list[Ruling]:
    """The rulings with what fails, and what is forgiven."""
    policies = {each.name: each.policy for each in series}
    told = []
    for each in rulings:
        failing = each.verdict in FAILING[each.layer]
        grave = failing or each.verdict in (*ABSENT, *OPEN)
        forgiven = terms.forgiven(each, policies.get(each.series, "gate")) if grave else ""
        told.append(replace(each, fails=failing and not forgiven, forgiven=forgiven))
    return told


def exact_ruling(finding: Finding) -> Ruling:
    """A finding of the exact layer, not yet judged."""
    return Ruling(
        "exact",
        finding.series,
        finding.verdict,
        finding.cause,
        first_difference=finding.first_difference,
        numbers=finding.measures,
        base=finding.before,
    )


def exit_code(rulings: Sequence[Ruling], inconclusive: str, contaminated: bool = False) -> int:
    """What a shell is told: a regression counts more than what is missing, and that more than what is open."""
    if any(each.fails for each in rulings):
        return FAILED
    left = {each.verdict for each in rulings if not each.forgiven}
    if not rulings or left & set(ABSENT):
        return UNMEASURED
    is_open = contaminated or bool(left & set(OPEN))
    return INCONCLUSIVE if is_open and inconclusive == "fail" else PASSED
