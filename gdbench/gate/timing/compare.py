"""The time layer's front door."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from gdbench.gate.series import Series, Side
from gdbench.gate.timing.calibration_result import stored
from gdbench.gate.timing.pair_state import AGAIN, BASE, HEAD, Questions, Track, questions
from gdbench.gate.timing.scheduler import Course, Heard
from gdbench.gate.timing.sessions import Lab, Pair
from gdbench.gate.timing.settings import Settings
from gdbench.gate.timing.verdicts import Measured, Ruling, TimeReport, contamination, row

__all__ = ["compare", "controls", "without_rows"]

CONTROLS = ("overhead", "memory")
SCARCE = "it got fewer than two replicates"


def compare(
    series: Sequence[Series],
    base: Side,
    head: Side,
    settings: Settings | None = None,
    progress: Heard | None = None,
    known: Mapping[str, float] | None = None,
) -> TimeReport:
    """Measure ``head`` against ``base`` in every series whose policy is not ``off``; slower is what has recurred.

    ``known`` is the smallest slowdown found in each series here (``SelfTest.found_from``); None for what the last
    self-test stored. All is measured in fresh processes, which end with this call. Raises Failed where no worker can be
    had.
    """
    start, settings = time.monotonic(), settings or Settings()
    heard = progress or (lambda words, share: None)
    timed = [each for each in series if each.policy != "off"]
    trees = {BASE: base, HEAD: head, **({AGAIN: head} if settings.nulls else {})}
    apart = base.python != head.python
    with tempfile.TemporaryDirectory(prefix="gdbench-gate-") as cache, Lab(trees, settings, Path(cache), apart) as lab:
        heard("composing", 0.0)
        asked = questions(lab, timed)
        there = [each for each in timed if asked.lacking(each.name) is None]
        tracks = [asked.track(each) for each in there]
        nulls, frozen = _nulls(there, asked, settings), controls()
        ruling = Ruling(tracks, settings, stored(asked.fingerprint) if known is None else known)
        course = Course(lab, heard)
        course.run(tracks, [*nulls, *frozen], ruling.decided)
        course.confirm(ruling.slower())
    without = without_rows(tracks)
    # Where two versions of torch differ, the controls say by how much: that is a finding, not a contamination.
    dirt = contamination(nulls, frozen if course.alike else (), settings)
    return TimeReport(
        series=tuple(measured for measured in ruling.measured(bool(dirt)) if measured.name not in without),
        groups=ruling.grouped(bool(dirt)),
        nulls=_rows(nulls, settings),
        controls=_rows(frozen, settings),
        contaminated=dirt,
        unmeasured={**{each.name: why for each in timed if (why := asked.lacking(each.name))}, **without},
        mode=asked.mode,
        fingerprint=asked.fingerprint,
        facts=tuple(course.facts),
        seconds=time.monotonic() - start,
    )


def without_rows(tracks: Sequence[Track]) -> dict[str, str]:
    """Why tracks have no verdict, by name: they failed, or got too few replicates."""
    return {track.name: track.failed or SCARCE for track in tracks if track.failed or track.evidence.count < 2}


def controls() -> list[Track]:
    """The frozen loops against themselves."""
    of = Series("control", ())
    return [Track(name, Pair({"control": name}, {"control": name}), of) for name in CONTROLS]


def _nulls(series: Sequence[Series], asked: Questions, settings: Settings) -> list[Track]:
    """The first few series, head against head."""
    return [asked.track(each, HEAD, AGAIN) for each in series[: settings.nulls]]


def _rows(tracks: Sequence[Track], settings: Settings) -> tuple[Measured, ...]:
    there = [track for track in tracks if track.evidence.count > 1]
    return tuple(row(track, contamination([track], (), settings) or "same", settings, p_holm=1.0) for track in there)
