"""What two runs or sweeps differ in, as lines for the terminal and as JSON."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from typing import Any

import pandas as pd

from gdbench.analysis.diff import Difference

__all__ = ["as_objects", "differing_lines", "json_text"]

LONG = 60
DIGITS = 12
"""Of a digest are shown so many."""
MOST = 40


def differing_lines(title: str, found: Sequence[Difference], words: tuple[str, str] = ("", "")) -> list[str]:
    """A title, and a line for each difference: ``lr: 0.1 -> 0.2``; nothing where there is none."""
    if not found:
        return []
    width = max(len(each.name) for each in found[:MOST])
    lines = [f"  {each.name:{width}}  {_said(each.a)}{words[0]} -> {_said(each.b)}{words[1]}" for each in found[:MOST]]
    more = [f"  and {len(found) - MOST} more"] if len(found) > MOST else []
    return [title, *lines, *more]


def as_objects(found: Sequence[Difference]) -> list[dict[str, Any]]:
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
