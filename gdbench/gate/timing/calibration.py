"""What this machine's time layer is worth: head against head, which must never be slower, and slowdowns put in.

Rounds go on for as long as they are given. Each pair collects replicates until the rule decides, is confirmed where it
is slower, and starts anew: all as in a comparison.
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

from gdbench.gate.series import Series, Side
from gdbench.gate.timing.abba_blocks import Sample
from gdbench.gate.timing.calibration_result import Injected, SelfTest
from gdbench.gate.timing.errors import Died, Entangled, Failed, TooSlow
from gdbench.gate.timing.pair_state import BASE, HEAD, Questions, Track, evidence, questions
from gdbench.gate.timing.scheduler import Heard
from gdbench.gate.timing.sequential_test import SLOWER, UNDECIDED, found_from, strictness
from gdbench.gate.timing.sessions import Arm, Bench, Lab, Pair
from gdbench.gate.timing.settings import Settings
from gdbench.gate.timing.verdicts import Ruling, recurred

__all__ = ["SIZES", "Trials", "added", "selftest"]

SIZES = (0.05, 0.10, -0.05)
"""Slowdowns of head that are put in; a negative one slows base down, as if head had become faster."""
PILOT_OPS = (1, 20)
"""Operations that are added to a step to learn what the first takes, with all that goes with it, and each more."""
PILOTS = 3
LONGEST_BLOCK_S = 1e-3
"""A block with k (1 + x) steps may be so long; where it would be longer, slowdowns are ballast."""


@dataclass
class Trials:
    """One pair, compared again and again."""

    track: Track
    wanted: float = 0.0
    sized: tuple[Arm, Arm] | None = None
    """Without and with what is put in; None where nothing is, or its size is exact."""
    outcomes: list[str] = field(default_factory=list)
    suspected: int = 0
    ratios: list[float] = field(default_factory=list)
    """Every replicate there was."""
    sizes: list[float] = field(default_factory=list)
    """ln, of what was put in."""
    confirms: bool = False

    def take(self, sample: Sample, ruling: Ruling) -> None:
        """Another replicate, and the verdict if that decides."""
        settings, track = ruling.settings, self.track
        self.ratios.append(sample.cpu)
        kept = track.confirming if self.confirms else track.samples
        kept[len(kept)] = sample
        if self.confirms:
            if len(kept) == settings.confirmations:
                self._end(SLOWER if recurred(evidence(kept.values()), settings) else UNDECIDED)
            return
        last = len(kept) == settings.most or track.exhausted
        verdict = ruling.look(track) if len(kept) in settings.looks or last else UNDECIDED
        if verdict == SLOWER:
            self.suspected, self.confirms = self.suspected + 1, True
        elif verdict != UNDECIDED or last:
            self._end(verdict)

    def _end(self, verdict: str) -> None:
        self.outcomes.append(verdict)
        self.track, self.confirms = replace(self.track, samples={}, confirming={}), False


def selftest(
    series: Sequence[Series],
    head: Side,
    *,
    rounds: int | None = None,
    hours: float | None = None,
    sizes: Sequence[float] = SIZES,
    settings: Settings | None = None,
    progress: Heard | None = None,
) -> SelfTest:
    """Compare ``head`` with itself, and with itself slowed down, for so many rounds or hours (20 rounds if neither).

    Raises Failed where no series can be measured.
    """
    start, settings = time.monotonic(), settings or Settings()
    heard = progress or (lambda words, share: None)
    done = 0
    with (
        tempfile.TemporaryDirectory(prefix="gdbench-gate-") as cache,
        Lab({BASE: head, HEAD: head}, settings, Path(cache), apart=False) as lab,
    ):
        heard("composing", 0.0)
        asked = questions(lab, series)
        trials = _plain(series, asked)
        if not trials:
            raise Failed("no series can be measured: " + "; ".join(filter(None, map(asked.lacking, asked.posed[HEAD]))))
        ruling = Ruling([each.track for each in trials], settings, {})
        for number in _rounds(rounds, hours):
            done = number
            bench = lab.round(number)
            share = number / rounds if rounds else (time.monotonic() - start) / 3600 / (hours or 1)
            heard(f"round {number}, {sum(len(each.outcomes) for each in trials)} comparisons", share)
            if number == 1 and sizes:
                trials += _slowed(trials, asked, bench, sizes, settings)
            if not _round(bench, trials, ruling, number):
                lab.end()
        return _told(trials, asked, ruling, done, time.monotonic() - start)


def _rounds(rounds: int | None, hours: float | None) -> Iterator[int]:
    """Numbers of rounds from 1: as many as asked for, or until the time is over."""
    end = time.monotonic() + 3600 * (hours or 0)
    number = 0
    most = rounds if rounds is not None else 20 if hours is None else math.inf
    while number < most and (hours is None or time.monotonic() < end):
        number += 1
        yield number


def _plain(series: Sequence[Series], asked: Questions) -> list[Trials]:
    return [Trials(asked.track(each)) for each in series if each.policy != "off" and not asked.lacking(each.name)]


def _slowed(
    trials: Sequence[Trials], asked: Questions, bench: Bench, sizes: Sequence[float], settings: Settings
) -> list[Trials]:
    """The same pairs with something put in: by one more look at each, what is known of its step and of an operation."""
    found: list[Trials] = []
    for each in trials:
        plain = {label: asked.arm(label, each.track.name) for label in (BASE, HEAD)}
        try:
            step_s = bench.measure(each.track.pair, each.track.series.budget_s / settings.most).base_s
            first, many = (_grown(bench, plain[HEAD], ops) for ops in PILOT_OPS)
        except (Entangled, Failed, TooSlow):
            continue
        for wanted in sizes:
            label = HEAD if wanted > 0 else BASE
            put_in = added(abs(wanted), step_s, first, many)
            slow = {**plain, label: {**plain[label], **put_in}}
            sized = (plain[label], slow[label]) if "ballast" in put_in else None
            track = Track(each.track.name, Pair(slow[BASE], slow[HEAD]), each.track.series)
            found.append(Trials(track, wanted, sized))
    return found


def _grown(bench: Bench, arm: Arm, ops: int) -> float:
    """By which fraction a step grows with so many operations more."""
    return math.expm1(statistics.median(bench.size(arm, {**arm, "ballast": ops}) for _ in range(PILOTS)))


def added(size: float, step_s: float, first: float, many: float) -> Mapping[str, Any]:
    """k (1 + x) steps billed for k where that is whole in a short block; else as many operations as come nearest."""
    whole = round(1 / size)
    if whole * step_s <= LONGEST_BLOCK_S:
        return {"stretch": size}
    low, high = PILOT_OPS
    each = max((many - first) / (high - low), 1e-4)
    return {"ballast": max(low, low + round((size - first) / each))}


def _round(bench: Bench, trials: Sequence[Trials], ruling: Ruling, number: int) -> bool:
    """A replicate of every pair, in random order; whether the bench lives on."""
    settings = ruling.settings
    for index in np.random.default_rng((settings.seed, number)).permutation(len(trials)):
        each = trials[index]
        try:
            each.take(bench.measure(each.track.pair, each.track.series.budget_s / settings.most), ruling)
            if each.sized:
                each.sizes.append(bench.size(*each.sized))
        except Died:
            return False
        except (Entangled, Failed, TooSlow):
            continue
    return True


def _told(trials: Sequence[Trials], asked: Questions, ruling: Ruling, rounds: int, seconds: float) -> SelfTest:
    plain = [each for each in trials if not each.wanted]
    s = {each.track.name: float(np.std(each.ratios, ddof=1)) for each in plain if len(each.ratios) > 1}
    of = {each.track.name: each.track.series for each in plain}
    strict = strictness(len(plain) + len(ruling.groups), ruling.settings)
    outcomes = [outcome for each in plain for outcome in each.outcomes]
    sizes = sorted({each.wanted for each in trials if each.outcomes} - {0.0})

    def from_(name: str) -> float:
        return found_from(s[name], of[name].d0, of[name].d1, ruling.settings, strict)

    return SelfTest(
        fingerprint=asked.fingerprint,
        comparisons=len(outcomes),
        suspected=sum(each.suspected for each in plain),
        alarms=outcomes.count(SLOWER),
        undecided=outcomes.count(UNDECIDED),
        injected=tuple(_injected(trials, size) for size in sizes),
        found_from={name: from_(name) for name in s},
        s=s,
        rounds=rounds,
        seconds=seconds,
    )


def _injected(trials: Sequence[Trials], wanted: float) -> Injected:
    """All trials of one size. The true size of a stretched one is exact."""
    those = [each for each in trials if each.wanted == wanted and each.outcomes]
    sign = math.copysign(1, wanted)
    means = [math.expm1(statistics.fmean(each.sizes)) if each.sizes else abs(wanted) for each in those]
    errors = [statistics.stdev(each.sizes) / math.sqrt(len(each.sizes)) for each in those if len(each.sizes) > 1]
    outcomes = [outcome for each in those for outcome in each.outcomes]
    return Injected(
        wanted=wanted,
        size=sign * statistics.fmean(means) if means else math.nan,
        error=math.hypot(*errors) / len(those) if errors else 0.0,
        trials=len(outcomes),
        slower=outcomes.count(SLOWER),
    )
