"""The order of statuses of runs, best first, and the groups of statuses that tables and analyses use."""

from __future__ import annotations

__all__ = ["DIVERGING", "SOUND", "STATUSES", "STATUS_RANK", "WITHOUT_RESULT"]

STATUS_RANK = {
    "target": 0,
    "plateau": 1,
    "budget": 1,
    "diverged": 2,
    "nonfinite": 3,
    "timeout": 3,
    "unavailable": 4,
    "failed": 5,
}
"""Rank of each status, 0 is best; plateau and budget are equal: both end short of the target. So are nonfinite and
timeout: both have missed the target, and have no final loss."""
STATUSES = tuple(STATUS_RANK)
SOUND = ("target", "plateau", "budget")
"""Statuses of runs that are eligible to win; hits of other runs do not count as solutions."""
DIVERGING = ("diverged", "nonfinite")
WITHOUT_RESULT = ("failed", "unavailable", "timeout")
"""Statuses of runs that did not run to their end."""
