"""Stable keys of runs: equal for equal questions, however they were asked."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from gdbench.results.constant_column import is_constant

__all__ = ["SCHEDULE_LENGTHS", "compute_run_ids", "is_number"]


SCHEDULE_LENGTHS = tuple(f"schedule.{name}" for name in ("over", "every", "period", "warmup", "decay"))
"""Numbers that count steps if they are whole, and are shares of the run if they are floats up to 1.0."""


def compute_run_ids(constants: Mapping[str, Any], columns: Mapping[str, npt.NDArray[Any]]) -> npt.NDArray[np.bytes_]:
    """A stable 16-digit key for each run: equal for equal questions, however they were asked.

    Every (name, value) pair is hashed alone and the hashes are added, so that order does not matter and a number
    counts the same whether it was a constant or a lane. Vectorised: a million keys take well under a second.
    """
    words = {name: value for name, value in constants.items() if not is_number(value) or _is_whole_run(name, value)}
    total = np.uint64(sum(_hash_text(f"{name}={_to_canonical_json(value)}") for name, value in words.items()) % 2**64)
    keys = np.full(len(next(iter(columns.values()))), total, dtype=np.uint64)
    numbers = {name: np.array([float(value)]) for name, value in constants.items() if name not in words}
    for name, column in {**numbers, **columns}.items():
        values = column[:1] if is_constant(column) else column
        bits = (values.astype(np.float64) + 0.0).view(np.uint64)  # + 0.0 makes one of the two zeros
        keys += _mix_bits(bits ^ np.uint64(_hash_text(name)))
    digits = np.array([b"%02x" % byte for byte in range(256)])
    return digits[_mix_bits(keys).astype(">u8").view(np.uint8)].view("S16")


def _is_whole_run(name: str, value: Any) -> bool:
    """Whether a schedule's length is 1.0, the whole run: not the question that 1, a single step, is."""
    return name in SCHEDULE_LENGTHS and isinstance(value, float) and value == 1.0


def is_number(value: Any) -> bool:
    """Whether a value is a number; a truth value is none."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _to_canonical_json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)


def _hash_text(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


def _mix_bits(bits: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """The finaliser of splitmix64 (Steele, Lea and Flood 2014), which spreads every bit over all."""
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))
