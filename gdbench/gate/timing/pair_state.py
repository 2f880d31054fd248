"""Pairs on their way to a verdict, and the questions they are made of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gdbench.gate.series import Series
from gdbench.gate.timing.abba_blocks import Sample
from gdbench.gate.timing.errors import Entangled
from gdbench.gate.timing.sequential_test import Evidence
from gdbench.gate.timing.sessions import Arm, Lab, Pair

__all__ = ["AGAIN", "BASE", "HEAD", "Questions", "Track", "evidence", "questions"]

BASE, HEAD, AGAIN = "base", "head", "again"
"""Trees by label; ``again`` is head once more, for what is measured head against head."""


@dataclass
class Track:
    """A pair, and the replicates it has got so far."""

    name: str
    pair: Pair
    series: Series
    samples: dict[int, Sample] = field(default_factory=dict)
    """By the round they were taken in."""
    confirming: dict[int, Sample] = field(default_factory=dict)
    failed: str | None = None
    """Why it has no more of them."""

    @property
    def evidence(self) -> Evidence:
        """Its replicates."""
        return evidence(self.samples.values())

    @property
    def spent_s(self) -> float:
        """What its replicates took, confirmation apart."""
        return sum(sample.seconds for sample in self.samples.values())

    @property
    def exhausted(self) -> bool:
        """Whether its budget has been used up."""
        return self.spent_s >= self.series.budget_s


def evidence(samples: Iterable[Sample]) -> Evidence:
    """Samples as arrays."""
    both = np.array([(sample.cpu, sample.wall) for sample in samples]).reshape(-1, 2)
    return Evidence(both[:, 0], both[:, 1])


@dataclass(frozen=True)
class Questions:
    """Every series as each side composes it."""

    posed: Mapping[str, Mapping[str, Any]]
    """By tree and series: plain containers, or a reason in words."""
    mode: str
    """How the sides are to be measured, in words."""
    fingerprint: Mapping[str, Any]
    """What times depend on beside the code."""

    def lacking(self, name: str) -> str | None:
        """Why a series cannot be measured, if it cannot."""
        for label in (HEAD, BASE):
            if isinstance(self.posed[label][name], str):
                return f"{label}: {self.posed[label][name]}"
        return None

    def arm(self, tree: str, name: str) -> Arm:
        """A series in the hands of a tree."""
        return {"tree": tree, "posed": self.posed[BASE if tree == BASE else HEAD][name]}

    def track(self, series: Series, base: str = BASE, head: str = HEAD) -> Track:
        """A series in the hands of two trees."""
        return Track(series.name, Pair(self.arm(base, series.name), self.arm(head, series.name)), series)


def questions(lab: Lab, series: Sequence[Series]) -> Questions:
    """Have both sides compose every question; sides that turn out unable to share a process are put apart."""
    why = "the sides have interpreters of their own"
    if not lab.apart:
        try:
            posed, changed, versions = _ask(lab, series)
        except Entangled as error:
            changed = str(error)
        if changed is None:
            return Questions(posed, "twin", versions)
        why, lab.apart = changed, True
        lab.end()
    posed, _, versions = _ask(lab, series)
    return Questions(posed, f"apart: {why}", versions)


def _ask(lab: Lab, series: Sequence[Series]) -> tuple[dict[str, Mapping[str, Any]], str | None, Mapping[str, Any]]:
    """What both sides compose, what of torch that changed, and the fingerprint."""
    bench = lab.round(0)
    told = {label: bench.pose(label, lab.asked(series, label)) for label in (BASE, HEAD)}
    changed = next((each["changed"] for each in told.values() if each["changed"]), None)
    return {label: each["posed"] for label, each in told.items()}, changed, bench.versions[0]
