"""The time layer's entry point, and its rounds: every open pair gets a replicate per round until it is decided."""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from gdbench.gate.series import Series, SourceTree
from gdbench.gate.timing.blocks import MeasurementError, Replicate, WorkerDied
from gdbench.gate.timing.calibration_result import load_detectable_slowdowns
from gdbench.gate.timing.sessions import (
    BASE,
    HEAD,
    HEAD_AGAIN,
    Pair,
    PairState,
    TimingSession,
    WorkerPool,
    compose_sides,
)
from gdbench.gate.timing.settings import TimingSettings
from gdbench.gate.timing.verdicts import SeriesTiming, TimeReport, VerdictRules, build_timing

__all__ = ["ProgressCallback", "Scheduler", "compare_times", "explain_absent", "find_contamination"]

CONTROLS = ("overhead", "memory")
TOO_FEW = "it got fewer than two replicates"

ProgressCallback = Callable[[str, float], None]
"""Called with what is going on, and which fraction is done of the most that it can take."""


def compare_times(
    series: Sequence[Series],
    base: SourceTree,
    head: SourceTree,
    settings: TimingSettings | None = None,
    progress: ProgressCallback | None = None,
    detectable: Mapping[str, float] | None = None,
) -> TimeReport:
    """Time ``head`` against ``base`` in every series whose policy is not ``off``; a slowdown counts if it recurs.

    ``detectable`` is the smallest slowdown that this machine detects in each series; None for what the last calibration
    saved. Processes are fresh, and end with this call. Raises MeasurementError if no worker can be started.
    """
    start, settings = time.monotonic(), settings or TimingSettings()
    progress = progress or (lambda words, share: None)
    timed = [one for one in series if one.policy != "off"]
    trees = {BASE: base, HEAD: head, **({HEAD_AGAIN: head} if settings.null_series else {})}
    with (
        tempfile.TemporaryDirectory(prefix="gdbench-gate-") as cache,
        WorkerPool(trees, settings, Path(cache), is_separate=base.python != head.python) as pool,
    ):
        progress("composing", 0.0)
        sides = compose_sides(pool, timed)
        missing = {one.name: why for one in timed if (why := sides.explain_missing(one.name))}
        present = [one for one in timed if one.name not in missing]
        pairs = [sides.make_pair(one) for one in present]
        nulls = [sides.make_pair(one, HEAD, HEAD_AGAIN) for one in present[: settings.null_series]]
        controls = [
            PairState(name, Pair({"control": name}, {"control": name}), Series("control", ())) for name in CONTROLS
        ]
        if detectable is None:
            detectable = load_detectable_slowdowns(sides.fingerprint)
        rules = VerdictRules(pairs, settings, detectable)
        scheduler = Scheduler(pool, progress)
        scheduler.run_rounds(pairs, [*nulls, *controls], rules.is_decided)
        scheduler.run_confirmation(rules.find_slower())
    absent = explain_absent(pairs)
    # Where two versions of torch differ, the controls measure that difference: a result, not a contamination.
    contaminated = find_contamination(nulls, controls if scheduler.is_uniform else (), settings)
    return TimeReport(
        series=tuple(timing for timing in rules.time_series(bool(contaminated)) if timing.name not in absent),
        groups=rules.time_groups(bool(contaminated)),
        nulls=_time_all(nulls, settings),
        controls=_time_all(controls, settings),
        contaminated=contaminated,
        unmeasured={**missing, **absent},
        mode=sides.mode,
        fingerprint=sides.fingerprint,
        counters=tuple(scheduler.counters),
        seconds=time.monotonic() - start,
    )


