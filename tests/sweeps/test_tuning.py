from __future__ import annotations

import io
import json
import math
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from conftest import ROOT
from rich.console import Console
from support.tiers import representatives

import gdbench
from gdbench.analysis.tuning_score import is_cost_metric
from gdbench.analysis.tuning_table import TUNING_COLUMNS
from gdbench.config.schema import METRICS
from gdbench.errors import UsageError
from gdbench.report.terminal.tuning import render_tuning
from gdbench.results.columns import COLUMNS
from gdbench.results.statuses import SOUND

pytestmark = pytest.mark.usefixtures("own_folder")


def winner(**asked: Any) -> pd.Series:
    """The one row of a search."""
    winners = gdbench.tune(**asked)
    assert len(winners) == 1
    return winners.iloc[0]


@pytest.fixture(scope="module")
def silent(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """The winners of a search of two methods, without a clock."""
    return gdbench.tune(optimizer=["gd", "adam"], points=3, trials=6, outputs=tmp_path_factory.mktemp("silent"))


# --------------------------------------------------------------------------------------------------- what it finds


def test_gradient_descent_on_a_quadratic_is_tuned_to_its_theory() -> None:
    """By the final gap, the best lr of gradient descent is 2 / (L + mu) within a percent (Nesterov 2004)."""
    found = winner(objective="quadratic", optimizer="gd", metric="final_gap", steps=600, dtype="float64")

    assert found["lr"] == pytest.approx(2 / 1.01, rel=0.01)
    assert found["value"] == found["final_gap"]
    assert found["edges"] == ""


@pytest.mark.slow
def test_the_heavy_ball_is_tuned_to_its_theory() -> None:
    """Both axes of the heavy ball end near lr (2 / (1 + sqrt mu))^2, momentum ((1 - sqrt mu) / (1 + sqrt mu))^2."""
    axes = {"optimizer.momentum": "interval(0,0.99)", "objective.condition": 100.0}
    found = winner(objective="quadratic", optimizer="momentum", metric="final_gap", steps=150, dtype="float64", **axes)
    root = math.sqrt(0.01)

    assert found["lr"] == pytest.approx((2 / (1 + root)) ** 2, rel=0.1)
    assert found["optimizer.momentum"] == pytest.approx(((1 - root) / (1 + root)) ** 2, abs=0.05)
    at_theory = gdbench.run(
        "quadratic", optimizer="momentum", steps=150, dtype="float64", timing="off",
        lr=(2 / (1 + root)) ** 2, **{"optimizer.momentum": ((1 - root) / (1 + root)) ** 2},
    )  # fmt: skip
    assert found["final_gap"] <= at_theory["final_gap"][0]


@pytest.mark.parametrize(
    "metric", representatives([m for m in METRICS if m != "time_to_target"], ["steps_to_target", "best_gap"])
)
def test_no_run_of_the_table_is_better_than_the_winner(metric: str) -> None:
    """The winner has the lowest metric of all sound runs that stay at the target, or the spike that is shown has it."""
    asked = {"objective.condition": 10.0, "steps": 60, "points": 5, "trials": 8, "metric": metric}
    winners = gdbench.tune("quadratic", optimizer=["gd", "momentum"], **asked)
    runs = gdbench.load(winners.attrs["folder"])
    sound = runs[runs["status"].isin(SOUND)]

    for _, row in winners.iterrows():
        mine = sound[sound["optimizer"] == row["optimizer"]]
        assert row["status"] in SOUND
        assert row["run_id"] in set(mine["run_id"])
        able = (
            mine if not is_cost_metric(metric) or row["outcome"] != "stays" else mine[mine["steps_to_settle"].notna()]
        )
        lowest = able[metric].astype("Float64").fillna(math.inf).min()
        best = row["value"] if pd.isna(row["spike_value"]) else row["spike_value"]
        assert best == max(lowest, row["gap_floor"] if metric.endswith("_gap") else lowest) <= row["value"]


def test_a_diverged_run_never_wins() -> None:
    """Where nothing but divergence is in the user's range there is no winner, and the row says so."""
    found = winner(objective="quadratic", lr="tag(log,interval(1e2,1e4))", points=5)

    assert math.isinf(found["value"])
    assert found["status"] == "nonfinite"
    assert pd.isna(found["command"])
    assert pd.isna(found["lr"])


@pytest.mark.slow
def test_the_order_of_the_optimizers_does_not_matter(silent: pd.DataFrame) -> None:
    """Each row is tuned on its own: another order gives the same winners."""
    back = gdbench.tune(optimizer=["adam", "gd"], points=3, trials=6)
    same = [
        name
        for name in back
        if name not in ("sweep", "cell", "cell_s", "convergence_pass_s", "started_at", "overrides")
    ]

    pd.testing.assert_frame_equal(silent[same], back[same])


@pytest.mark.slow
@pytest.mark.parametrize("dtypes", ["float64", "float32,float64"])
def test_commas_make_a_row_each(dtypes: str) -> None:
    """Every combination of objective, optimizer and dtype is tuned, grouped by objective and dtype, the best first."""
    asked = {"objective": ["notebook_manual", "quadratic"], "dtype": dtypes.split(",")}
    winners = gdbench.tune(steps=3, optimizer=["gd", "adam"], metric="final_loss", points=3, trials=6, **asked)

    assert len(winners) == len(winners.groupby([*asked, "optimizer"])) == 4 * len(asked["dtype"])
    assert winners["objective"].tolist() == sorted(winners["objective"])
    for _, group in winners.groupby([*asked]):
        assert group["value"].is_monotonic_increasing


# ------------------------------------------------------------------------------------------ equal trials, and spikes


def test_every_row_makes_as_many_trials(command: Callable[..., Any]) -> None:
    """All methods of a tune try the same number of distinct lrs, which caption, table, sentence and JSON state."""
    words = ("optimizer=gd,adam", "steps=20", "points=5", "trials=8", "timing=off")
    printed = command("tune", *words, "outputs=a").out
    rows = json.loads(command("tune", *words, "outputs=b", "--json").out)
    runs = gdbench.load("a")

    assert runs.groupby("optimizer")["lr"].nunique().tolist() == [8, 8]
    assert [row["trials"] for row in rows] == [row["budget"] for row in rows] == [8, 8]
    assert "8 trials each" in printed.splitlines()[0]
    assert "of 8 tried for each: " in printed
    assert "trials" in printed.splitlines()[3]


def test_a_range_without_more_numbers_is_told(command: Callable[..., Any]) -> None:
    """Where a range holds fewer numbers of four digits than there are trials, the row says so."""
    printed = command("tune", "lr=interval(0.1,0.1004)", "steps=5", "timing=off").out

    assert "5 of 100 trials were made: the range or the list holds no more numbers of four digits" in printed


@pytest.mark.parametrize(
    ("lrs", "words"),
    [
        ("lr=0.001,0.007382,0.1", "no neighbouring lr performs similarly; treat this optimum as fragile"),
        (
            "lr=0.001,0.00736,0.00738,0.0074,0.1",
            "only lrs within a factor of 1.01 of one another cost at most twice as much",
        ),
    ],
)
def test_a_narrow_optimum_is_told_from_one_that_stands_alone(command: Callable[..., Any], lrs: str, words: str) -> None:
    """On the notebook's function momentum does well at lrs beside 0.00738 alone: neighbours that do too are no luck."""
    assert words in command("tune", "optimizer=momentum", lrs, "timing=off").out


README_TUNES = "tune objective=rosenbrock optimizer=gd,momentum,adam steps=3000"


@pytest.mark.slow
def test_the_methods_of_the_readme_are_ranked_by_what_stays(command: Callable[..., Any]) -> None:
    """On Rosenbrock's function no winner ends at a gap of 0.17, and momentum's and adam's lucky hits are spikes."""
    printed = command(*README_TUNES.split()).out
    rows = [line.split() for line in printed.splitlines() if line.startswith(("momentum", "adam", "gd "))]
    runs = gdbench.load()

    assert [row[0] for row in rows[:3]] == ["momentum", "adam", "gd"]
    assert rows[0][1:5] == ["0.003162", "target", "281", rows[0][4]]
    assert float(rows[0][4]) < 1e-6
    assert float(rows[1][4]) < 1e-6
    assert runs[(runs["optimizer"] == "momentum") & runs["steps_to_settle"].notna()]["steps_to_target"].min() < 281
    assert all(words in printed for words in ("spike", "tuned for", "python -m gdbench "))
    assert f"python -m gdbench {README_TUNES}" in (ROOT / "README.md").read_text(encoding="utf-8")


# ---------------------------------------------------------------------------------------------------- range, edges


EDGES = [
    ("tag(log,interval(1e-3,1))", "lr larger"),
    ("tag(log,interval(1.985,1.999))", "lr smaller"),
    ("tag(log,interval(1e-3,1e3))", ""),
    ("interval(0.1,4)", ""),
    (None, ""),
]


@pytest.mark.parametrize(("interval", "edges"), representatives(EDGES, EDGES[:2]))
def test_an_edge_is_told_where_the_range_leaves_the_best_out(interval: str | None, edges: str) -> None:
    """The best at the end of the user's range is told, one within it is not."""
    asked = {"lr": interval} if interval else {}
    found = winner(objective="quadratic", metric="final_gap", steps=300, dtype="float64", **asked)

    assert found["edges"] == edges


@pytest.mark.slow
def test_a_default_range_grows_and_a_users_does_not() -> None:
    """Without lr= the grid leaves 1e-6 ... 10 where the best lies beyond; a user's range is never left."""
    far = {"objective": "quadratic", "objective.smoothness": 1e-5, "metric": "final_gap", "steps": 100, "points": 15}
    assert winner(**far)["lr"] == pytest.approx(2e5 / 1.01, rel=0.1)
    winners = gdbench.tune(lr="tag(log,interval(1e-2,1e2))", **far)

    assert gdbench.load(winners.attrs["folder"])["lr"].between(1e-2, 1e2).all()
    assert winners["edges"].tolist() == ["lr larger"]


def test_no_edge_where_there_is_nothing_beyond() -> None:
    """A momentum of 0 is the end of what there is: no warning asks for less."""
    found = winner(
        objective="quadratic", optimizer="momentum", metric="final_gap", steps=100, lr=1.9,
        **{"objective.condition": 1.0, "objective.n": 1, "optimizer.momentum": "interval(0,0.99)"},
    )  # fmt: skip

    assert "smaller" not in found["edges"]


@pytest.mark.slow
def test_lr_scale_is_tuned_too() -> None:
    """A multiple of 1/L is tuned as lr is: 2 / (1 + mu / L) of it is best; lr=null is understood."""
    asked = {"lr_scale_of": "L", "lr_scale": "tag(log,interval(0.01,10))", "objective.smoothness": 50.0}
    found = winner(objective="quadratic", metric="final_gap", steps=600, dtype="float64", **asked)

    assert found["lr"] == pytest.approx(2 / 1.01 / 50, rel=0.01)
    assert "lr_scale=" in found["command"]


def test_listed_values_are_chosen_from() -> None:
    """Values given by commas are tried as they are, each with every lr, and the best pair wins."""
    found = winner(
        objective="quadratic",
        optimizer="momentum",
        metric="final_gap",
        steps=150,
        **{"optimizer.momentum": [0.0, 0.7, 0.99]},
    )

    assert found["optimizer.momentum"] == 0.7
    assert found["axes"] == "lr, optimizer.momentum"


# --------------------------------------------------------------------------------------------------- seeds and time


@pytest.mark.slow
def test_several_seeds_are_worth_their_median() -> None:
    """With seeds the metric is the median over them, and every run of them is a row."""
    winners = gdbench.tune("quadratic", start_noise=0.5, seed=[0, 1, 2], metric="final_loss", steps=60, points=11)
    runs = gdbench.load(winners.attrs["folder"])
    medians = runs.groupby("lr")["final_loss"].median()

    assert winners["value"][0] == medians.min()
    assert (runs.groupby(["cell", "lr"]).size() == 3).all()
    assert winners["runs"][0] == len(runs)
    assert "seed=[0,1,2]" in winners["command"][0]
    assert winners["seeds"][0] == 3


@pytest.mark.parametrize("methods", representatives(["gd", "gd,momentum"], ["gd"]))
def test_time_comes_from_runs_timed_alone(methods: str) -> None:
    """metric=time_to_target narrows by gradients, then times finalists in cells of one run, and the fastest wins."""
    winners = gdbench.tune(
        metric="time_to_target", optimizer=methods.split(","), points=9, trials=20, **{"timing.seconds": 0.001}
    )
    runs = gdbench.load(winners.attrs["folder"])
    timed = runs[runs["time_to_target_s"].notna()]

    assert (timed.groupby("cell").size() == 1).all()
    assert timed["timed"].all()
    assert (timed.groupby("optimizer").size() == 5).all()
    assert (
        winners.set_index("optimizer")["value"].to_dict()
        == timed.groupby("optimizer")["time_to_target_s"].min().to_dict()
    )


@pytest.mark.slow
def test_winners_are_timed_where_a_clock_was_asked_for(silent: pd.DataFrame) -> None:
    """timing= times the winner of each row, once and alone; without it nothing is timed."""
    timed = gdbench.tune(optimizer="gd", points=3, trials=6, **{"timing.seconds": 0.001})
    runs = gdbench.load(timed.attrs["folder"])

    assert timed["timed"].all()
    assert runs["step_s"].notna().sum() == 1
    assert not silent["timed"].any()
    assert timed["lr"].tolist() == silent.loc[silent["optimizer"] == "gd", "lr"].tolist()


# ----------------------------------------------------------------------------------------------- the table, the folder


def test_winners_are_runs_and_what_was_found(silent: pd.DataFrame) -> None:
    """The columns are those of a run, its hyper-parameters, and the ones that FOUND describes."""
    assert list(silent)[: len(COLUMNS)] == list(COLUMNS)
    assert list(silent)[-len(TUNING_COLUMNS) :] == list(TUNING_COLUMNS)
    assert silent["steps_to_target"].dtype == "Int64"


def test_every_round_is_in_one_folder(silent: pd.DataFrame) -> None:
    """A search is one sweep: each round is a cell, each run a row, and each cell's configuration is kept."""
    folder = Path(silent.attrs["folder"])
    runs = gdbench.load(folder)

    assert (
        silent.groupby("optimizer")["rounds"].sum().to_dict() == runs.groupby("optimizer")["cell"].nunique().to_dict()
    )
    assert silent["runs"].sum() == len(runs)
    assert len(list((folder / ".hydra").glob("cell-*.yaml"))) == runs["cell"].nunique()
    assert not (folder / "parts").exists()


@pytest.mark.slow
def test_the_width_of_what_does_equally_well_is_told() -> None:
    """On (x - 2)^2 from 10, gd takes one step at lr 1/2 only: a spike in the plateau of those that take two to four."""
    found = winner(objective="notebook_manual")
    wide = winner(objective="notebook_manual", target=0.5)

    assert found["lr"] == pytest.approx(0.5, rel=0.03)
    assert found["plateau_decades"] <= found["within_2x_decades"] < 0.2
    assert (found["spike_value"], found["value"]) == (1, 2)
    assert found["spike_lr"] == pytest.approx(0.5, rel=0.001)
    assert wide["plateau_decades"] == pytest.approx(math.log10((1 + 0.5**0.5) / (1 - 0.5**0.5)), abs=0.1)
    assert wide["lr"] == pytest.approx(0.5 * math.sqrt((1 + 0.5**0.5) * (1 - 0.5**0.5)), rel=0.1)


def test_a_function_of_ones_own_can_be_tuned() -> None:
    """A function and its start are tuned by the final loss; a metric that needs a minimum is refused in words."""
    found = winner(objective=lambda x: (x**2).sum(), x0=torch.ones(3), metric="final_loss", steps=20)
    assert found["lr"] == pytest.approx(0.5, rel=0.01)
    with pytest.raises(UsageError, match=r"states no minimum, .* give target_loss=, or take metric=final_loss\."):
        gdbench.tune(lambda x: (x**2).sum(), x0=torch.ones(3))


# --------------------------------------------------------------------------------------------------- the command line


@pytest.mark.slow
def test_the_command_line_and_python_find_the_same(command: Callable[..., Any]) -> None:
    """``tune`` prints as JSON what gdbench.tune returns."""
    done = command("tune", "optimizer=gd,adam", "points=5", "trials=8", "steps=5", "metric=final_loss", "--json")
    asked = {"optimizer": ["gd", "adam"], "points": 5, "trials": 8, "steps": 5, "metric": "final_loss"}
    rows, winners = json.loads(done.out), gdbench.tune(**asked)

    assert (done.code, done.err) == (0, "")
    assert [row["lr"] for row in rows] == winners["lr"].tolist()
    assert [row["command"] for row in rows] == winners["command"].tolist()
    assert list(rows[0]) == list(winners)


@pytest.mark.slow
def test_quiet_leaves_only_the_files(command: Callable[..., Any]) -> None:
    """--quiet prints nothing; the runs are on disk."""
    assert command("tune", "--quiet", "points=5", "trials=8") == (0, "", "")
    assert len(gdbench.load()) > 5


def test_the_command_of_a_winner_repeats_it(command: Callable[..., Any], own: Path) -> None:
    """What the report prints runs the winner again: the same key, also with a folder of one's own."""
    words = ["--config-dir", str(own), "objective=bowl", "optimizer=sign", "optimizer.factor=interval(0.5,2)"]
    done = command("tune", *words, "lr=0.1,0.2", "steps=10", "points=3", "trials=8", "metric=final_loss")
    line = next(line for line in done.out.splitlines() if line.startswith("  python"))
    assert command(*shlex.split(line)[3:], "outputs=again", "timing=off", "--quiet").code == 0
    again = gdbench.load("again")

    assert done.code == 0, done.err
    assert again["run_id"][0] in set(gdbench.load("outputs")["run_id"])
    assert again["final_loss"][0] == gdbench.load("outputs")["final_loss"].min()


@pytest.mark.slow
def test_progress_is_a_line_a_row(command: Callable[..., Any]) -> None:
    """Without a terminal stderr has a line for each row that was tuned, and no colour is anywhere."""
    done = command("tune", "optimizer=gd,adam", "points=3", "trials=5", "steps=20")

    assert [line.split("  ")[0] for line in done.err.splitlines()] == ["row 1/2", "row 2/2"]
    assert "\x1b" not in done.out + done.err


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("lr=0.1", "there is nothing to tune: leave out lr=, or give it as"),
        ("lr=interval(1,0)", "lr=interval(1,0) must lead from a lower to a higher number."),
        ("lr=tag(log,interval(0,1))", "lr=tag(log,interval(0,1)) must lead from a lower to a higher number above 0."),
        ("lr=interval(-1,1)", "lr=-1 must be a positive number"),
        (
            "optimizer.momentum=interval(0,1)",
            "optimizer.momentum=interval(...): optimizer=gd has no such number to tune",
        ),
        ("optimizer=adam optimizer.beta1=interval(0,1)", "optimizer.beta1=1 must be a number from 0 to below 1"),
        ("steps=interval(1,10)", "steps=interval(...): optimizer=gd has no such number to tune"),
        ("metric=time_to_target timing=off", "metric=time_to_target needs a clock: set timing=quick or timing=full."),
        ("timing=quick,full", "timing=quick,full: winners are timed in one way; give one value."),
        ("metric=fast", "metric=fast is not known. Allowed: steps_to_target, "),
        ("goal=final_gap", "goal"),
        ("trials=0", "trials=0 must be a whole number"),
        ("trials=1", "trials=1 is fewer than the 2 points of the first grid (2 values of each range): give trials=2"),
        ("trials=3 lr=0.1,0.2 optimizer=momentum optimizer.momentum=0,0.9", "trials=3 is fewer than the 4 points"),
        ("optimizer=adamm", "optimizer=adamm is not known. Did you mean adam"),
        ("lr=(", "lr=( cannot be read"),
        ("steps=0", "steps=0 must be a whole number"),
        (
            "hydra/launcher=joblib",
            "hydra/launcher=joblib: tune has its own sweeper, in this process; leave it out.",
        ),
        ("--fast", "No such option: --fast. See python -m gdbench tune --help."),
        ("--config-dir /no/such", "/no/such"),
    ],
)
def test_a_mistake_is_one_clear_line(command: Callable[..., Any], tmp_path: Path, line: str, words: str) -> None:
    """Whatever cannot be tuned is refused in one line with exit code 2, before a folder is made."""
    done = command("tune", *line.split())

    assert done.code == 2
    assert done.err.count("\n") == 1
    assert words in done.err
    assert not list(tmp_path.iterdir())


