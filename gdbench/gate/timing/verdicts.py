"""What the time layer found: verdicts of series, groups, controls and the run, from the replicates of their tracks."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gdbench.gate.timing.pair_state import Track, evidence
from gdbench.gate.timing.sequential_test import (
    SLOWER,
    UNDECIDED,
    Evidence,
    found_from,
    holm,
    judge,
    p_slower,
    strictness,
)
from gdbench.gate.timing.settings import Settings

__all__ = ["Group", "Measured", "Ruling", "TimeReport", "contamination", "recurred", "row"]

CONTAMINATED = "contaminated"
GROUPED_BY = ("optimizer", "impl", "dtype")
LEAST_GROUP = 3
"""Members; the mean of fewer shows little that they do not show themselves."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """A verdict and the replicates' numbers behind it; ratios are head / base."""

    verdict: str
    """slower, no slower, faster, undecided or contaminated."""
    ratio: float
    lower: float
    """The limits that the verdict was taken by: lower at the look's alpha, upper at beta."""
    upper: float
    replicates: int
    s: float
    """Standard deviation of the replicates' log ratios."""
    p: float
    """One-sided, of a slowdown of no more than d0; valid whenever the series stopped."""
    p_holm: float
    """The same, adjusted for all that was tested beside it."""
    confirmed: bool | None
    """Whether a slowdown recurred in fresh processes with swapped roles; None where there was none to confirm."""


@dataclass(frozen=True, kw_only=True)
class Measured(Found):
    """What was found of a series, of a control or of a null series."""

    name: str
    policy: str
    wall_ratio: float
    base_s: float
    """Median seconds a step on the thread's own clock."""
    head_s: float
    found_from: float
    """The smallest slowdown that the most replicates, this noisy, find with power 0.95: a fraction."""
    seconds: float
    why: str = ""


@dataclass(frozen=True, kw_only=True)
class Group(Found):
    """What was found of the mean over all series of one optimizer, implementation or dtype."""

    by: str
    value: str
    members: tuple[str, ...]


@dataclass(frozen=True)
class TimeReport:
    """All that the time layer has to tell."""

    series: tuple[Measured, ...]
    groups: tuple[Group, ...]
    nulls: tuple[Measured, ...]
    """Head against head."""
    controls: tuple[Measured, ...]
    contaminated: str | None
    """Why nothing can be said of any series, in one line."""
    unmeasured: Mapping[str, str]
    """Series without a verdict, and why."""
    mode: str
    """``twin``: both trees in one process; ``apart: ...``: one each, and why."""
    fingerprint: Mapping[str, Any]
    """Processor, torch and Python, which a self-test is kept by."""
    facts: tuple[Mapping[str, float | None], ...]
    """What the machine did, round by round."""
    seconds: float


@dataclass(frozen=True)
class _Gathered:
    """Series with something in common."""

    by: str
    value: str
    tracks: tuple[Track, ...]

    def evidence(self, confirming: bool = False) -> Evidence:
        """Their mean, over the rounds that all of them were in: what a process does to all alike does not average."""
        there = [track for track in self.tracks if not track.failed]
        if len(there) < LEAST_GROUP:
            return evidence(())
        kept = [track.confirming if confirming else track.samples for track in there]
        common = sorted(set.intersection(*(set(samples) for samples in kept)))
        members = [evidence(samples[number] for number in common) for samples in kept]
        return Evidence(np.mean([each.cpu for each in members], 0), np.mean([each.wall for each in members], 0))


