"""What two runs or sweeps differ in, as lines for the terminal and as JSON."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from gdbench.analysis.diff import Difference
from gdbench.analysis.run_matching import VERDICTS
from gdbench.errors import format_count

if TYPE_CHECKING:
    from gdbench.analysis.sweep_diff import Contrast

__all__ = ["differences_as_json", "dump_json", "list_differences", "list_sweep_diff", "sweep_diff_as_json"]


MAX_LENGTH = 60
DIGEST_LENGTH = 12
"""Of a digest are shown so many."""
MAX_LISTED = 40


def list_differences(title: str, found: Sequence[Difference], words: tuple[str, str] = ("", "")) -> list[str]:
    """A title, and a line for each difference: ``lr: 0.1 -> 0.2``; nothing where there is none."""
    if not found:
        return []
    width = max(len(each.name) for each in found[:MAX_LISTED])
    lines = [
        f"  {each.name:{width}}  {_format_value(each.a)}{words[0]} -> {_format_value(each.b)}{words[1]}"
        for each in found[:MAX_LISTED]
    ]
    more = [f"  and {len(found) - MAX_LISTED} more"] if len(found) > MAX_LISTED else []
    return [title, *lines, *more]


def differences_as_json(found: Sequence[Difference]) -> list[dict[str, Any]]:
    """Differences as JSON has them."""
    return [{"name": each.name, "a": _plain(each.a), "b": _plain(each.b)} for each in found]


def dump_json(told: Any) -> str:
    """JSON in which nothing stands that JSON does not know."""
    return json.dumps(told, allow_nan=False)


def _format_value(value: Any) -> str:
    if isinstance(value, str) and re.fullmatch(r"[0-9a-f]{32,}", value):
        return value[:DIGEST_LENGTH]
    if isinstance(value, (list, tuple)):
        text = ", ".join(map(_format_value, value))
    else:
        text = "none" if value is None or _null(value) else str(value)
    return text if len(text) <= MAX_LENGTH else f"{text[: MAX_LENGTH - 4]} ..."


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


def list_sweep_diff(contrast: Contrast) -> list[str]:
    """The lines that tell in the terminal what differs between two sides."""
    counted = ", ".join(f"{contrast.verdicts[each]} {each}" for each in VERDICTS if contrast.verdicts.get(each))
    step = [] if contrast.first_step is None else [f"The trajectories first differ at step {contrast.first_step}."]
    found = [
        *list_differences("Configuration", contrast.configuration),
        *list_differences("Environment", contrast.environment),
        *list_differences("Source (digests)", contrast.sources),
        *list_differences("Data (digests)", contrast.data),
        *list_differences("Result", contrast.results),
        *step,
        *([f"Result: {counted} (run for run: python -m gdbench compare A B)"] if counted else []),
    ]
    nothing = [] if contrast.differs else ["Nothing differs in configuration, environment or exact results."]
    sides = zip("ab", contrast.names, contrast.sizes, strict=True)
    return [*(f"{mark}: {name} ({format_count(size, 'run')})" for mark, name, size in sides), *found, *nothing]


def sweep_diff_as_json(contrast: Contrast) -> dict[str, Any]:
    """What differs between two sides as JSON has it."""
    parts = ("configuration", "environment", "sources", "data", "results")
    told = {name: differences_as_json(getattr(contrast, name)) for name in parts}
    sides = zip("ab", contrast.names, contrast.sizes, strict=True)
    who = {mark: {"name": name, "runs": size} for mark, name, size in sides}
    return {**who, **told, "first_step": contrast.first_step, "verdicts": contrast.verdicts}
