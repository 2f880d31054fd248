"""What several figures and tables of a report need, worked out once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from gdbench.analysis import best_configuration
from gdbench.analysis.lr_sensitivity import compute_lr_sensitivity
from gdbench.analysis.step_times import summarise_step_times
from gdbench.report.charts.vega_lite import PANELS, Figure
from gdbench.report.inputs import Source
from gdbench.report.style import Look
from gdbench.results import costs as problems
from gdbench.results.ranking import OUTCOMES, rank_configurations
from gdbench.results.run_outcomes import has_settled
from gdbench.results.values import to_floats

__all__ = ["Facts", "Shown"]


@dataclass
class Shown:
    """A table for people: its name, what it says, and its rows as they are."""

    name: str
    title: str
    rule: str
    table: pd.DataFrame


class Facts:
    """What several figures need, worked out once."""

    def __init__(self, source: Source, told: pd.DataFrame | None = None) -> None:
        """Of the runs and traces of a source; ``told`` are those that are compared, where that is not for us to say."""
        self.runs, self.traces = source.runs, source.traces
        self.told = problems.select_comparable(source.runs) if told is None else told
        self.merged = best_configuration.select_best_impls(self.told)
        self.problems = list(self.told["problem"].unique())

    @cached_property
    def costs(self) -> pd.DataFrame:
        """What every run paid, in gradients, impls merged."""
        return problems.compute_costs(self.merged)

    @cached_property
    def best(self) -> pd.DataFrame:
        """The best configuration of each optimizer on each problem."""
        return best_configuration.select_best_configurations(self.merged)

    @cached_property
    def unsolved(self) -> pd.DataFrame:
        """The standings on the problems on which no configuration reaches a target: by final gap or loss."""
        table = rank_configurations(self.merged)
        reached = table["outcome"].isin(OUTCOMES[:2]).groupby(table["problem"]).transform("any")
        return table[~reached.astype(bool)]

    @cached_property
    def look(self) -> Look:
        """Colours: of many optimizers those with the best mean place have one."""
        return Look.of(self.runs["optimizer"].astype(str), best_configuration.rank_solvers(self.best))

    @cached_property
    def one_lr(self) -> pd.DataFrame:
        """The one configuration of each optimizer for all problems."""
        return best_configuration.select_common_configurations(self.merged)

    @cached_property
    def best_runs(self) -> pd.DataFrame:
        """The runs of the best configurations, all seeds."""
        keys = ["problem", "solver", "configuration"]
        return self.merged.merge(self.best[keys], on=keys)

    @cached_property
    def rungs(self) -> pd.DataFrame:
        """What the best configurations paid for each rung of the ladder."""
        return problems.compute_ladder_costs(self.best_runs)

    @cached_property
    def steps_to_rungs(self) -> pd.DataFrame:
        """The median steps of the best configurations to each rung, by ``optimizer``.

        Where a configuration stays at its target, a run of it that left again reached neither that nor lower rungs: the
        steps to the target are those that it is ranked by.
        """
        runs = self.best_runs
        table = problems.compute_ladder_costs(runs, "steps")
        keys = ["problem", "solver", "configuration"]
        stays = runs[keys].merge(self.best[[*keys, "outcome"]], on=keys, how="left")["outcome"].eq("stays").to_numpy()
        left = pd.Series(stays & ~has_settled(runs), runs.index)
        target = to_floats(runs, "target")
        gone = left.reindex(table.index) & (table["target"] <= target.reindex(table.index))
        table["cost"] = table["cost"].where(~gone, np.inf)
        steps = table.groupby([*keys, "target"], sort=False, observed=True)["cost"].quantile(
            0.5, interpolation="higher"
        )
        return steps.rename("steps").reset_index().rename(columns={"solver": "optimizer"})

    @cached_property
    def sensitivity(self) -> pd.DataFrame:
        """What every lr costs in gradients."""
        return compute_lr_sensitivity(self.merged)

    @cached_property
    def step_times(self) -> pd.DataFrame:
        """What a step of each optimizer and impl takes."""
        return summarise_step_times(self.told)

    @property
    def seeds(self) -> int:
        """How many seeds the most repeated configuration has."""
        return (
            int(self.best_runs.groupby(["problem", "solver"])["run_id"].nunique().max()) if len(self.best_runs) else 0
        )

    @property
    def is_tuned(self) -> bool:
        """Whether tune chose any of the configurations."""
        return bool(to_floats(self.told, "tuned_place").notna().any())

    @property
    def impls(self) -> str:
        """A remark under what counts one impl of each configuration, where several were run."""
        left = len(self.told) - len(self.merged)
        return f" Of the impls of a configuration the first counts: {left} other runs are left out." if left else ""

    def ordered(self, table: pd.DataFrame) -> pd.DataFrame:
        """A table with its problems in the order of the runs."""
        places = {name: place for place, name in enumerate(self.problems)}
        return table.loc[table["problem"].map(places).sort_values(kind="stable").index]

    def greyed(self, figure: Figure) -> str:
        """A remark under a figure in which not all optimizers have a colour."""
        count, coloured = len(self.look.optimizers), self.look.coloured
        if figure.chart is None or count == coloured or not figure.coloured:
            return ""
        return f" In colour: the {coloured} of {count} optimizers that have the best mean place; the others are grey."

    @staticmethod
    def panels(table: pd.DataFrame, name: str = "problem") -> str:
        """A remark where a figure does not show all problems at once."""
        count, what = table[name].nunique(), "problems" if name == "problem" else "panels"
        return f" {PANELS} of {count} {what} are drawn; the page's filter shows the others." if count > PANELS else ""
