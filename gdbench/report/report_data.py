"""Data of a report: tables that several figures use, computed once; and what its sections consist of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd

from gdbench.analysis import best_configuration
from gdbench.analysis.lr_sensitivity import compute_lr_sensitivity
from gdbench.analysis.step_times import summarise_step_times
from gdbench.report.charts.trajectory import Box, Ground
from gdbench.report.charts.vega_lite import MAX_BANDS, MAX_PANELS, Figure
from gdbench.report.inputs import ReportInputs
from gdbench.report.style import Style
from gdbench.report.table_cells import BoldCells
from gdbench.results import costs as run_costs
from gdbench.results.ranking import OUTCOMES, rank_configurations
from gdbench.results.run_outcomes import has_settled
from gdbench.results.values import to_floats

__all__ = ["CONFIGURATION", "Landscape", "ReportData", "ReportTable", "Section", "describe_band", "describe_panels"]

Landscape = Callable[[pd.Series, Box], "Ground | None"]
"""Computes the values of a run's objective on a grid over a box, and its minimisers; None if it is unknown."""
CONFIGURATION = ["problem", "solver", "configuration"]


@dataclass
class ReportTable:
    """A table with its title and caption."""

    name: str
    title: str
    rule: str
    table: pd.DataFrame
    bold: BoldCells = field(default_factory=dict)
    """Rows whose cell is bold, of the columns that have such cells."""
    numbers: pd.DataFrame | None = None
    """What the CSV holds where cells are texts of several numbers; None: the table itself."""


@dataclass
class Section:
    """A section of the page."""

    name: str
    title: str
    figures: list[Figure] = field(default_factory=list)
    tables: list[ReportTable] = field(default_factory=list)


def describe_band(table: pd.DataFrame, meaning: str) -> str:
    """What the band of a figure shows; or that there are too many optimizers to draw it."""
    if table["optimizer"].nunique() <= MAX_BANDS:
        return f"; band: {meaning}"
    return f"; bands ({meaning}) are in the data, not drawn"


def describe_panels(figure: Figure) -> str:
    """A sentence for the caption of a figure that shows only the first panels."""
    facet = figure.chart.chart.get("facet") if figure.chart else None
    if facet is None or len(facet["sort"]) <= MAX_PANELS:
        return ""
    noun = "problems" if facet["field"] == "problem" else "panels"
    return f" {MAX_PANELS} of {len(facet['sort'])} {noun} are shown; choose others with the filter of the page."


class ReportData:
    """Tables that several figures use, computed once."""

    def __init__(self, inputs: ReportInputs, compared: pd.DataFrame | None = None) -> None:
        """``compared`` are the runs that are compared; default: ``costs.compared`` of all runs."""
        self.runs, self.traces = inputs.runs, inputs.traces
        self.compared = run_costs.select_comparable(inputs.runs) if compared is None else compared
        self.merged_runs = best_configuration.select_best_impls(self.compared)
        self.problems = list(self.compared["problem"].unique())

    @cached_property
    def costs(self) -> pd.DataFrame:
        """The cost of every run in gradients, one impl per configuration."""
        return run_costs.compute_costs(self.merged_runs)

    @cached_property
    def best(self) -> pd.DataFrame:
        """The best configuration of each optimizer on each problem."""
        return best_configuration.select_best_configurations(self.merged_runs)

    @cached_property
    def unsolved_standings(self) -> pd.DataFrame:
        """The standings, by final gap or loss, on problems on which no configuration reaches a target."""
        table = rank_configurations(self.merged_runs)
        reached = table["outcome"].isin(OUTCOMES[:2]).groupby(table["problem"]).transform("any")
        return table[~reached.astype(bool)]

    @cached_property
    def style(self) -> Style:
        """Colours; of many optimizers those with the best mean rank have one."""
        return Style.assign(self.runs["optimizer"].astype(str), best_configuration.rank_solvers(self.best))

    @cached_property
    def one_lr(self) -> pd.DataFrame:
        """The one configuration per optimizer that is best over all problems."""
        return best_configuration.select_common_configurations(self.merged_runs)

    @cached_property
    def best_runs(self) -> pd.DataFrame:
        """The runs of the best configurations, all seeds."""
        return self.merged_runs.merge(self.best[CONFIGURATION], on=CONFIGURATION)

    @cached_property
    def target_costs(self) -> pd.DataFrame:
        """The cost of the best configurations to each target."""
        return run_costs.compute_ladder_costs(self.best_runs)

    @cached_property
    def steps_to_targets(self) -> pd.DataFrame:
        """The median steps of the best configurations to each target, by ``optimizer``.

        In a configuration that stays at its target, a run that left it again counts as not having reached it, nor lower
        targets: the steps to the target are those by which it is ranked.
        """
        runs = self.best_runs
        table = run_costs.compute_ladder_costs(runs, "steps")
        outcome = runs[CONFIGURATION].merge(self.best[[*CONFIGURATION, "outcome"]], on=CONFIGURATION, how="left")[
            "outcome"
        ]
        left = pd.Series(outcome.eq("stays").to_numpy() & ~has_settled(runs), runs.index)
        target = to_floats(runs, "target")
        missed = left.reindex(table.index) & (table["target"] <= target.reindex(table.index))
        table["cost"] = table["cost"].where(~missed, np.inf)
        groups = table.groupby([*CONFIGURATION, "target"], sort=False, observed=True)["cost"]
        steps = groups.quantile(0.5, interpolation="higher").rename("steps").reset_index()
        return steps.rename(columns={"solver": "optimizer"})

    @cached_property
    def sensitivity(self) -> pd.DataFrame:
        """The cost of every lr in gradients."""
        return compute_lr_sensitivity(self.merged_runs)

    @cached_property
    def step_times(self) -> pd.DataFrame:
        """The step time of each optimizer and impl."""
        return summarise_step_times(self.compared)

    @property
    def seed_count(self) -> int:
        """The largest number of seeds of a configuration."""
        seeds = self.best_runs.groupby(["problem", "solver"])["run_id"].nunique()
        return int(seeds.max()) if len(seeds) else 0

    @property
    def is_tuned(self) -> bool:
        """Whether ``tune`` chose any of the configurations."""
        return bool(to_floats(self.compared, "tuned_place").notna().any())

    @property
    def impl_note(self) -> str:
        """A sentence for captions if several impls of a configuration were run, of which one counts."""
        excluded = len(self.compared) - len(self.merged_runs)
        return (
            f" One impl per configuration counts, the first; {excluded} runs of others are excluded."
            if excluded
            else ""
        )

    def sort_by_problem(self, table: pd.DataFrame) -> pd.DataFrame:
        """A table in the order in which the problems occur in the runs."""
        places = {name: place for place, name in enumerate(self.problems)}
        return table.loc[table["problem"].map(places).sort_values(kind="stable").index]

    def describe_grey(self, figure: Figure) -> str:
        """A sentence for the caption of a figure in which some optimizers are grey."""
        count, coloured = len(self.style.optimizers), self.style.coloured
        if figure.chart is None or count == coloured or not figure.coloured:
            return ""
        return f" Coloured: the {coloured} of {count} optimizers with the best mean rank; the others are grey."
