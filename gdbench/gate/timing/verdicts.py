"""Verdicts of the time layer on series, groups of series, controls and the run, from the replicates of their pairs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gdbench.gate.timing.sequential_test import (
    NO_SLOWER,
    SLOWER,
    UNDECIDED,
    LogRatios,
    LookResult,
    adjust_holm,
    alpha_scale,
    compute_p_slower,
    evaluate_look,
    find_detectable_slowdown,
)
from gdbench.gate.timing.sessions import PairState, stack_log_ratios
from gdbench.gate.timing.settings import TimingSettings

__all__ = [
    "GroupTiming",
    "SeriesTiming",
    "TimeReport",
    "VerdictRules",
    "build_timing",
    "has_recurred",
]

CONTAMINATED = "contaminated"
GROUP_KEYS = ("optimizer", "impl", "dtype")
MIN_GROUP = 3
"""Members; the mean of fewer shows little more than each of them."""


@dataclass(frozen=True, kw_only=True)
class TimingResult:
    """A verdict and the numbers behind it; ratios are head / base."""

    verdict: str
    """slower, no slower, faster, undecided or contaminated."""
    ratio: float
    lower: float
    """The confidence limits of the verdict: lower at the look's alpha, upper at beta."""
    upper: float
    replicates: int
    sd: float
    """Standard deviation of the replicates' log ratios."""
    p: float
    """One-sided, of a slowdown of no more than d0; valid whenever the series stopped."""
    p_holm: float
    """The same, adjusted for all that was tested in the run."""
    confirmed: bool | None
    """Whether a slowdown recurred in fresh processes with swapped roles; None if there was none to confirm."""


@dataclass(frozen=True, kw_only=True)
class SeriesTiming(TimingResult):
    """The timing of a series, of a control or of a null series."""

    name: str
    policy: str
    wall_ratio: float
    base_s: float
    """Median seconds per step by the thread's CPU clock."""
    head_s: float
    detectable_slowdown: float
    """The smallest slowdown detected with power 0.95 by all looks at this noise: a fraction."""
    seconds: float
    why: str = ""


@dataclass(frozen=True, kw_only=True)
class GroupTiming(TimingResult):
    """The timing of the mean over all series of one optimizer, implementation or dtype."""

    by: str
    value: str
    members: tuple[str, ...]


@dataclass(frozen=True)
class TimeReport:
    """Result of the time layer."""

    series: tuple[SeriesTiming, ...]
    groups: tuple[GroupTiming, ...]
    nulls: tuple[SeriesTiming, ...]
    """Head against head."""
    controls: tuple[SeriesTiming, ...]
    contaminated: str | None
    """Why no series can be judged, in one line."""
    unmeasured: Mapping[str, str]
    """Series without a verdict, and why."""
    mode: str
    """``one process`` for both trees, or ``two processes: ...`` and why."""
    fingerprint: Mapping[str, Any]
    """Processor, torch and Python, by which a calibration is saved."""
    counters: tuple[Mapping[str, float | None], ...]
    """The host's counters, round by round."""
    seconds: float


@dataclass(frozen=True)
class _SeriesGroup:
    """Series that have a setting in common."""

    by: str
    value: str
    pairs: tuple[PairState, ...]

    def average(self, is_confirmation: bool = False) -> LogRatios:
        """Mean log ratios over the rounds that all members were in: effects common to a process do not average out."""
        valid = [pair for pair in self.pairs if not pair.failure]
        if len(valid) < MIN_GROUP:
            return stack_log_ratios(())
        replicates = [pair.confirmations if is_confirmation else pair.replicates for pair in valid]
        common = sorted(set.intersection(*map(set, replicates)))
        members = [stack_log_ratios(by_round[number] for number in common) for by_round in replicates]
        return LogRatios(np.mean([one.cpu for one in members], 0), np.mean([one.wall for one in members], 0))


