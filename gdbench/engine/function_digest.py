"""Digest of a function and of all that it computes with: its code, what it closes over, defaults, globals, attributes.

Two functions that differ in any of these have different digests; the same function, made twice or in two processes, has
one. Nothing enters by its address, by ``repr`` or by the order of a hash table. What is installed (torch, numpy ...)
counts by its name, the user's own code by what it is; what has no content that could be compared (an open file, a lock,
a generator) raises ``Undigestible``.
"""

from __future__ import annotations

from typing import Any

from gdbench.config.user_modules import USER_ERRORS
from gdbench.engine.function_walk import FunctionWalk, Undigestible

__all__ = ["NOT_COMPARABLE", "digest", "digest_or_reason"]


NOT_COMPARABLE = "not comparable: "
"""How the reason begins that stands in place of a digest."""


def digest(thing: Any) -> str:
    """The digest of a function, an object or a value, in hexadecimal digits. Raises ``Undigestible``."""
    walk = FunctionWalk()
    try:
        walk.any(thing)
    except Undigestible:
        raise
    except USER_ERRORS as error:  # what a user's object does when it is looked at, or nests too deeply
        raise Undigestible(f"{walk.where()} raises {type(error).__name__} when it is read") from error
    return walk.hash.hexdigest()


def digest_or_reason(thing: Any) -> str:
    """The digest, or ``NOT_COMPARABLE`` and why there is none."""
    try:
        return digest(thing)
    except Undigestible as reason:
        return f"{NOT_COMPARABLE}{reason}"
