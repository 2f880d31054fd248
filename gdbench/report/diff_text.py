"""What two runs or sweeps differ in, as lines for the terminal and as JSON."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from gdbench.analysis.diff import ValueDiff
from gdbench.analysis.run_matching import VERDICTS
from gdbench.errors import format_count

if TYPE_CHECKING:
    from gdbench.analysis.sweep_diff import SweepDiff

__all__ = ["as_objects", "describe_contrast", "differing_lines", "json_text", "list_contrast"]


LONG = 60
DIGITS = 12
"""Of a digest are shown so many."""
MOST = 40


def differing_lines(title: str, found: Sequence[ValueDiff], words: tuple[str, str] = ("", "")) -> list[str]:
    """A title, and a line for each difference: ``lr: 0.1 -> 0.2``; nothing where there is none."""
    if not found:
        return []
    width = max(len(each.name) for each in found[:MOST])
    lines = [f"  {each.name:{width}}  {_said(each.a)}{words[0]} -> {_said(each.b)}{words[1]}" for each in found[:MOST]]
    more = [f"  and {len(found) - MOST} more"] if len(found) > MOST else []
    return [title, *lines, *more]


def as_objects(found: Sequence[ValueDiff]) -> list[dict[str, Any]]:
    """Differences as JSON has them."""
    return [{"name": each.name, "a": _plain(each.a), "b": _plain(each.b)} for each in found]


def json_text(told: Any) -> str:
    """JSON in which nothing stands that JSON does not know."""
    return json.dumps(told, allow_nan=False)


def _said(value: Any) -> str:
    if isinstance(value, str) and re.fullmatch(r"[0-9a-f]{32,}", value):
        return value[:DIGITS]
    if isinstance(value, (list, tuple)):
        text = ", ".join(map(_said, value))
    else:
        text = "none" if value is None or _null(value) else str(value)
    return text if len(text) <= LONG else f"{text[: LONG - 4]} ..."


def _null(value: Any) -> bool:
    return not hasattr(value, "__len__") and bool(pd.isna(value))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)) or (hasattr(value, "tolist") and getattr(value, "ndim", False)):
        return [_plain(each) for each in value]
    if value is None or _null(value):
        return None
    plain = value.item() if hasattr(value, "item") else value
    infinite = isinstance(plain, float) and math.isinf(plain)
    return plain if isinstance(plain, (int, float, str, bool)) and not infinite else str(plain)


def list_contrast(contrast: SweepDiff) -> list[str]:
    """The lines that tell in the terminal what differs between two sides."""
    counted = ", ".join(f"{contrast.verdicts[each]} {each}" for each in VERDICTS if contrast.verdicts.get(each))
    step = [] if contrast.first_step is None else [f"The trajectories first differ at step {contrast.first_step}."]
    found = [
        *differing_lines("Configuration", contrast.configuration),
        *differing_lines("Environment", contrast.environment),
        *differing_lines("Source (digests)", contrast.sources),
        *differing_lines("Data (digests)", contrast.data),
        *differing_lines("Result", contrast.results),
        *step,
        *([f"Result: {counted} (run for run: python -m gdbench compare A B)"] if counted else []),
    ]
    nothing = [] if contrast.has_differences else ["Nothing differs in configuration, environment or exact results."]
    sides = zip("ab", contrast.names, contrast.sizes, strict=True)
    return [*(f"{mark}: {name} ({format_count(size, 'run')})" for mark, name, size in sides), *found, *nothing]


def describe_contrast(contrast: SweepDiff) -> dict[str, Any]:
    """What differs between two sides as JSON has it."""
    parts = ("configuration", "environment", "sources", "data", "results")
    told = {name: as_objects(getattr(contrast, name)) for name in parts}
    sides = zip("ab", contrast.names, contrast.sizes, strict=True)
    who = {mark: {"name": name, "runs": size} for mark, name, size in sides}
    return {**who, **told, "first_step": contrast.first_step, "verdicts": contrast.verdicts}