class Ruling:
    """The rule, applied to all tracks of a run."""

    def __init__(self, tracks: Sequence[Track], settings: Settings, known: Mapping[str, float]) -> None:
        """``known`` is what a self-test found on this machine: the smallest slowdown found in each series."""
        self.tracks, self.settings, self.known = tracks, settings, known
        self.groups = _groups(tracks)
        self.strict = strictness(len(tracks) + len(self.groups), settings)

    def look(self, track: Track) -> str:
        """The verdict of a look."""
        return judge(track.evidence, track.series.d0, track.series.d1, self.settings, self.strict).verdict

    def decided(self, track: Track) -> bool:
        """Whether a look closes a track."""
        return self.look(track) != UNDECIDED

    def adjusted(self) -> tuple[dict[str, float], list[float]]:
        """Holm's p-values of the tracks, by name, and of the groups: one family."""
        measured = [track for track in self.tracks if track.evidence.count > 1]
        p = [self._p(track.evidence, [track]) for track in measured]
        p += [self._p(group.evidence(), group.tracks) for group in self._told_groups()]
        adjusted = holm(p)
        return {t.name: each for t, each in zip(measured, adjusted, strict=False)}, adjusted[len(measured) :]

    def slower(self) -> list[Track]:
        """What is to be confirmed: tracks found slower, and the members of groups that were."""
        by_name, of_groups = self.adjusted()
        found = [t for t in self.tracks if t.name in by_name and self._verdict(t, by_name[t.name]) == SLOWER]
        told = zip(self._told_groups(), of_groups, strict=True)
        members = [track for group, p in told if p <= self.settings.family for track in group.tracks]
        return [*found, *(track for track in self.tracks if track in members and track not in found)]

    def measured(self, contaminated: bool) -> tuple[Measured, ...]:
        """The rows of all series that have any."""
        by_name, _ = self.adjusted()
        return tuple(self._row(t, by_name[t.name], contaminated) for t in self.tracks if t.name in by_name)

    def grouped(self, contaminated: bool) -> tuple[Group, ...]:
        """The rows of all groups."""
        _, adjusted = self.adjusted()
        return tuple(
            self._group_row(group, p, contaminated) for group, p in zip(self._told_groups(), adjusted, strict=True)
        )

    def _told_groups(self) -> list[_Gathered]:
        return [group for group in self.groups if group.evidence().count >= self.settings.looks[0]]

    def _p(self, known: Evidence, tracks: Sequence[Track]) -> float:
        d0, d1 = (min(getattr(track.series, name) for track in tracks) for name in ("d0", "d1"))
        return float(p_slower(known, d0, d1, self.settings))

    def _verdict(self, track: Track, p_holm: float) -> str:
        """Before confirmation. Past the last look Holm may find more than each look did alone."""
        known, series = track.evidence, track.series
        finding = judge(known, series.d0, series.d1, self.settings, self.strict)
        return SLOWER if p_holm <= self.settings.family and not finding.passes else finding.verdict

    def _row(self, track: Track, p_holm: float, contaminated: bool) -> Measured:
        verdict, why = self._verdict(track, p_holm), ""
        confirmed = recurred(evidence(track.confirming.values()), self.settings) if verdict == SLOWER else None
        found = self.known.get(track.name, 0.0)
        if contaminated:
            verdict = CONTAMINATED
        elif verdict == SLOWER and not confirmed:
            verdict, why = UNDECIDED, "it was slower, which did not recur in fresh processes"
        elif found > track.series.d1:
            verdict, why = UNDECIDED, f"the self-test found slowdowns only from {found:.1%} here"
        elif verdict == UNDECIDED and track.exhausted:
            why = f"its budget of {track.series.budget_s:g} s was used up"
        elif verdict == SLOWER and _waits(track, self.settings):
            why = "it waits: wall time grew by more than the time of its own thread"
        return row(track, verdict, self.settings, p_holm=p_holm, confirmed=confirmed, strict=self.strict, why=why)

    def _group_row(self, group: _Gathered, p_holm: float, contaminated: bool) -> Group:
        known = group.evidence()
        d1 = min(track.series.d1 for track in group.tracks)
        passes = bool(known.upper(self.settings.beta) < math.log1p(d1))
        verdict = SLOWER if p_holm <= self.settings.family else "no slower" if passes else UNDECIDED
        confirmed = recurred(group.evidence(confirming=True), self.settings) if verdict == SLOWER else None
        if confirmed is False:
            verdict = UNDECIDED
        return Group(
            by=group.by,
            value=group.value,
            members=tuple(track.name for track in group.tracks),
            verdict=CONTAMINATED if contaminated else verdict,
            p=self._p(known, group.tracks),
            p_holm=p_holm,
            confirmed=confirmed,
            **_ratio(known, self.settings, self.strict),
        )


def row(
    track: Track,
    verdict: str,
    settings: Settings,
    *,
    p_holm: float,
    confirmed: bool | None = None,
    strict: float = 1.0,
    why: str = "",
) -> Measured:
    """The numbers of a track beside its verdict."""
    known, series, samples = track.evidence, track.series, list(track.samples.values())
    return Measured(
        name=track.name,
        policy=series.policy,
        verdict=verdict,
        p=float(p_slower(known, series.d0, series.d1, settings)),
        p_holm=p_holm,
        confirmed=confirmed,
        wall_ratio=math.exp(known.by_wall.mean),
        base_s=float(np.median([sample.base_s for sample in samples])),
        head_s=float(np.median([sample.head_s for sample in samples])),
        found_from=found_from(float(known.s), series.d0, series.d1, settings, strict),
        seconds=track.spent_s,
        why=why,
        **_ratio(known, settings, strict),
    )


def _ratio(known: Evidence, settings: Settings, strict: float) -> dict[str, Any]:
    """The ratio, its limits, and the replicates behind it."""
    return {
        "ratio": math.exp(known.mean),
        "lower": math.exp(known.lower(settings.spends(known.count) * strict)),
        "upper": math.exp(known.upper(settings.beta)),
        "replicates": known.count,
        "s": float(known.s),
    }


def contamination(nulls: Sequence[Track], controls: Sequence[Track], settings: Settings) -> str | None:
    """The first of what must show no difference and does, beyond the control zone with its whole interval."""
    kinds = {"control": controls, "head against itself,": nulls}
    for words, tracks in kinds.items():
        for track in tracks:
            known = track.evidence
            if known.count < settings.looks[0]:
                continue
            alpha = settings.spends(known.count)
            if known.lower(alpha) > math.log1p(settings.control_zone):
                return f"{words} {track.name} was slower by {math.expm1(known.mean):.1%}"
            if known.upper(alpha) < -math.log1p(settings.control_zone):
                return f"{words} {track.name} was faster by {-math.expm1(known.mean):.1%}"
    return None


def _groups(tracks: Sequence[Track]) -> list[_Gathered]:
    """All groups that are neither too small nor everything that an earlier one holds."""
    found: list[_Gathered] = []
    for key in GROUPED_BY:
        values = {str(track.series.setting(key)): None for track in tracks if track.series.setting(key) is not None}
        for value in values:
            members = tuple(track for track in tracks if str(track.series.setting(key)) == value)
            if len(members) >= LEAST_GROUP and all(members != group.tracks for group in found):
                found.append(_Gathered(key, value, members))
    return found


def recurred(known: Evidence, settings: Settings) -> bool:
    """Whether the fresh replicates show a slowdown of any size, on one of the clocks."""
    if known.count < 2:
        return False
    return bool(known.lower(settings.beta) > 0 or known.by_wall.lower(settings.beta) > 0)


def _waits(track: Track, settings: Settings) -> bool:
    """Whether only the wall's clock shows the slowdown."""
    known = track.evidence
    return not known.lower(settings.spends(known.count)) > math.log1p(track.series.d0)
