"""Calibration of the time layer on this machine: its false-alarm rate, and the slowdowns that it detects.

Head is compared with itself, and with itself slowed down by a known amount. Rounds run for a given number or time; each
pair collects replicates until the test decides, is confirmed if slower, and starts anew: all as in a comparison.
"""

from __future__ import annotations

import math
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from gdbench.gate.series import Series, SourceTree
from gdbench.gate.timing.blocks import MeasurementError, Replicate, SubjectSpec, WorkerDied
from gdbench.gate.timing.calibration_result import CalibrationResult, InjectedSlowdown
from gdbench.gate.timing.scheduler import ProgressCallback
from gdbench.gate.timing.sequential_test import SLOWER, UNDECIDED, alpha_scale, find_detectable_slowdown
from gdbench.gate.timing.sessions import (
    BASE,
    HEAD,
    ComposedSides,
    Pair,
    PairState,
    TimingSession,
    WorkerPool,
    compose_sides,
    stack_log_ratios,
)
from gdbench.gate.timing.settings import TimingSettings
from gdbench.gate.timing.verdicts import VerdictRules, has_recurred

__all__ = ["SIZES", "RepeatedComparison", "calibrate", "choose_injection"]

SIZES = (0.05, 0.10, -0.05)
"""Slowdowns of head that are injected; a negative one slows base down, as if head had become faster."""
PILOT_OPS = (1, 20)
"""Operations added to a step to learn the time of the first, with its fixed cost, and of each further one."""
PILOTS = 3
MAX_SCALED_BLOCK_S = 1e-3
"""Longest block of k (1 + x) steps; where it would be longer, operations are injected instead."""


@dataclass
class RepeatedComparison:
    """One pair, compared again and again."""

    pair: PairState
    requested: float = 0.0
    """The injected slowdown; 0 for none."""
    injected: tuple[SubjectSpec, SubjectSpec] | None = None
    """The subject without and with the injected operations; None without any, or if the size is exact."""
    verdicts: list[str] = field(default_factory=list)
    suspected: int = 0
    ratios: list[float] = field(default_factory=list)
    """The log ratio of every replicate."""
    sizes: list[float] = field(default_factory=list)
    """True sizes of what was injected, ln."""
    is_confirming: bool = False

    def add(self, replicate: Replicate, rules: VerdictRules) -> None:
        """Add a replicate, and the verdict if it decides."""
        settings, pair = rules.settings, self.pair
        self.ratios.append(replicate.cpu)
        replicates = pair.confirmations if self.is_confirming else pair.replicates
        replicates[len(replicates)] = replicate
        if self.is_confirming:
            if len(replicates) == settings.confirmations:
                recurred = has_recurred(stack_log_ratios(replicates.values()), settings)
                self._start_anew(SLOWER if recurred else UNDECIDED)
            return
        is_last = len(replicates) == settings.max_replicates or pair.is_exhausted
        verdict = rules.evaluate(pair) if len(replicates) in settings.looks or is_last else UNDECIDED
        if verdict == SLOWER:
            self.suspected, self.is_confirming = self.suspected + 1, True
        elif verdict != UNDECIDED or is_last:
            self._start_anew(verdict)

    def _start_anew(self, verdict: str) -> None:
        self.verdicts.append(verdict)
        self.pair, self.is_confirming = replace(self.pair, replicates={}, confirmations={}), False


def calibrate(
    series: Sequence[Series],
    head: SourceTree,
    *,
    rounds: int | None = None,
    hours: float | None = None,
    sizes: Sequence[float] = SIZES,
    settings: TimingSettings | None = None,
    progress: ProgressCallback | None = None,
) -> CalibrationResult:
    """Compare ``head`` with itself, and with itself slowed down, for so many rounds or hours (20 rounds if neither).

    Raises MeasurementError if no series can be measured.
    """
    start, settings = time.monotonic(), settings or TimingSettings()
    progress = progress or (lambda words, share: None)
    completed = 0
    with (
        tempfile.TemporaryDirectory(prefix="gdbench-gate-") as cache,
        WorkerPool({BASE: head, HEAD: head}, settings, Path(cache), is_separate=False) as pool,
    ):
        progress("composing", 0.0)
        sides = compose_sides(pool, series)
        comparisons = [
            RepeatedComparison(sides.make_pair(one))
            for one in series
            if one.policy != "off" and not sides.explain_missing(one.name)
        ]
        if not comparisons:
            reasons = filter(None, map(sides.explain_missing, sides.composed[HEAD]))
            raise MeasurementError("no series can be measured: " + "; ".join(reasons))
        rules = VerdictRules([comparison.pair for comparison in comparisons], settings, {})
        for number in _count_rounds(rounds, hours):
            completed = number
            session = pool.open_session(number)
            share = number / rounds if rounds else (time.monotonic() - start) / 3600 / (hours or 1)
            progress(f"round {number}, {sum(len(one.verdicts) for one in comparisons)} comparisons", share)
            if number == 1 and sizes:
                comparisons += _inject_slowdowns(comparisons, sides, session, sizes, settings)
            if not _run_round(session, comparisons, rules, number):
                pool.stop()
        return _summarise(comparisons, sides, rules, completed, time.monotonic() - start)


