"""Differences between two runs or sweeps, as lines for the terminal and as JSON."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from gdbench.analysis.run_comparison import RUN_VERDICTS
from gdbench.analysis.value_diff import ValueDiff
from gdbench.errors import format_count
from gdbench.report.json_format import to_json_value
from gdbench.results.values import is_null

if TYPE_CHECKING:
    from gdbench.analysis.sweep_diff import SweepDiff

__all__ = ["differences_as_json", "list_differences", "list_sweep_diff", "sweep_diff_as_json"]

MAX_LENGTH = 60
"""Characters of a value."""
DIGEST_LENGTH = 12
MAX_LISTED = 40
PARTS = {
    "configuration": "Configuration",
    "environment": "Environment",
    "sources": "Source (digests)",
    "data": "Data (digests)",
    "results": "Result",
}
"""The attributes of a sweep diff that hold differences, with their titles."""


def list_differences(title: str, differences: Sequence[ValueDiff]) -> list[str]:
    """A title and a line per difference (``lr  0.1 -> 0.2``); empty if there is none."""
    if not differences:
        return []
    listed = differences[:MAX_LISTED]
    width = max(len(difference.name) for difference in listed)
    lines = [
        f"  {difference.name:{width}}  {_format_value(difference.a)} -> {_format_value(difference.b)}"
        for difference in listed
    ]
    more = len(differences) - MAX_LISTED
    return [title, *lines, *([f"  and {more} more"] if more > 0 else [])]


def _format_value(value: Any) -> str:
    if isinstance(value, str) and re.fullmatch(r"[0-9a-f]{32,}", value):
        return value[:DIGEST_LENGTH]
    if isinstance(value, (list, tuple)):
        text = ", ".join(map(_format_value, value))
    else:
        text = "none" if is_null(value) else str(value)
    return text if len(text) <= MAX_LENGTH else f"{text[: MAX_LENGTH - 4]} ..."


def differences_as_json(differences: Sequence[ValueDiff]) -> list[dict[str, Any]]:
    """Differences as JSON objects; infinities as texts, since null stands for a missing value."""
    return [{"name": item.name, "a": _side_as_json(item.a), "b": _side_as_json(item.b)} for item in differences]


def _side_as_json(value: Any) -> Any:
    return str(float(value)) if isinstance(value, float) and math.isinf(value) else to_json_value(value)


def list_sweep_diff(diff: SweepDiff) -> list[str]:
    """The lines of the terminal on the difference between two sweeps or runs."""
    sides = zip("ab", diff.names, diff.sizes, strict=True)
    lines = [f"{side}: {name} ({format_count(size, 'run')})" for side, name, size in sides]
    for part, title in PARTS.items():
        lines += list_differences(title, getattr(diff, part))
    if diff.first_step is not None:
        lines.append(f"The trajectories first differ at step {diff.first_step}.")
    if counts := ", ".join(f"{diff.verdicts[name]} {name}" for name in RUN_VERDICTS if diff.verdicts.get(name)):
        lines.append(f"Result: {counts} (run by run: python -m gdbench compare A B)")
    return (
        lines if diff.has_differences else [*lines, "Nothing differs in configuration, environment or exact results."]
    )


def sweep_diff_as_json(diff: SweepDiff) -> dict[str, Any]:
    """The difference between two sweeps or runs as a JSON object."""
    sides = zip("ab", diff.names, diff.sizes, strict=True)
    parts = {part: differences_as_json(getattr(diff, part)) for part in PARTS}
    named = {side: {"name": name, "runs": size} for side, name, size in sides}
    return {**named, **parts, "first_step": diff.first_step, "verdicts": diff.verdicts}
