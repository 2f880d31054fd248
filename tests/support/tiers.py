"""The two tiers of the suite: of a test with many parameters, the fast one takes representatives."""

from __future__ import annotations

from collections.abc import Container, Iterable
from typing import Any

import pytest
from hypothesis import settings

__all__ = ["count_examples", "representatives"]


def representatives(values: Iterable[Any], few: Container[Any]) -> list[Any]:
    """Parameters of a test, those outside of ``few`` marked slow; a tuple stands for several names."""
    return [value if value in few else pytest.param(*listed(value), marks=pytest.mark.slow) for value in values]


def listed(value: Any) -> tuple[Any, ...]:
    """What pytest.param takes of one parameter."""
    return value if isinstance(value, tuple) else (value,)


def count_examples(fast: int, slow: int) -> int:
    """How many examples a law has in this run, where one costs so much that the profile's number does not fit."""
    return fast if settings.get_current_profile_name() == "fast" else slow
