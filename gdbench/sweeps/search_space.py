"""The search space that overrides describe: ranges of numbers, numbers in steps, and choices."""

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

__all__ = ["Choices", "Steps", "read_axis_texts", "read_space", "split_spans"]


@dataclass(frozen=True)
class Steps:
    """Numbers from ``low`` to ``high``, both included, in equal steps: those of ``range(...)``."""

    name: str
    low: float
    high: float
    step: float


@dataclass(frozen=True)
class Choices:
    """Values to choose from, as they are written in an override."""

    name: str
    values: tuple[str, ...]


def read_axis_texts(overrides: Mapping[str, Override], composer: Composer) -> dict[str, Override]:
    """Overrides by their keys; an axis that came as a quoted text, as from Python, is read as an axis."""
    parsed = dict(overrides)
    for key, override in overrides.items():
        value = override.value()
        if isinstance(value, str) and re.match(r"(tag|interval|range)\(", value):
            parsed[key] = composer.parse(f"{key}={value}")
    return parsed


def split_spans(words: Sequence[str], composer: Composer) -> tuple[list[Span], list[str]]:
    """The intervals among overrides, and all others as they came; ``UsageError`` for an empty interval.

    ``lr_scale`` multiplies a method's own lr: without an lr beside it ``lr=null`` is added.
    """
    overrides = read_axis_texts(composer.parse_latest(words), composer)
    values = {key: override.value() for key, override in overrides.items()}
    spans = [_make_span(key, value) for key, value in values.items() if isinstance(value, IntervalSweep)]
    others = [str(overrides[key].input_line) for key, value in values.items() if not isinstance(value, IntervalSweep)]
    return spans, [*others, *(["lr=null"] if "lr_scale" in values and "lr" not in values else [])]


def read_space(override: Override) -> Span | Steps | Choices | None:
    """The values from which an override lets a sampler choose; None where it states one value."""
    key, given = override.key_or_group, override.value()
    if isinstance(given, IntervalSweep):
        return _make_span(key, given)
    if isinstance(given, RangeSweep) and not given.shuffle and (count := count_values(override)):
        start, step = Decimal(str(given.start)), Decimal(str(given.step))
        ends = (float(start), float(EXACT.add(start, EXACT.multiply(step, Decimal(count - 1)))))
        return Steps(key, min(ends), max(ends), abs(float(step)))
    if isinstance(given, (ChoiceSweep, RangeSweep)) or override.is_sweep_override():
        check_count({key: count_values(override)})
        words = tuple(list_values(override))
        if not words:
            raise UsageError(f"{override.input_line} stands for no value at all: give one at least.")
        return Choices(key, words)
    return None


def _make_span(key: str, given: IntervalSweep) -> Span:
    low, high, log = float(given.start or 0), float(given.end or 0), "log" in given.tags
    text = f"interval({low:g},{high:g})"
    if not low < high or (log and low <= 0):
        needs = "from a lower to a higher number" + (" above 0" if log else "")
        raise UsageError(f"{key}={f'tag(log,{text})' if log else text} must lead {needs}.")
    Axis(key, [low, high])
    return Span(key, low, high, log)
