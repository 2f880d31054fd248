"""What tune chose is what table, best, report, figures and list of its folder name; a spike is said to be one."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import gdbench
from gdbench.analysis.lr_sensitivity import compute_lr_sensitivity, measure_lr_width
from gdbench.report.inputs import read_inputs
from gdbench.report.report_data import ReportData
from gdbench.results.costs import select_comparable
from gdbench.results.ranking import rank_configurations, select_best

SPIKE = ("objective=notebook_manual", "optimizer=gd", "timing=off")
"""On (x - 2)^2 from 10 gd takes one step at lr 1/2 alone, in the plateau of those that take two."""
OTHER_METRIC = (
    "objective=quadratic",
    "optimizer=gd,momentum",
    "metric=final_loss",
    "trials=12",
    "steps=60",
    "target=0.01",
)


pytestmark = pytest.mark.usefixtures("own_folder")


@pytest.fixture(scope="module")
def search(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """The winner of a search that has a spike."""
    return gdbench.tune(objective="notebook_manual", optimizer="gd", outputs=tmp_path_factory.mktemp("search"))


def copy_outputs(search: pd.DataFrame) -> None:
    """Put a copy of a search into the folder ``both``."""
    shutil.copytree(Path(search.attrs["folder"]).parents[1], "both")


def one_line(text: str) -> str:
    """A text without its line ends."""
    return " ".join(text.split())


def test_all_that_names_a_best_names_what_tune_chose(command: Callable[..., Any]) -> None:
    """tune, show, report, its figures and runs name one lr of a search by one number; the spike is said to be one."""
    winner = json.loads(command("tune", *SPIKE, "--json").out)[0]
    folder = next(Path("outputs").glob("*/*"))
    shown, page = one_line(command("show", str(folder)).out), one_line(command("report", "--format", "md").out)
    data = ReportData(read_inputs([folder]))
    listed = json.loads(command("sweeps", "--json").out)[0]
    chosen, spike = f"lr {winner['lr']:.4g}", f"{winner['spike_lr']:.4g}"

    assert (winner["value"], winner["spike_value"]) == (2, 1)
    assert f"Best: gd (manual) at {chosen}: 2 gradients. tune chose it by its steps to the target; lr {spike}" in shown
    assert "with 1 gradient, is a spike: its neighbours perform much worse." in shown
    assert re.search(r"lr +status +tune +steps to 1e-6 .*? target +chosen +2 ", shown)
    assert f"gd ({chosen}) is best: 2 gradients, the only method. tune chose it by its steps to the target" in page
    assert "ranked by the configuration that tune chose" in page
    assert listed["best_lr"] == winner["lr"]
    assert listed["best_value"] == 2
    assert data.best["lr"].tolist() == [winner["lr"]] == data.best_runs["lr"].tolist()
    assert data.best_runs["run_id"].isin(data.traces["run_id"]).all()
    assert measure_lr_width(data.sensitivity)["lr"].tolist() == [winner["lr"]]


@pytest.mark.slow
def test_the_metric_of_a_search_orders_its_methods_everywhere(command: Callable[..., Any]) -> None:
    """A search by the final loss has the same best method and lr in its table, in show, report and runs."""
    winners = json.loads(command("tune", *OTHER_METRIC, "steps=60", "timing=off", "--json").out)
    folder = next(Path("outputs").glob("*/*"))
    first = winners[0]
    shown, page = one_line(command("show", str(folder)).out), one_line(command("report", "--format", "md").out)
    listed = json.loads(command("sweeps", "--json").out)[0]
    table = select_best(rank_configurations(select_comparable(gdbench.load(folder))))

    assert [row["tuned_place"] for row in winners] == [1, 2]
    assert f"Best: {first['optimizer']} (manual) at lr {first['lr']:.4g}" in shown
    assert "tune chose it by its final loss" in shown
    assert f"{first['optimizer']} (lr {first['lr']:.4g}) is best" in page
    assert (listed["best_optimizer"], listed["best_lr"]) == (first["optimizer"], first["lr"])
    assert [*zip(table["optimizer"], table["lr"], strict=True)] == [(row["optimizer"], row["lr"]) for row in winners]


@pytest.mark.slow
def test_beside_another_sweep_a_search_stands_at_its_choice_and_beats_nothing_by_it(search: pd.DataFrame) -> None:
    """Methods of two sweeps are ordered by their medians, of which a search has that of its choice, not its spike."""
    still = {"optimizer.momentum": 0}
    copy_outputs(search)
    gdbench.sweep(objective="notebook_manual", optimizer="momentum", lr=0.5, timing="off", outputs="both", **still)
    table = rank_configurations(select_comparable(gdbench.load("both")))
    rows = table.drop_duplicates("solver").set_index("optimizer")

    assert rows.loc["gd", "value"] == 2
    assert rows.loc["gd", "tuned_for"] == "steps_to_target"
    assert table[table["passed"] == "spike"]["value"].tolist() == [1]
    assert (rows.loc["momentum", "value"], table["optimizer"].iloc[0]) == (1, "momentum")


def test_a_choice_that_was_run_again_is_still_the_choice(search: pd.DataFrame) -> None:
    """The command that repeats the best leaves a later run of the same question, which keeps what tune said of it."""
    winner = search.iloc[0]
    copy_outputs(search)
    gdbench.sweep(objective="notebook_manual", optimizer="gd", lr=[winner["lr"], 0.4], timing="off", outputs="both")
    runs = gdbench.load("both")

    assert (runs["run_id"] == winner["run_id"]).sum() == 2
    assert rank_configurations(select_comparable(runs))["lr"].iloc[0] == winner["lr"]


def test_seeds_share_the_choice_and_an_ordinary_sweep_has_none() -> None:
    """All seeds of the chosen point are marked, no other run; without a search the columns are null."""
    winner = gdbench.tune(optimizer="gd", seed=[0, 1, 2], start_noise=0.1, trials=12, points=6, steps=30).iloc[0]
    runs = gdbench.load(winner.to_frame().T.attrs.get("folder", "outputs"))
    plain = gdbench.sweep(optimizer="gd", lr=[0.1, 0.2], timing="off", outputs="plain")

    assert set(runs.loc[runs["tuned_place"].notna(), "lr"]) == {winner["lr"]}
    assert runs["tuned_place"].eq(1).sum() == 3
    assert plain["tuned_place"].isna().all()
    assert rank_configurations(select_comparable(plain))["tuned_for"].isna().all()


def test_decades_go_around_the_choice(search: pd.DataFrame) -> None:
    """What a method forgives is measured around the lr that tune chose, and not around its spike."""
    winner = search.iloc[0]
    told = select_comparable(gdbench.load(search.attrs["folder"]))

    assert measure_lr_width(compute_lr_sensitivity(told))["lr"].tolist() == [winner["lr"]]
    assert measure_lr_width(compute_lr_sensitivity(told.assign(tuned_place=None)))["lr"].tolist() == [
        winner["spike_lr"]
    ]


@pytest.mark.slow
def test_each_problem_of_a_search_has_a_best_of_its_own(command: Callable[..., Any]) -> None:
    """Targets are problems: the easy one does not win against the other, in tune as in show; equal methods tie."""
    words = ("objective=notebook_manual", "optimizer=momentum", "optimizer.momentum=0", "impl=manual,torch")
    out = one_line(command("tune", *words, "target=0.1,1e-6", "trials=16", "points=5", "timing=off").out)
    shown = one_line(command("show").out)

    for target in ("0.1", "1e-6"):
        best = re.search(
            rf"Best on notebook_manual target {target}, of 16 tried for each: momentum .*? at lr (\S+),", out
        )
        assert best is not None, out
        assert f"Best on notebook_manual target {target}: momentum" in shown
        assert f"lr {best[1]}" in shown
    assert out.count("tied with momentum (torch)") == 2
    assert "Repeat the best of each problem:" in out
