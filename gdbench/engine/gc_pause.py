"""Pause the garbage collector while many long-lived objects are created, e.g. importing torch's compiler."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator

__all__ = ["pause_gc"]


@contextlib.contextmanager
def pause_gc() -> Iterator[None]:
    """Pause the garbage collector inside, which saves 0.4 s of importing torch's compiler."""
    collected = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collected:
            gc.enable()
