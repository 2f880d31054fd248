"""Needs of a torch-like optimizer that its signature does not show, stated in the ``torch:`` block of its YAML file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gdbench.errors import UsageError

__all__ = ["CLOSURE", "GRAPH", "NEEDS", "find_hint", "read_needs"]

CLOSURE, GRAPH = "_closure_", "_create_graph_"
"""The step needs a closure that evaluates the gradient; it needs a gradient that it can differentiate."""
NEEDS = (CLOSURE, GRAPH)
HINTS = {
    "closure": f"`{CLOSURE}: true` in the torch block of its YAML file gives its step a closure",
    "does not require grad": f"`{GRAPH}: true` in the torch block of its YAML file gives it a gradient that it can"
    " differentiate",
}
"""What to write, by words of the error that a first step raised."""


def read_needs(block: Mapping[str, Any], choice: str) -> frozenset[str]:
    """Read the needs that a ``torch:`` block states; UsageError for a key of that form that is not in ``NEEDS``."""
    keys = [name for name in block if name.startswith("_") and name != "_target_"]
    if wrong := next((name for name in keys if name not in NEEDS or not isinstance(block[name], bool)), None):
        raise UsageError(
            f"optimizer={choice}: torch.{wrong}={block[wrong]} is not known. Allowed: {', '.join(NEEDS)}, each true or"
            " false."
        )
    needs = frozenset(name for name in keys if block[name])
    if len(needs) > 1:
        raise UsageError(f"optimizer={choice}: {CLOSURE} and {GRAPH} exclude each other; give one of them.")
    return needs


def find_hint(error: Exception) -> str | None:
    """Find the hint that fits the words of a first step's error; None if there is none."""
    return next((hint for words, hint in HINTS.items() if words in str(error).lower()), None)
