"""What the time layer measured, as rulings: a line each that says by how much, and why."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from gdbench.gate.exact_measures import Finding
from gdbench.gate.policy import FAILING, Ruling
from gdbench.report.number_format import interval

if TYPE_CHECKING:
    from gdbench.gate.timing.verdicts import Group, Measured, TimeReport

__all__ = ["joined", "time_header", "time_rulings"]

REFERENCE = "overhead"
"""The control whose step time is the reference of histories: a frozen loop that calls no code of gdbench."""
OPS = "ops per step"


def time_rulings(report: TimeReport, found: Mapping[str, Finding]) -> list[Ruling]:
    """A ruling for each series, for each group that is slower, and for what could not be measured."""
    reference = next((each.head_s for each in report.controls if each.name == REFERENCE), math.nan)
    rulings = [_of_series(each, found.get(each.name), reference) for each in report.series]
    rulings += [_of_group(each) for each in report.groups if each.verdict in FAILING["time"]]
    return rulings + [Ruling("time", name, "unmeasured", why) for name, why in report.unmeasured.items()]


def time_header(report: TimeReport) -> dict[str, Any]:
    """What a report keeps of the time layer beside its findings."""
    kept = ("groups", "nulls", "controls", "contaminated", "mode", "facts", "seconds")
    whole = asdict(report)
    found = [each.found_from for each in report.series if math.isfinite(each.found_from)]
    power = f"+{statistics.median(found):.1%} is found here with power 0.95" if found else None
    return {**{name: whole[name] for name in kept}, "power": power}


def joined(exact: Sequence[Ruling], timed: Sequence[Ruling]) -> Iterator[Ruling]:
    """The exact rulings, each cause with what its time says: ``steps +12%; time per step same``."""
    times = {each.series: each for each in timed}
    for each in exact:
        measured = times.get(each.series)
        if each.verdict not in FAILING["exact"] or measured is None or "ratio" not in measured.numbers:
            yield each
            continue
        same = measured.verdict == "no slower"
        said = "same" if same else f"{measured.numbers['ratio'] - 1:+.1%}"
        yield replace(each, cause=f"{each.cause}; time per step {said}")


def _of_series(measured: Measured, finding: Finding | None, reference: float) -> Ruling:
    kept = ("ratio", "lower", "upper", "replicates", "s", "p", "p_holm", "confirmed", "base_s", "head_s", "found_from")
    numbers = {name: getattr(measured, name) for name in kept}
    numbers["step_time_ratio"] = measured.head_s / reference if reference > 0 else None
    words = [_interval(measured), *([measured.why] if measured.why else [])]
    if measured.verdict in FAILING["time"] and finding is not None:
        ops = next((each.words for each in finding.differences if each.measure == OPS), f"{OPS}: same")
        words.append(ops)
    return Ruling("time", measured.name, measured.verdict, "; ".join(words), numbers=numbers)


def _of_group(group: Group) -> Ruling:
    kept = ("ratio", "lower", "upper", "replicates", "s", "p", "p_holm", "confirmed")
    words = f"{_interval(group)}, the mean of {len(group.members)} series"
    name = f"all {group.by}={group.value}"
    return Ruling("time", name, group.verdict, words, numbers={name: getattr(group, name) for name in kept})


def _interval(measured: Measured | Group) -> str:
    """``step +6.1% [4.8, 7.3], confirmed in fresh processes``."""
    value, low, high = (100 * (ratio - 1) for ratio in (measured.ratio, measured.lower, measured.upper))
    confirmed = ", confirmed in fresh processes" if measured.confirmed else ""
    return f"step {interval(value, low, high, unit='%', decimals=1, sign='+')}{confirmed}"
