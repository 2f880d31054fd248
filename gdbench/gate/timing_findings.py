"""Verdicts of the gate from the time layer's report: one line per series that says by how much, and why."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from gdbench.gate.exact_measures import ExactResult
from gdbench.gate.policy import FAILING, Verdict
from gdbench.report.number_format import format_interval

if TYPE_CHECKING:
    from gdbench.gate.timing.verdicts import GroupTiming, SeriesTiming, TimeReport

__all__ = ["add_step_times", "build_time_header", "make_time_verdicts"]

REFERENCE = "overhead"
"""The control whose step time is the reference of histories: a frozen loop that calls no code of gdbench."""
OPS = "ops per step"
HEADER = ("groups", "nulls", "controls", "contaminated", "mode", "counters", "seconds")
GROUP_NUMBERS = ("ratio", "lower", "upper", "replicates", "sd", "p", "p_holm", "confirmed")
SERIES_NUMBERS = (*GROUP_NUMBERS, "base_s", "head_s", "detectable_slowdown")


def make_time_verdicts(report: TimeReport, exact: Mapping[str, ExactResult]) -> list[Verdict]:
    """A verdict on each series, on each group that is slower, and on each series that could not be measured."""
    reference = next((control.head_s for control in report.controls if control.name == REFERENCE), math.nan)
    verdicts = [_judge_series(timing, exact.get(timing.name), reference) for timing in report.series]
    verdicts += [_judge_group(group) for group in report.groups if group.verdict in FAILING["time"]]
    return verdicts + [Verdict("time", name, "unmeasured", why) for name, why in report.unmeasured.items()]


def build_time_header(report: TimeReport) -> dict[str, Any]:
    """Part of a gate's header: groups, controls, counters, and the median detectable slowdown as ``power``."""
    fields = asdict(report)
    detectable = [one.detectable_slowdown for one in report.series if math.isfinite(one.detectable_slowdown)]
    power = f"+{statistics.median(detectable):.1%} is detected here with power 0.95" if detectable else None
    return {**{name: fields[name] for name in HEADER}, "power": power}


def add_step_times(exact: Sequence[Verdict], timed: Sequence[Verdict]) -> Iterator[Verdict]:
    """The exact verdicts, each failing one with its step time: ``steps +12%; time per step same``."""
    times = {verdict.series: verdict for verdict in timed}
    for verdict in exact:
        time = times.get(verdict.series)
        if verdict.verdict not in FAILING["exact"] or time is None or "ratio" not in time.numbers:
            yield verdict
            continue
        change = "same" if time.verdict == "no slower" else f"{time.numbers['ratio'] - 1:+.1%}"
        yield replace(verdict, cause=f"{verdict.cause}; time per step {change}")


def _judge_series(timing: SeriesTiming, exact: ExactResult | None, reference: float) -> Verdict:
    numbers = {name: getattr(timing, name) for name in SERIES_NUMBERS}
    numbers["step_time_ratio"] = timing.head_s / reference if reference > 0 else None
    causes = [_format_interval(timing), *([timing.why] if timing.why else [])]
    if timing.verdict in FAILING["time"] and exact is not None:
        ops = next((one.text for one in exact.differences if one.measure == OPS), f"{OPS}: same")
        causes.append(ops)
    return Verdict("time", timing.name, timing.verdict, "; ".join(causes), numbers=numbers)


def _judge_group(group: GroupTiming) -> Verdict:
    cause = f"{_format_interval(group)}, the mean of {len(group.members)} series"
    numbers = {name: getattr(group, name) for name in GROUP_NUMBERS}
    return Verdict("time", f"all {group.by}={group.value}", group.verdict, cause, numbers=numbers)


def _format_interval(timing: SeriesTiming | GroupTiming) -> str:
    """``step +6.1% [4.8, 7.3], confirmed in fresh processes``."""
    value, low, high = (100 * (ratio - 1) for ratio in (timing.ratio, timing.lower, timing.upper))
    confirmed = ", confirmed in fresh processes" if timing.confirmed else ""
    return f"step {format_interval(value, low, high, unit='%', decimals=1, sign='+')}{confirmed}"