class VerdictRules:
    """The rules of the verdicts, applied to all pairs of a run."""

    def __init__(self, pairs: Sequence[PairState], settings: TimingSettings, detectable: Mapping[str, float]) -> None:
        """``detectable``: by series, the smallest slowdown that a calibration on this machine detected."""
        self.pairs, self.settings, self.detectable = pairs, settings, detectable
        self.groups = _group_by_settings(pairs)
        self.scale = alpha_scale(len(pairs) + len(self.groups), settings)

    def evaluate(self, pair: PairState) -> str:
        """The verdict at a look."""
        return self._evaluate_look(pair).verdict

    def is_decided(self, pair: PairState) -> bool:
        """Whether a look decides a pair."""
        return self.evaluate(pair) != UNDECIDED

    def adjust_p(self) -> tuple[dict[str, float], list[float]]:
        """Holm's p-values of the pairs, by name, and of the groups: one family."""
        measured = [pair for pair in self.pairs if pair.log_ratios.count > 1]
        p = [self._compute_p(pair.log_ratios, [pair]) for pair in measured]
        p += [self._compute_p(group.average(), group.pairs) for group in self._list_measured_groups()]
        adjusted = adjust_holm(p)
        by_name = {pair.name: p_holm for pair, p_holm in zip(measured, adjusted, strict=False)}
        return by_name, adjusted[len(measured) :]

    def find_slower(self) -> list[PairState]:
        """The pairs to confirm: those that are slower, and the members of groups that are."""
        by_name, of_groups = self.adjust_p()
        slower = [
            pair for pair in self.pairs if pair.name in by_name and self._judge(pair, by_name[pair.name]) == SLOWER
        ]
        groups = zip(self._list_measured_groups(), of_groups, strict=True)
        members = [pair for group, p in groups if p <= self.settings.family_alpha for pair in group.pairs]
        return [*slower, *(pair for pair in self.pairs if pair in members and pair not in slower)]

    def time_series(self, is_contaminated: bool) -> tuple[SeriesTiming, ...]:
        """The timings of all series that have replicates."""
        by_name, _ = self.adjust_p()
        return tuple(
            self._time_pair(pair, by_name[pair.name], is_contaminated) for pair in self.pairs if pair.name in by_name
        )

    def time_groups(self, is_contaminated: bool) -> tuple[GroupTiming, ...]:
        """The timings of all groups."""
        groups, (_, adjusted) = self._list_measured_groups(), self.adjust_p()
        return tuple(
            self._time_group(group, p_holm, is_contaminated) for group, p_holm in zip(groups, adjusted, strict=True)
        )

    def _list_measured_groups(self) -> list[_SeriesGroup]:
        return [group for group in self.groups if group.average().count >= self.settings.looks[0]]

    def _compute_p(self, ratios: LogRatios, pairs: Sequence[PairState]) -> float:
        d0, d1 = (min(getattr(pair.series, name) for pair in pairs) for name in ("d0", "d1"))
        return float(compute_p_slower(ratios, d0, d1, self.settings))

    def _evaluate_look(self, pair: PairState) -> LookResult:
        return evaluate_look(pair.log_ratios, pair.series.d0, pair.series.d1, self.settings, self.scale)

    def _judge(self, pair: PairState, p_holm: float) -> str:
        """The verdict before confirmation; after the last look Holm may find more than each look did alone."""
        result = self._evaluate_look(pair)
        return SLOWER if p_holm <= self.settings.family_alpha and not result.passes else result.verdict

    def _time_pair(self, pair: PairState, p_holm: float, is_contaminated: bool) -> SeriesTiming:
        verdict, why = self._judge(pair, p_holm), ""
        confirmed = None
        if verdict == SLOWER:
            confirmed = has_recurred(stack_log_ratios(pair.confirmations.values()), self.settings)
        detectable = self.detectable.get(pair.name, 0.0)
        if is_contaminated:
            verdict = CONTAMINATED
        elif verdict == SLOWER and not confirmed:
            verdict, why = UNDECIDED, "it was slower, which did not recur in fresh processes"
        elif detectable > pair.series.d1:
            verdict, why = UNDECIDED, f"this machine detects slowdowns only from {detectable:.1%} (gate calibrate)"
        elif verdict == UNDECIDED and pair.is_exhausted:
            why = f"its budget of {pair.series.budget_s:g} s was used up"
        elif verdict == SLOWER and _is_by_wall_only(pair, self.settings):
            why = "it waits: wall time grew by more than the CPU time of its thread"
        return build_timing(pair, verdict, self.settings, p_holm=p_holm, confirmed=confirmed, scale=self.scale, why=why)

    def _time_group(self, group: _SeriesGroup, p_holm: float, is_contaminated: bool) -> GroupTiming:
        ratios = group.average()
        d1 = min(pair.series.d1 for pair in group.pairs)
        passes = bool(ratios.upper(self.settings.beta) < math.log1p(d1))
        verdict = SLOWER if p_holm <= self.settings.family_alpha else NO_SLOWER if passes else UNDECIDED
        confirmed = has_recurred(group.average(is_confirmation=True), self.settings) if verdict == SLOWER else None
        if confirmed is False:
            verdict = UNDECIDED
        return GroupTiming(
            by=group.by,
            value=group.value,
            members=tuple(pair.name for pair in group.pairs),
            verdict=CONTAMINATED if is_contaminated else verdict,
            p=self._compute_p(ratios, group.pairs),
            p_holm=p_holm,
            confirmed=confirmed,
            **_summarise(ratios, self.settings, self.scale),
        )


