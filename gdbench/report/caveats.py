"""What a reader must know before believing any comparison of these runs, one line each, where it holds."""

from __future__ import annotations

import pandas as pd

from gdbench.errors import format_count
from gdbench.results.run_outcomes import describe_randomness, has_settled, is_eligible

__all__ = ["caveats"]


def caveats(runs: pd.DataFrame, told: pd.DataFrame) -> list[str]:
    """What is left out of all comparisons, counted, which hits count less, and what makes times doubtful.

    Of all runs, and of those that are compared (``results.costs.compared``).
    """
    return [*_left_out(runs, told), *_hits_that_left(told), *describe_randomness(runs), *_subnormal(runs)]


def _left_out(runs: pd.DataFrame, told: pd.DataFrame) -> list[str]:
    lines = []
    shifted = runs["shifted_minimum"].fillna(False).astype(bool)
    unavailable = runs["status"] == "unavailable"
    if shifted.any():
        lines.append(
            f"{shifted.sum()} of {len(runs)} runs use weight decay, which moves the minimum: no comparison holds them,"
            " none is called best."
        )
    if unavailable.any():
        lines.append(
            f"{format_count(int(unavailable.sum()), 'run was', 'runs were')} unavailable here and no part of any"
            " comparison."
        )
    asked = runs[~shifted & ~unavailable]
    if again := len(asked) - asked["run_id"].nunique():
        lines.append(f"{again} of {len(runs)} runs repeat another one (the same question): the latest counts.")
    if copies := asked["run_id"].nunique() - len(told):
        lines.append(
            f"The seed changes nothing in {copies} of {len(runs)} runs (start_noise=0): they are copies, no repeats,"
            " and count once."
        )
    return lines


def _hits_that_left(told: pd.DataFrame) -> list[str]:
    hit = told["steps_to_target"].notna() & is_eligible(told)
    left = int((hit & ~has_settled(told)).sum())
    if not left:
        return []
    return [f"{left} of {hit.sum()} runs that reached the target left it again: they rank behind all that stay there."]


def _subnormal(runs: pd.DataFrame) -> list[str]:
    count = int((runs["denormals"] > 0).sum())
    if not count or not runs["step_s"].notna().any():
        return []
    return [f"Subnormal numbers slow a CPU down: {count} of {len(runs)} runs end among them (column denormals)."]
