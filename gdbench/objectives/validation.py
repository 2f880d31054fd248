"""Checks of factory arguments; a UsageError says in one line what came, what is allowed and what to do."""

from __future__ import annotations

import math
from collections.abc import Collection

from gdbench.errors import UsageError

__all__ = ["check_bool", "check_choice", "check_float", "check_int", "check_multiple"]


def check_int(name: str, value: object, least: int, most: int | None = None) -> int:
    """Return ``value`` if it is a whole number in ``[least, most]``; otherwise raise UsageError."""
    good = isinstance(value, int) and not isinstance(value, bool) and value >= least
    if good and (most is None or value <= most):  # type: ignore[operator]
        return value  # type: ignore[return-value]
    bounds = f"of at least {least}" if most is None else f"from {least} to {most}"
    raise UsageError(f"objective.{name}={value!r}: it must be a whole number {bounds}; try objective.{name}={least}")


def check_float(name: str, value: object, least: float, example: float, above: bool = False) -> float:
    """Return ``value`` if it is finite and at least ``least`` (with ``above``, greater); otherwise raise UsageError."""
    good = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if good and (value > least or (value == least and not above)):  # type: ignore[operator]
        return float(value)  # type: ignore[arg-type]
    bound = f"a finite number {'above' if above else 'of at least'} {least:g}"
    raise UsageError(f"objective.{name}={value!r}: it must be {bound}; try objective.{name}={example:g}")


def check_bool(name: str, value: object) -> bool:
    """Return ``value`` if it is true or false; otherwise raise UsageError."""
    if isinstance(value, bool):
        return value
    raise UsageError(f"objective.{name}={value!r}: it must be true or false; try objective.{name}=true")


def check_choice(name: str, value: object, allowed: Collection[str]) -> str:
    """Return ``value`` if it is one of the ``allowed`` words; otherwise raise UsageError."""
    if isinstance(value, str) and value in allowed:
        return value
    words = ", ".join(sorted(allowed))
    raise UsageError(f"objective.{name}={value!r}: it must be one of {words}; try objective.{name}={min(allowed)}")


def check_multiple(name: str, value: object, of: int) -> int:
    """Return ``value`` if it is a positive multiple of ``of``; otherwise raise UsageError."""
    if isinstance(value, int) and not isinstance(value, bool) and value > 0 and value % of == 0:
        return value
    raise UsageError(f"objective.{name}={value!r}: it must be a multiple of {of}; try objective.{name}={2 * of}")