def build_timing(
    pair: PairState,
    verdict: str,
    settings: TimingSettings,
    *,
    p_holm: float,
    confirmed: bool | None = None,
    scale: float = 1.0,
    why: str = "",
) -> SeriesTiming:
    """The numbers of a pair together with its verdict."""
    ratios, series, replicates = pair.log_ratios, pair.series, list(pair.replicates.values())
    return SeriesTiming(
        name=pair.name,
        policy=series.policy,
        verdict=verdict,
        p=float(compute_p_slower(ratios, series.d0, series.d1, settings)),
        p_holm=p_holm,
        confirmed=confirmed,
        wall_ratio=math.exp(ratios.by_wall.mean),
        base_s=float(np.median([replicate.base_s for replicate in replicates])),
        head_s=float(np.median([replicate.head_s for replicate in replicates])),
        detectable_slowdown=find_detectable_slowdown(float(ratios.sd), series.d0, series.d1, settings, scale),
        seconds=pair.spent_s,
        why=why,
        **_summarise(ratios, settings, scale),
    )


def _summarise(ratios: LogRatios, settings: TimingSettings, scale: float) -> dict[str, Any]:
    """The ratio, its limits, and the replicates behind it."""
    return {
        "ratio": math.exp(ratios.mean),
        "lower": math.exp(ratios.lower(settings.get_alpha(ratios.count) * scale)),
        "upper": math.exp(ratios.upper(settings.beta)),
        "replicates": ratios.count,
        "sd": float(ratios.sd),
    }


def _group_by_settings(pairs: Sequence[PairState]) -> list[_SeriesGroup]:
    """All groups that are not too small, and do not repeat the members of an earlier one."""
    groups: list[_SeriesGroup] = []
    for key in GROUP_KEYS:
        values = {str(value): None for pair in pairs if (value := pair.series.get_setting(key)) is not None}
        for value in values:
            members = tuple(pair for pair in pairs if str(pair.series.get_setting(key)) == value)
            if len(members) >= MIN_GROUP and all(members != group.pairs for group in groups):
                groups.append(_SeriesGroup(key, value, members))
    return groups


def has_recurred(ratios: LogRatios, settings: TimingSettings) -> bool:
    """Whether the fresh replicates show a slowdown of any size, by one of the clocks."""
    if ratios.count < 2:
        return False
    return bool(ratios.lower(settings.beta) > 0 or ratios.by_wall.lower(settings.beta) > 0)


def _is_by_wall_only(pair: PairState, settings: TimingSettings) -> bool:
    """Whether only wall time shows the slowdown."""
    ratios = pair.log_ratios
    return not ratios.lower(settings.get_alpha(ratios.count)) > math.log1p(pair.series.d0)
