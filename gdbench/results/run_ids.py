"""Identifiers of runs: hashes of their settings, equal however these were given."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from gdbench.results.constant_column import is_constant

__all__ = ["LENGTHS", "compute_run_ids", "is_number"]


LENGTHS = (*(f"schedule.{name}" for name in ("over", "every", "period", "warmup", "decay")), "average.start")
"""Parameters that are a number of steps if integer, and a share of the run if a float up to 1.0."""


def compute_run_ids(constants: Mapping[str, Any], columns: Mapping[str, npt.NDArray[Any]]) -> npt.NDArray[np.bytes_]:
    """Stable 16-digit identifier of each run: equal for equal settings, however they were given.

    Every (name, value) pair is hashed alone and the hashes are added, so that order does not matter and a number counts
    the same as a constant and as a column. Vectorised: a million identifiers take well under a second.
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
    """Whether a length is 1.0 (the whole run), which differs from 1 (a single step)."""
    return name in LENGTHS and isinstance(value, float) and value == 1.0


def is_number(value: Any) -> bool:
    """Whether a value is an int or a float; a bool is not."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _to_canonical_json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)


def _hash_text(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


def _mix_bits(bits: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Finaliser of splitmix64 (Steele, Lea and Flood 2014): every input bit affects all output bits."""
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))