def _count_rounds(rounds: int | None, hours: float | None) -> Iterator[int]:
    """Numbers of rounds from 1: as many as requested, or until the time is over."""
    end = time.monotonic() + 3600 * (hours or 0)
    number = 0
    most = rounds if rounds is not None else 20 if hours is None else math.inf
    while number < most and (hours is None or time.monotonic() < end):
        number += 1
        yield number


def _inject_slowdowns(
    comparisons: Sequence[RepeatedComparison],
    sides: ComposedSides,
    session: TimingSession,
    sizes: Sequence[float],
    settings: TimingSettings,
) -> list[RepeatedComparison]:
    """The same pairs with an injected slowdown, sized by pilot measurements of the step and of an operation."""
    slowed: list[RepeatedComparison] = []
    for comparison in comparisons:
        name, series = comparison.pair.name, comparison.pair.series
        plain = {label: sides.make_spec(label, name) for label in (BASE, HEAD)}
        try:
            step_s = session.measure(comparison.pair.pair, series.budget_s / settings.max_replicates).base_s
            first, many = (_measure_ops(session, plain[HEAD], ops) for ops in PILOT_OPS)
        except MeasurementError:
            continue
        for requested in sizes:
            label = HEAD if requested > 0 else BASE
            injection = choose_injection(abs(requested), step_s, first, many)
            specs = {**plain, label: {**plain[label], **injection}}
            injected = (plain[label], specs[label]) if "injected_ops" in injection else None
            pair = PairState(name, Pair(specs[BASE], specs[HEAD]), series)
            slowed.append(RepeatedComparison(pair, requested, injected))
    return slowed


def _measure_ops(session: TimingSession, spec: SubjectSpec, ops: int) -> float:
    """By which fraction a step grows with so many more operations."""
    slowed = {**spec, "injected_ops": ops}
    return math.expm1(statistics.median(session.measure_injected(spec, slowed) for _ in range(PILOTS)))


def choose_injection(size: float, step_s: float, first: float, many: float) -> Mapping[str, Any]:
    """``scale`` if k (1 + x) steps are whole in a short block; else the ``injected_ops`` that come nearest."""
    if round(1 / size) * step_s <= MAX_SCALED_BLOCK_S:
        return {"scale": size}
    low, high = PILOT_OPS
    per_op = max((many - first) / (high - low), 1e-4)
    return {"injected_ops": max(low, low + round((size - first) / per_op))}


def _run_round(
    session: TimingSession, comparisons: Sequence[RepeatedComparison], rules: VerdictRules, number: int
) -> bool:
    """Measure a replicate of every pair, in random order; returns whether the session is still alive."""
    settings = rules.settings
    for index in np.random.default_rng((settings.seed, number)).permutation(len(comparisons)):
        comparison = comparisons[index]
        seconds = comparison.pair.series.budget_s / settings.max_replicates
        try:
            comparison.add(session.measure(comparison.pair.pair, seconds), rules)
            if comparison.injected:
                comparison.sizes.append(session.measure_injected(*comparison.injected))
        except WorkerDied:
            return False
        except MeasurementError:
            continue
    return True


def _summarise(
    comparisons: Sequence[RepeatedComparison], sides: ComposedSides, rules: VerdictRules, rounds: int, seconds: float
) -> CalibrationResult:
    plain = [one for one in comparisons if not one.requested]
    scale = alpha_scale(len(plain) + len(rules.groups), rules.settings)
    sd = {one.pair.name: float(np.std(one.ratios, ddof=1)) for one in plain if len(one.ratios) > 1}
    detectable = {
        name: find_detectable_slowdown(sd[name], one.pair.series.d0, one.pair.series.d1, rules.settings, scale)
        for one in plain
        if (name := one.pair.name) in sd
    }
    verdicts = [verdict for one in plain for verdict in one.verdicts]
    sizes = sorted({one.requested for one in comparisons if one.verdicts} - {0.0})
    return CalibrationResult(
        fingerprint=sides.fingerprint,
        comparisons=len(verdicts),
        suspected=sum(one.suspected for one in plain),
        false_alarms=verdicts.count(SLOWER),
        undecided=verdicts.count(UNDECIDED),
        injected=tuple(_summarise_injected(comparisons, size) for size in sizes),
        detectable_slowdown=detectable,
        sd=sd,
        rounds=rounds,
        seconds=seconds,
    )


def _summarise_injected(comparisons: Sequence[RepeatedComparison], requested: float) -> InjectedSlowdown:
    """All comparisons of one size. The true size of a scaled workload is exact."""
    those = [one for one in comparisons if one.requested == requested and one.verdicts]
    means = [math.expm1(statistics.fmean(one.sizes)) if one.sizes else abs(requested) for one in those]
    errors = [statistics.stdev(one.sizes) / math.sqrt(len(one.sizes)) for one in those if len(one.sizes) > 1]
    verdicts = [verdict for one in those for verdict in one.verdicts]
    return InjectedSlowdown(
        requested=requested,
        size=math.copysign(1, requested) * statistics.fmean(means) if means else math.nan,
        error=math.hypot(*errors) / len(those) if errors else 0.0,
        comparisons=len(verdicts),
        slower=verdicts.count(SLOWER),
    )
