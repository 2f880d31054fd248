"""What overrides say to a search: which keys span numbers, which are a choice, and which stand fast."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from hydra.core.override_parser.types import ChoiceSweep, IntervalSweep, Override, RangeSweep

from gdbench.config.axis import Axis
from gdbench.config.compose import Composer
from gdbench.config.spacing import EXACT
from gdbench.config.sweep_axes import check_count, count_values, list_values
from gdbench.errors import UsageError
from gdbench.sweeps.search_axes import Span

__all__ = ["Counted", "Options", "latest", "space", "spans"]


@dataclass(frozen=True)
class Counted:
    """Numbers from ``low`` to ``high``, both included, in steps: what ``range(...)`` counts."""

    name: str
    low: float
    high: float
    step: float


@dataclass(frozen=True)
class Options:
    """A choice between values, as they are written in an override."""

    name: str
    values: tuple[str, ...]


def latest(arguments: Sequence[str], composer: Composer) -> Mapping[str, Override]:
    """The last override of each key; an axis that came as a quoted text, as from Python, is read as an axis."""
    parsed = composer.latest(arguments)
    for key, each in parsed.items():
        given = each.value()
        if isinstance(given, str) and re.match(r"(tag|interval|range)\(", given):
            parsed[key] = composer.parse(f"{key}={given}")
    return parsed


def spans(arguments: Sequence[str], composer: Composer) -> tuple[list[Span], list[str]]:
    """The intervals among overrides, and all others as they came; ``UsageError`` for an empty interval.

    What multiplies a method's own lr, without an lr beside it, means that lr: ``lr=null`` is added.
    """
    found: list[Span] = []
    others: list[str] = []
    given_last = latest(arguments, composer)
    for key, each in given_last.items():
        given = each.value()
        if isinstance(given, IntervalSweep):
            found.append(_span(key, given))
        else:
            others.append(str(each.input_line))
    return found, [*others, *(["lr=null"] if "lr_scale" in given_last and "lr" not in given_last else [])]


def space(override: Override) -> Span | Counted | Options | None:
    """The space that an override opens to a sampler; None where it states one value."""
    key, given = override.key_or_group, override.value()
    if isinstance(given, IntervalSweep):
        return _span(key, given)
    if isinstance(given, RangeSweep) and not given.shuffle and (count := count_values(override)):
        start, step = Decimal(str(given.start)), Decimal(str(given.step))
        ends = (float(start), float(EXACT.add(start, EXACT.multiply(step, Decimal(count - 1)))))
        return Counted(key, min(ends), max(ends), abs(float(step)))
    if isinstance(given, (ChoiceSweep, RangeSweep)) or override.is_sweep_override():
        check_count({key: count_values(override)})
        words = tuple(list_values(override))
        if not words:
            raise UsageError(f"{override.input_line} stands for no value at all: give one at least.")
        return Options(key, words)
    return None


def _span(key: str, given: IntervalSweep) -> Span:
    low, high, log = float(given.start or 0), float(given.end or 0), "log" in given.tags
    text = f"interval({low:g},{high:g})"
    if not low < high or (log and low <= 0):
        needs = "from a lower to a higher number" + (" above 0" if log else "")
        raise UsageError(f"{key}={f'tag(log,{text})' if log else text} must lead {needs}.")
    Axis.parse(key, [low, high])
    return Span(key, low, high, log)