def find_contamination(
    nulls: Sequence[PairState], controls: Sequence[PairState], settings: TimingSettings
) -> str | None:
    """The first pair of identical code that differs by more than the control zone, with its whole interval."""
    kinds = {"control": controls, "head against itself,": nulls}
    for words, pairs in kinds.items():
        for pair in pairs:
            ratios = pair.log_ratios
            if ratios.count < settings.looks[0]:
                continue
            alpha = settings.get_alpha(ratios.count)
            if ratios.lower(alpha) > math.log1p(settings.control_zone):
                return f"{words} {pair.name} was slower by {math.expm1(ratios.mean):.1%}"
            if ratios.upper(alpha) < -math.log1p(settings.control_zone):
                return f"{words} {pair.name} was faster by {-math.expm1(ratios.mean):.1%}"
    return None


def explain_absent(pairs: Sequence[PairState]) -> dict[str, str]:
    """Why pairs have no verdict, by name: they failed, or got too few replicates."""
    return {pair.name: pair.failure or TOO_FEW for pair in pairs if pair.failure or pair.log_ratios.count < 2}


def _time_all(pairs: Sequence[PairState], settings: TimingSettings) -> tuple[SeriesTiming, ...]:
    measured = [pair for pair in pairs if pair.log_ratios.count > 1]
    return tuple(
        build_timing(pair, find_contamination([pair], (), settings) or "same", settings, p_holm=1.0)
        for pair in measured
    )


@dataclass
class Scheduler:
    """Runs rounds one after the other, and keeps the host's counters of each."""

    pool: WorkerPool
    progress: ProgressCallback
    counters: list[Mapping[str, float | None]] = field(default_factory=list)
    is_uniform: bool = True
    """Whether all processes run the same torch and Python."""

    def run_rounds(
        self, pairs: Sequence[PairState], controls: Sequence[PairState], is_decided: Callable[[PairState], bool]
    ) -> None:
        """Run rounds until every pair is decided, which is evaluated at the looks; controls are in every round."""
        settings, open_ = self.pool.settings, list(pairs)
        for number in range(settings.max_replicates):
            open_ = [pair for pair in open_ if not (pair.failure or pair.is_exhausted)]
            if number in settings.looks:
                open_ = [pair for pair in open_ if not is_decided(pair)]
            if not open_:
                return
            words = f"round {number + 1}, {len(open_)} series"
            self.run_round(number, [*open_, *controls], words, number / settings.max_replicates)

    def run_confirmation(self, pairs: Sequence[PairState]) -> None:
        """Run fresh rounds for slower pairs, with other roles and hash seeds than in the rounds before."""
        settings = self.pool.settings
        self.pool.stop()
        for count in range(settings.confirmations if pairs else 0):
            words = f"confirming {len(pairs)} slower series, {count + 1} of {settings.confirmations}"
            number = settings.max_replicates + 1 + count  # of another parity than the very first, which swaps roles
            self.run_round(number, pairs, words, count / settings.confirmations, is_confirmation=True)

    def run_round(
        self, number: int, pairs: Sequence[PairState], words: str, share: float, *, is_confirmation: bool = False
    ) -> None:
        """Measure one replicate of each pair, in random order; a process that dies is replaced for the rest."""
        order = np.random.default_rng((self.pool.settings.seed, number)).permutation(len(pairs))
        waiting = [pairs[index] for index in order]
        while waiting:
            session = self.pool.open_session(number)
            self.is_uniform = all(one == session.fingerprints[0] for one in session.fingerprints)
            while waiting:
                pair = waiting.pop(0)
                self.progress(f"{words}: {pair.name}", share)
                replicates = pair.confirmations if is_confirmation else pair.replicates
                if not _measure_pair(session, pair, replicates, number, self.pool.settings.max_replicates):
                    self.pool.stop()
                    break
            else:
                self.counters.append(session.read_counters())


def _measure_pair(
    session: TimingSession, pair: PairState, replicates: dict[int, Replicate], number: int, max_replicates: int
) -> bool:
    """Add a replicate to a pair, or the reason why there is none; returns whether the session is still alive."""
    try:
        replicates[number] = session.measure(pair.pair, pair.series.budget_s / max_replicates)
    except MeasurementError as error:
        pair.failure = str(error)
        return not isinstance(error, WorkerDied)
    return True