def test_a_method_that_is_not_to_be_had_is_a_row(command: Callable[..., Any]) -> None:
    """A row without a single run says why, after one round, and the others are tuned."""
    done = command("tune", "optimizer=lbfgs,gd", "impl=manual", "points=5", "trials=8")
    runs = gdbench.load()

    assert done.code == 0
    assert "lbfgs on notebook_manual: none of 5 runs has a result (optimizer=lbfgs has no manual" in done.out
    assert (runs["status"] == "unavailable").sum() == 5


def test_an_objective_that_raises_is_a_row_and_exit_code_1(command: Callable[..., Any], own: Path) -> None:
    """A failed row is told with its reason, and the rest is tuned."""
    done = command(
        "tune", "--config-dir", str(own), "objective=raises,bowl", "metric=final_loss", "points=3", "trials=5"
    )

    assert done.code == 1
    assert "ArithmeticError: no value here" in done.out
    assert "Repeat the best:" in done.out


def test_ctrl_c_shows_the_best_so_far(command: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """An interruption ends with exit code 130 and the table of what was found until then."""
    from gdbench.sweeps import adaptive

    calls: list[int] = []
    inner = adaptive.run_job

    def interrupted(*args: Any) -> Any:
        calls.append(1)
        if len(calls) == 7:
            raise KeyboardInterrupt
        return inner(*args)

    monkeypatch.setattr(adaptive, "run_job", interrupted)
    done = command("tune", "optimizer=gd,adam,momentum")

    assert done.code == 130
    assert "interrupted" in done.err
    assert "Repeat the best:" in done.out
    assert len(gdbench.load()["cell"].unique()) == 5  # the sixth call recorded the path of the first winner


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """Winners that differ in all that a table may have to show: real ones, and the same under other names."""
    axes = {"optimizer.momentum": "interval(0,0.99)", "objective.condition": [10.0, 123.4]}
    asked = {**axes, "outputs": tmp_path_factory.mktemp("outputs"), "points": 4, "trials": 16, "steps": 3}
    winners = gdbench.tune("quadratic", optimizer="momentum", **asked)
    foreach = winners.assign(impl="foreach")
    others = [winners.assign(optimizer="nesterov"), foreach, foreach.assign(dtype="bfloat16")]
    return pd.concat([winners, *others], ignore_index=True)


@pytest.mark.slow
@pytest.mark.parametrize("width", [60, 80, 100])
def test_a_report_fits_the_terminal(many: pd.DataFrame, width: int) -> None:
    """No line but a command or a path is wider than the terminal, and no cell of the table is cut."""
    file = io.StringIO()
    out = Console(file=file, width=width, highlight=False)
    out.print(render_tuning(many, Path("outputs/x"), width), crop=False)
    lines = file.getvalue().splitlines()

    assert "…" not in file.getvalue()
    assert max(len(line) for line in lines if not line.startswith(("  python", "Files"))) <= width
    assert any(line.startswith("optimizer  impl") for line in lines)
