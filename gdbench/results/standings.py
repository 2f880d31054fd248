"""The order of configurations on each problem: the one order that every table, sentence and figure goes by.

How to call it::

    table = standings(compared(runs))  # one row a problem, solver and configuration, the best first
    best = best_of_each(table, ["problem"])

- The terminal shows these rows; ``run`` is the key of the run in the middle of a row's seeds, for what is no column
  here (its status, its step time). Rows of one problem with the same ``place`` are tied.
- ``tune`` gives its axes: ``standings(runs, by=[...])``; a table has one row for each set of them.
- ``compare`` calls it once for each side; report and plots take ``best_of_each(table)``, the best row of each solver.
- One number stands for a row everywhere: ``value``, in units of ``measure`` (gradients, steps or seconds to the target,
  else final gap, else final loss), with ``value_lo`` and ``value_hi`` over all ``n`` seeds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from gdbench.results.choices import found_by_one_search, name_passed, rank_choices
from gdbench.results.costs import COSTS, IMPL_ORDER, LEAST
from gdbench.results.ranking import STATUS_RANK, may_win, numbers, runs_that_stay, shortfalls

__all__ = ["KEYS", "OUTCOMES", "best_of_each", "standings"]

KEYS = ("problem", "solver", "configuration")
OUTCOMES = ("stays", "left", "missed", "cannot win")
"""What a configuration did by its medians, the best first: it ended at or below the target; reached it and ended above;
never reached it; diverged, failed, got nowhere or moved the minimum."""
ORDERING = (
    *("problem", "lead", "stay", "hit", "missed", "beside", "shortfall", "status", "configuration", "time", "impl"),
)
"""The numbers by which configurations are ordered, one after the other."""
Array = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Whole = npt.NDArray[np.int64]


class _Seeds:
    """Which runs are the seeds of one configuration, and quantiles over them."""

    def __init__(self, runs: pd.DataFrame, by: Sequence[str]) -> None:
        """Configurations are numbered in the order in which they come."""
        self.codes = runs.groupby(list(by), sort=False, dropna=False, observed=True).ngroup().to_numpy()
        self.sizes = np.bincount(self.codes)
        self.first = np.cumsum(self.sizes) - self.sizes

    def quantiles(self, values: npt.NDArray[Any]) -> tuple[Array, Array, Array]:
        """Median (the upper one of two), lowest and highest of each configuration; null counts as above inf."""
        if len(self.sizes) == len(values):
            return values, values, values
        ordered = values[np.lexsort((values, self.codes))]
        return ordered[self.first + self.sizes // 2], ordered[self.first], ordered[self.first + self.sizes - 1]

    def median(self, values: npt.NDArray[Any]) -> Array:
        """The first of ``quantiles``."""
        return self.quantiles(values)[0]

    def count(self, which: Flags) -> Whole:
        """How many runs of each configuration are so."""
        return np.bincount(self.codes, weights=which, minlength=len(self.sizes)).astype(np.int64)

    def named(self, name: str, values: Array) -> dict[str, Array]:
        """The quantiles as three columns."""
        return dict(zip((name, f"{name}_lo", f"{name}_hi"), self.quantiles(values), strict=True))

    def middle(self, *keys: Array) -> Whole:
        """The position of each configuration's run in the middle, by the keys one after the other."""
        order = np.lexsort((*keys[::-1], self.codes))
        return np.asarray(order[self.first + self.sizes // 2])


def standings(runs: pd.DataFrame, cost: str = "gradients", by: Sequence[str] = KEYS) -> pd.DataFrame:
    """The rank of each configuration by its medians over seeds: one row for each set of ``by``, the best first.

    Of compared runs. Of an even number of seeds the median is the worse of the two in the middle. Compared are, one
    after the other, the medians of the cost to the target of runs that stay there (inf of others), of the cost to the
    first hit (inf of others), and of the final gap, else the final loss (inf of runs that may not win; a gap below what
    the dtype can tell counts as that floor). Where tune chose among a solver's configurations, its choice stands before
    all others of that solver, and what is better by its medians is ``passed`` (a spike, or passed over); where all runs
    of a problem are of one search, its places order the methods too, unless ``cost`` is another than gradients.
    Impls of one configuration with equal costs are ordered by time; nothing else goes by a clock, unless ``cost`` is
    seconds. What is still equal keeps the order of the runs.

    Columns: those of ``by``; place (1 is the best of its problem; equal outcomes and values share it); optimizer, impl,
    lr; outcome (one of OUTCOMES); measure, value, value_lo, value_hi (what decided: the cost, or where the target was
    missed the gap or loss); passed and tuned_for (the metric by which tune chose it; null of others); n (seeds),
    reached and stayed (how many did), seed_matters; gradients and steps to the
    target, final_gap, final_loss and best_loss, each the median, with ``_lo`` and ``_hi``, the extremes (inf: never;
    null: unknown); seconds to the target, and seconds_low and seconds_high by the quartiles of a step (null where not
    timed); run (the key of the run in the middle).
    """
    seeds = _Seeds(runs, by)
    hit, stay = _costs(runs, cost)
    shortfall = shortfalls(runs).to_numpy()
    has_gap = numbers(runs, "final_gap").notna().to_numpy()
    medians = np.stack([seeds.median(values) for values in (stay, hit, shortfall)])
    outcome = np.append(np.isfinite(medians), np.ones((1, len(seeds.sizes)), bool), axis=0).argmax(axis=0)
    decides = np.stack([stay, hit, shortfall])[outcome.clip(max=2)[seeds.codes], np.arange(len(runs))]
    lacks_cost = np.where(seeds.count(has_gap) > 0, "final gap", "final loss").astype(object)
    rows = runs.iloc[np.unique(seeds.codes, return_index=True)[1]]
    table = pd.DataFrame(
        {
            **{name: rows[name].to_numpy() for name in dict.fromkeys((*by, "optimizer", "impl", "lr"))},
            "outcome": np.array(OUTCOMES, dtype=object)[outcome],
            "measure": np.where(outcome < 2, cost, lacks_cost),
            **seeds.named("value", decides),
            "n": seeds.sizes,
            "reached": seeds.count(np.isfinite(hit)),
            "stayed": seeds.count(np.isfinite(stay)),
            "seed_matters": seeds.count(runs["seed_used"].fillna(True).to_numpy(bool)) > 0,
            **_choices(runs, seeds, rows, cost),
            **_shown(runs, seeds, outcome),
            **_seconds(runs, seeds),
            "run_id": runs["run_id"].to_numpy()[seeds.middle(stay, hit, shortfall)],
        }
    )
    status = runs["status"].map(STATUS_RANK).astype(float).to_numpy()
    step_s = seeds.median(numbers(runs, "step_s").to_numpy())
    alike = ["optimizer", *(name for name in by if name not in ("optimizer", "solver", "impl"))]
    return _ordered(table, alike, medians, outcome, seeds.median(status), step_s)


def best_of_each(table: pd.DataFrame, keys: Sequence[str] = KEYS[:2]) -> pd.DataFrame:
    """The first of the standings for each set of keys that may win."""
    return table[table["outcome"] != OUTCOMES[-1]].drop_duplicates(list(keys))


def _costs(runs: pd.DataFrame, cost: str) -> tuple[Array, Array]:
    """What each run paid to its first hit, inf where it may not win or never hit; and the same of runs that stay."""
    paid = numbers(runs, COSTS[cost]).clip(lower=LEAST[cost])
    hit = paid.where(may_win(runs) & paid.notna(), np.inf).to_numpy()
    return hit, np.where(runs_that_stay(runs), hit, np.inf)


def _choices(runs: pd.DataFrame, seeds: _Seeds, rows: pd.DataFrame, cost: str) -> dict[str, Any]:
    """What tune said of each configuration, and whether its places order the methods of the problem."""
    place = numbers(runs, "tuned_place")
    if not place.notna().any():
        return {"tuned_place": np.nan, "tuned_for": None, "leads": False}
    leads = found_by_one_search(runs).loc[rows.index].to_numpy(bool) & (cost == "gradients")
    best = seeds.quantiles(place.fillna(np.inf).to_numpy())[1]
    places = np.where(np.isfinite(best), best, np.nan)
    return {"tuned_place": places, "tuned_for": rows["tuned_for"].astype(object).to_numpy(), "leads": leads}


def _shown(runs: pd.DataFrame, seeds: _Seeds, outcome: Whole) -> dict[str, Any]:
    """Each number that a table shows: median, lowest and highest over all seeds of a configuration."""
    counts = may_win(runs).to_numpy(bool) & (runs_that_stay(runs) | (outcome != 0)[seeds.codes])
    columns: dict[str, Any] = {}
    for name in ("gradients", "steps"):
        columns |= seeds.named(name, numbers(runs, COSTS[name]).fillna(np.inf).where(counts, np.inf).to_numpy())
    gap = numbers(runs, "final_gap")
    unknown = (seeds.count(gap.notna().to_numpy()) == 0)[seeds.codes]
    columns |= seeds.named("final_gap", gap.fillna(np.inf).where(~unknown, np.nan).to_numpy())
    for name in ("final_loss", "best_loss"):
        columns |= seeds.named(name, numbers(runs, name).fillna(np.inf).to_numpy())
    return columns


def _seconds(runs: pd.DataFrame, seeds: _Seeds) -> dict[str, Array]:
    """The median time to the target, and that by the quartiles of a step; null where a run that reached it has none."""
    seconds, step = numbers(runs, COSTS["seconds"]), numbers(runs, "step_s")
    missed = numbers(runs, COSTS["gradients"]).isna() | ~may_win(runs)
    columns = {}
    for name, quartile in (("seconds", "step_s"), ("seconds_low", "step_s_lo"), ("seconds_high", "step_s_hi")):
        scaled = seconds if quartile == "step_s" else (seconds * numbers(runs, quartile) / step).fillna(seconds)
        median, _, highest = seeds.quantiles(scaled.where(~missed, np.inf).to_numpy())
        columns[name] = np.where(np.isnan(highest), np.nan, median)
    return columns


def _ordered(
    table: pd.DataFrame, alike: list[str], medians: Array, outcome: Whole, status: Array, step_s: Array
) -> pd.DataFrame:
    """The table in the order of its medians, within the impls of one configuration of time; with ``place``.

    Rows that are ``alike`` differ in their impl alone. What cannot win is ordered by its status.
    """
    stay, hit, shortfall = medians
    by_cost = table[alike].assign(stay=stay, hit=hit)
    siblings = by_cost.groupby([*alike, "stay", "hit"], sort=False, dropna=False, observed=True).ngroup()
    problem = pd.factorize(table["problem"])[0] if "problem" in table else np.zeros(len(table), int)
    order = pd.DataFrame(
        {
            "problem": problem,
            "stay": stay,
            "hit": hit,
            "missed": np.where(np.isfinite(hit), 0.0, shortfall),
            "shortfall": shortfall,
            "status": np.where(np.isfinite(shortfall), 0.0, status),
            "configuration": table.groupby(alike, sort=False, dropna=False, observed=True).ngroup(),
            "time": np.where(np.isfinite(table["seconds"]), table["seconds"], step_s),
            "impl": table["impl"].map({name: rank for rank, name in enumerate(IMPL_ORDER)}).astype(float),
        }
    )
    # Where costs decide, siblings stand together, at the shortfall of the first of them: rounding orders no impls.
    quickest = order.assign(siblings=siblings).sort_values(["siblings", "time", "impl"], kind="stable")
    of_first = quickest.drop_duplicates("siblings").set_index("siblings")["shortfall"].reindex(siblings).to_numpy()
    order["shortfall"] = np.where(np.isfinite(hit), of_first, shortfall)
    solver = table["solver"] if "solver" in table else table["optimizer"].astype(str) + " " + table["impl"].astype(str)
    order = rank_choices(order, table["tuned_place"], solver, table["leads"].to_numpy(bool))
    ranks = order.sort_values(list(ORDERING), kind="stable").index.to_numpy()
    table = table.assign(passed=name_passed(table, order["behind"])).drop(columns=["tuned_place", "leads"]).take(ranks)
    table = table.reset_index(drop=True)
    table.insert(0, "place", _places(problem[ranks], outcome[ranks], table["value"].to_numpy()))
    return table


def _places(problem: Whole, outcome: Whole, value: Array) -> Whole:
    """The place of each row in its problem: that of the row above where outcome and value are the same."""
    starts = np.append(True, problem[1:] != problem[:-1])[: len(problem)]
    fresh = starts.copy()
    fresh[1:] |= (outcome[1:] != outcome[:-1]) | ((value[1:] != value[:-1]) & (outcome[1:] < len(OUTCOMES) - 1))
    rows = np.arange(len(problem))
    first, opened = (np.maximum.accumulate(np.where(flags, rows, 0)) for flags in (starts, fresh))
    return opened - first + 1
