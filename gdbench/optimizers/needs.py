"""What the step of a torch-like class needs that its signature does not tell, stated in the ``torch:`` block."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gdbench.errors import UsageError

__all__ = ["CLOSURE", "GRAPH", "NEEDS", "find_hint", "read_needs"]

CLOSURE, GRAPH = "_closure_", "_create_graph_"
"""A closure that evaluates the gradient; a gradient that the class can differentiate."""
NEEDS = (CLOSURE, GRAPH)
HINTS = {
    "closure": f"`{CLOSURE}: true` in the torch block of its YAML file gives its step a closure",
    "does not require grad": f"`{GRAPH}: true` in the torch block of its YAML file gives it a gradient that it can"
    " differentiate",
}
"""What helps, by words of an error that a first step raised."""


def read_needs(block: Mapping[str, Any], choice: str) -> frozenset[str]:
    """The needs that a ``torch:`` block states, of those in ``NEEDS``; UsageError for any other key of that form."""
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
    """What helps against an error of a first step, as far as its words tell."""
    return next((hint for words, hint in HINTS.items() if words in str(error).lower()), None)
