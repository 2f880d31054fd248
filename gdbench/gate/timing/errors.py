"""Why something could not be measured: one line each."""

from __future__ import annotations

__all__ = ["Died", "Entangled", "Failed", "TooSlow"]


class Entangled(Exception):
    """The two trees cannot share a process."""


class Failed(Exception):
    """A worker could not do what it was asked."""


class Died(Failed):
    """A worker is no more."""


class TooSlow(Exception):
    """So few steps fit into the budget that nothing could be told."""
