"""Ranking of configurations on each problem: the one order used by every table, sentence and figure.

    table = rank_configurations(select_comparable(runs))  # one row per problem, solver and configuration, best first
    best = select_best(table, ["problem"])

- ``run_id`` is the run of the median seed, for columns that are not here (status, step time). Rows of one problem with
  equal ``place`` are tied.
- ``tune`` passes its axes: ``rank_configurations(runs, by=[...])`` has one row per set of their values.
- ``value`` is the one number of a row, in units of ``measure`` (gradients, steps or seconds to the target, else as in
  ``run_outcomes.find_shortfall_measures``), with ``value_lo`` and ``value_hi`` over all ``n`` seeds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from gdbench.results.costs import COST_COLUMNS, IMPL_ORDER, MIN_COSTS
from gdbench.results.run_outcomes import (
    FINAL_LOSS,
    compute_shortfalls,
    find_metric_signs,
    find_shortfall_measures,
    has_settled,
    is_eligible,
)
from gdbench.results.statuses import STATUS_RANK
from gdbench.results.tuned_choices import is_single_search, label_passed_over, promote_choices
from gdbench.results.values import to_floats

__all__ = ["KEYS", "OUTCOMES", "rank_configurations", "renumber_places", "select_best"]

KEYS = ("problem", "solver", "configuration")
OUTCOMES = ("stays", "left", "missed", "cannot win")
"""Outcome of a configuration by its medians, best first: ended at or below the target; reached it and left it again;
never reached it; ineligible."""
SORT_COLUMNS = (
    *("problem", "lead", "stay", "hit", "missed", "beside", "shortfall", "status", "configuration", "time", "impl"),
)
"""Sort keys of configurations, in this order."""
Array = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Whole = npt.NDArray[np.int64]


class _SeedGroups:
    """Groups of runs that are the seeds of one configuration, and quantiles over them."""

    def __init__(self, runs: pd.DataFrame, by: Sequence[str]) -> None:
        """Configurations are numbered in order of appearance."""
        self.codes = _number_groups([runs[name] for name in by])
        self.sizes = np.bincount(self.codes)
        self.first = np.cumsum(self.sizes) - self.sizes

    def compute_quantiles(self, values: npt.NDArray[Any]) -> tuple[Array, Array, Array]:
        """Median (the upper one of two), minimum and maximum per configuration; NaN sorts after inf."""
        if len(self.sizes) == len(values):
            return values, values, values
        ordered = values[np.lexsort((values, self.codes))]
        return ordered[self.first + self.sizes // 2], ordered[self.first], ordered[self.first + self.sizes - 1]

    def compute_median(self, values: npt.NDArray[Any]) -> Array:
        """Upper median per configuration."""
        return self.compute_quantiles(values)[0]

    def count(self, which: Flags) -> Whole:
        """Number of runs per configuration for which ``which`` holds."""
        return np.bincount(self.codes, weights=which, minlength=len(self.sizes)).astype(np.int64)

    def describe(self, name: str, values: Array) -> dict[str, Array]:
        """The quantiles as three columns."""
        return dict(zip((name, f"{name}_lo", f"{name}_hi"), self.compute_quantiles(values), strict=True))

    def find_median_runs(self, *keys: Array) -> Whole:
        """Position of each configuration's median run by these keys, in lexicographic order."""
        order = np.lexsort((*keys[::-1], self.codes))
        return np.asarray(order[self.first + self.sizes // 2])


def rank_configurations(runs: pd.DataFrame, cost: str = "gradients", by: Sequence[str] = KEYS) -> pd.DataFrame:
    """Rank each configuration by its medians over seeds: one row per set of values of ``by``, best first.

    Input: comparable runs. The median of an even number of seeds is the worse of the two in the middle. Sort keys, in
    this order: median cost to the target of runs that stay there (inf of others), median cost to the first hit (inf of
    others), and median shortfall (``run_outcomes.compute_shortfalls``; inf if ineligible). Where tune chose among a
    solver's configurations, its choice precedes all others of that solver, and what is better by its medians is
    ``passed`` (a spike, or passed over); where all runs of a problem come from one search, its places order the methods
    too, unless ``cost`` is not gradients. Implementations of one configuration with equal costs are ordered by time;
    times decide nothing else unless ``cost`` is seconds. Remaining ties keep the input order.

    Columns: those of ``by``; place (1 is the best of its problem; ties share it); optimizer, impl, lr; outcome (one of
    OUTCOMES); measure, value, value_lo, value_hi (what decided); passed and tuned_for (metric of tune's choice; null of
    others); n (seeds), reached and stayed (numbers of seeds), seed_matters; shortfall (median; a metric of which the
    highest is the best with a minus); gradients and steps to the target, final_gap, final_loss and best_loss (medians,
    with extremes ``_lo`` and ``_hi``; inf: never, null: unknown); seconds to the target, seconds_low and seconds_high
    by the quartiles of a step (null if not timed); run_id (of the median run).
    """
    seeds = _SeedGroups(runs, by)
    eligible, settled = is_eligible(runs).to_numpy(bool), has_settled(runs)
    hit = _compute_run_costs(runs, cost, eligible)
    stay = np.where(settled, hit, np.inf)
    shortfall = compute_shortfalls(runs).to_numpy()
    medians = np.stack([seeds.compute_median(values) for values in (stay, hit, shortfall)])
    outcome = np.append(np.isfinite(medians), np.ones((1, len(seeds.sizes)), bool), axis=0).argmax(axis=0)
    decides = np.stack([stay, hit, shortfall])[outcome.clip(max=2)[seeds.codes], np.arange(len(runs))]
    measure = np.where(outcome < 2, cost, _choose_measures(runs, seeds))
    rows = runs.iloc[np.unique(seeds.codes, return_index=True)[1]]
    table = pd.DataFrame(
        {
            **{name: rows[name].to_numpy() for name in dict.fromkeys((*by, "optimizer", "impl", "lr"))},
            "outcome": np.array(OUTCOMES, dtype=object)[outcome],
            "measure": measure,
            **_restore_signs(seeds.describe("value", decides), rows, measure),
            "n": seeds.sizes,
            "reached": seeds.count(np.isfinite(hit)),
            "stayed": seeds.count(np.isfinite(stay)),
            "seed_matters": seeds.count(runs["seed_used"].fillna(True).to_numpy(bool)) > 0,
            "shortfall": medians[2],
            **_read_choices(runs, seeds, rows, cost),
            **_compute_shown_columns(runs, seeds, eligible & (settled | (outcome != 0)[seeds.codes])),
            **_compute_seconds(runs, seeds, eligible),
            "run_id": runs["run_id"].to_numpy()[seeds.find_median_runs(stay, hit, shortfall)],
        }
    )
    status = runs["status"].map(STATUS_RANK).astype(float).to_numpy()
    step_s = seeds.compute_median(to_floats(runs, "step_s").to_numpy())
    alike = ["optimizer", *(name for name in by if name not in ("optimizer", "solver", "impl"))]
    return _sort_configurations(table, alike, medians, outcome, seeds.compute_median(status), step_s)


def select_best(table: pd.DataFrame, keys: Sequence[str] = KEYS[:2]) -> pd.DataFrame:
    """First eligible row of the ranking for each set of ``keys``."""
    return table[table["outcome"] != OUTCOMES[-1]].drop_duplicates(list(keys))


def renumber_places(table: pd.DataFrame) -> pd.DataFrame:
    """Some rows of the ranking, in its order, with the ``place`` of each among them.

    The best rows of two solvers tie although another row of one of them stands between, as where tune's places order
    the rows, and an implementation that is not the solver's best comes before the other solver.
    """
    outcome: Whole = table["outcome"].map(OUTCOMES.index).to_numpy(np.int64)
    problem: Whole = pd.factorize(table["problem"])[0].astype(np.int64)
    return table.assign(place=_compute_places(problem, outcome, table["value"].to_numpy()))


def _choose_measures(runs: pd.DataFrame, seeds: _SeedGroups) -> npt.NDArray[Any]:
    """What ranks each configuration where it missed: the final loss only where no seed has another measure."""
    measures = find_shortfall_measures(runs).to_numpy()
    order = np.lexsort((measures == FINAL_LOSS, seeds.codes))
    chosen: npt.NDArray[Any] = measures[order[seeds.first]]
    return chosen


def _restore_signs(values: dict[str, Array], rows: pd.DataFrame, measure: npt.NDArray[Any]) -> dict[str, Array]:
    """The columns value, value_lo and value_hi with metrics of which the highest is the best as they are."""
    metrics = pd.Series(measure, rows.index).where(lambda names: names.str.contains(".", regex=False))
    if not metrics.notna().any():
        return values
    flipped = find_metric_signs(rows, metrics).to_numpy() < 0
    ends = {"value": "value", "value_lo": "value_hi", "value_hi": "value_lo"}
    return {name: np.where(flipped, -values[other], values[name]) for name, other in ends.items()}


def _compute_run_costs(runs: pd.DataFrame, cost: str, eligible: Flags) -> Array:
    """Cost of each run to its first hit, inf if ineligible or never."""
    paid = to_floats(runs, COST_COLUMNS[cost]).to_numpy()
    return np.where(eligible & ~np.isnan(paid), np.maximum(paid, MIN_COSTS[cost]), np.inf)


def _read_choices(runs: pd.DataFrame, seeds: _SeedGroups, rows: pd.DataFrame, cost: str) -> dict[str, Any]:
    """Tune's place and metric of each configuration, and whether its places order the methods."""
    place = to_floats(runs, "tuned_place")
    if not place.notna().any():
        return {"tuned_place": np.nan, "tuned_for": None, "leads": False}
    leads = is_single_search(runs).loc[rows.index].to_numpy(bool) & (cost == "gradients")
    best = seeds.compute_quantiles(place.fillna(np.inf).to_numpy())[1]
    places = np.where(np.isfinite(best), best, np.nan)
    return {"tuned_place": places, "tuned_for": rows["tuned_for"].astype(object).to_numpy(), "leads": leads}


def _compute_shown_columns(runs: pd.DataFrame, seeds: _SeedGroups, counts: Flags) -> dict[str, Any]:
    """Median, minimum and maximum over seeds of each value that tables show; costs of the runs that count."""
    columns: dict[str, Any] = {}
    for name in ("gradients", "steps"):
        columns |= seeds.describe(
            name, to_floats(runs, COST_COLUMNS[name]).fillna(np.inf).where(counts, np.inf).to_numpy()
        )
    gap = to_floats(runs, "final_gap")
    unknown = (seeds.count(gap.notna().to_numpy()) == 0)[seeds.codes]
    columns |= seeds.describe("final_gap", gap.fillna(np.inf).where(~unknown, np.nan).to_numpy())
    for name in ("final_loss", "best_loss"):
        columns |= seeds.describe(name, to_floats(runs, name).fillna(np.inf).to_numpy())
    return columns


def _compute_seconds(runs: pd.DataFrame, seeds: _SeedGroups, eligible: Flags) -> dict[str, Array]:
    """Median time to the target, and by the quartiles of a step; null where a reaching run has none."""
    seconds, step = to_floats(runs, COST_COLUMNS["seconds"]), to_floats(runs, "step_s")
    missed = to_floats(runs, COST_COLUMNS["gradients"]).isna() | ~eligible
    columns = {}
    for name, quartile in (("seconds", "step_s"), ("seconds_low", "step_s_lo"), ("seconds_high", "step_s_hi")):
        scaled = seconds if quartile == "step_s" else (seconds * to_floats(runs, quartile) / step).fillna(seconds)
        median, _, highest = seeds.compute_quantiles(scaled.where(~missed, np.inf).to_numpy())
        columns[name] = np.where(np.isnan(highest), np.nan, median)
    return columns


def _sort_configurations(
    table: pd.DataFrame, alike: list[str], medians: Array, outcome: Whole, status: Array, step_s: Array
) -> pd.DataFrame:
    """Table sorted by its medians, implementations of one configuration by time; with ``place``.

    Rows that are equal in ``alike`` differ in implementation only. Ineligible rows are sorted by status.
    """
    stay, hit, shortfall = medians
    configuration = _number_groups([table[name] for name in alike])
    siblings = _number_groups([configuration, stay, hit])
    problem = pd.factorize(table["problem"])[0] if "problem" in table else np.zeros(len(table), int)
    order = pd.DataFrame(
        {
            "problem": problem,
            "stay": stay,
            "hit": hit,
            "missed": np.where(np.isfinite(hit), 0.0, shortfall),
            "shortfall": shortfall,
            "status": np.where(np.isfinite(shortfall), 0.0, status),
            "configuration": configuration,
            "time": np.where(np.isfinite(table["seconds"]), table["seconds"], step_s),
            "impl": table["impl"].map({name: rank for rank, name in enumerate(IMPL_ORDER)}).astype(float),
        }
    )
    # Where costs decide, siblings stand together, at the shortfall of the first of them: rounding orders no impls.
    quickest = np.lexsort((order["impl"], order["time"], siblings))
    firsts = quickest[np.unique(siblings[quickest], return_index=True)[1]]
    order["shortfall"] = np.where(np.isfinite(hit), shortfall[firsts][siblings], shortfall)
    solver = table["solver"] if "solver" in table else table["optimizer"].astype(str) + " " + table["impl"].astype(str)
    order = promote_choices(order, table["tuned_place"], solver, table["leads"].to_numpy(bool))
    ranks = np.lexsort([order[name].to_numpy(float) for name in reversed(SORT_COLUMNS)])
    table = (
        table.assign(passed=label_passed_over(table, order["behind"]))
        .drop(columns=["tuned_place", "leads"])
        .take(ranks)
    )
    table = table.reset_index(drop=True)
    table.insert(0, "place", _compute_places(problem[ranks], outcome[ranks], table["value"].to_numpy()))
    return table


def _number_groups(keys: Sequence[pd.Series | npt.NDArray[Any]]) -> Whole:
    """Number of each row's set of keys, in order of appearance; nulls are equal."""
    numbers = np.zeros(len(keys[0]), np.int64)
    for key in keys:
        codes, values = pd.factorize(key, use_na_sentinel=False)
        numbers = pd.factorize(numbers * max(len(values), 1) + codes)[0].astype(np.int64)
    return numbers


def _compute_places(problem: Whole, outcome: Whole, value: Array) -> Whole:
    """Place of each sorted row in its problem: that of the row above where outcome and value are equal."""
    starts = np.append(True, problem[1:] != problem[:-1])[: len(problem)]
    fresh = starts.copy()
    fresh[1:] |= (outcome[1:] != outcome[:-1]) | ((value[1:] != value[:-1]) & (outcome[1:] < len(OUTCOMES) - 1))
    rows = np.arange(len(problem))
    first, opened = (np.maximum.accumulate(np.where(flags, rows, 0)) for flags in (starts, fresh))
    return opened - first + 1
