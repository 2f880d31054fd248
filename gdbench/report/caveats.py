"""Caveats on the comparison of runs: excluded runs, targets that were left again, doubtful times."""

from __future__ import annotations

import pandas as pd

from gdbench.errors import format_count
from gdbench.results.run_outcomes import describe_randomness, has_settled, is_eligible

__all__ = ["list_caveats"]


def list_caveats(runs: pd.DataFrame, compared: pd.DataFrame) -> list[str]:
    """A line per caveat on all runs and on those that are compared (``results.costs.select_comparable``)."""
    return [
        *_describe_excluded(runs, compared),
        *_describe_left_targets(compared),
        *describe_randomness(runs),
        *_describe_subnormals(runs),
    ]


def _describe_excluded(runs: pd.DataFrame, compared: pd.DataFrame) -> list[str]:
    lines = []
    shifted = runs["shifted_minimum"].fillna(False).astype(bool)
    unavailable = runs["status"] == "unavailable"
    valid = runs[~shifted & ~unavailable]
    if shifted.any():
        lines.append(
            f"{shifted.sum()} of {len(runs)} runs use weight decay, which moves the minimum: they are excluded from all"
            " comparisons."
        )
    if unavailable.any():
        count = format_count(int(unavailable.sum()), "run was", "runs were")
        lines.append(f"{count} unavailable (column error says why): excluded from all comparisons.")
    if repeats := len(valid) - valid["run_id"].nunique():
        lines.append(f"{repeats} of {len(runs)} runs repeat another run with the same settings: the latest counts.")
    if copies := valid["run_id"].nunique() - len(compared):
        lines.append(f"In {copies} of {len(runs)} runs the seed has no effect (start_noise=0): equal runs count once.")
    return lines


def _describe_left_targets(compared: pd.DataFrame) -> list[str]:
    hit = compared["steps_to_target"].notna() & is_eligible(compared)
    left = int((hit & ~has_settled(compared)).sum())
    if not left:
        return []
    return [f"{left} of {hit.sum()} runs that reached the target left it again: they rank behind those that stay."]


def _describe_subnormals(runs: pd.DataFrame) -> list[str]:
    count = int((runs["denormals"] > 0).sum())
    if not count or not runs["step_s"].notna().any():
        return []
    return [f"{count} of {len(runs)} runs end with subnormal numbers, which are slow on a CPU (column denormals)."]
