"""The two tiers of the suite: of a test with many parameters, the fast one takes representatives."""

from __future__ import annotations

from collections.abc import Container, Iterable
from typing import Any

import pytest

__all__ = ["representatives"]


def representatives(values: Iterable[Any], few: Container[Any]) -> list[Any]:
    """Parameters of a test, those outside of ``few`` marked slow; a tuple stands for several names."""
    return [value if value in few else pytest.param(*listed(value), marks=pytest.mark.slow) for value in values]


def listed(value: Any) -> tuple[Any, ...]:
    """What pytest.param takes of one parameter."""
    return value if isinstance(value, tuple) else (value,)
