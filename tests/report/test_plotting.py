"""gdbench.plot: lines by settings, runs that leave, contours of own functions, and a word where nothing is drawn."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.tiers import count_examples, representatives

import gdbench
from gdbench import UsageError
from gdbench.analysis.divergence_clipping import clip_paths
from gdbench.analysis.performance_profiles import compute_performance_profile
from gdbench.report.charts.profiles import stack_views
from gdbench.report.plotting import _describe_flat_profiles
from gdbench.report.render_images import render_svg

RATES = [1e-4, 1e-3, 1.0]
"""Too small, right, diverging on Rosenbrock's function."""


def bowl(x: torch.Tensor) -> torch.Tensor:
    """A bowl of two coordinates with its minimum of -10 at (1, -0.5)."""
    return (x[0] - 1) ** 2 + 5 * (x[1] + 0.5) ** 2 - 10


def lines(chart: dict[str, Any]) -> dict[str, pd.DataFrame]:
    """The rows that a chart draws, by the line that they are of."""
    table = pd.DataFrame(chart["datasets"]["table"])
    return {str(name): part for name, part in table.groupby("optimizer")}


def words(chart: dict[str, Any]) -> str:
    """The title of a chart with its notes, whose lines are joined."""
    title = chart.get("title", "")
    lines = title.get("subtitle", title["text"]) if isinstance(title, dict) else [title]
    return " ".join([lines] if isinstance(lines, str) else lines)


@pytest.fixture(scope="module")
def rates(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """Three learning rates in two dtypes on Rosenbrock's function."""
    outputs = tmp_path_factory.mktemp("rates")
    return gdbench.sweep("rosenbrock", lr=RATES, dtype=["float32", "float64"], steps=30, timing="off", outputs=outputs)


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """A function of one's own, of which no minimum is known; with lr 0.5 it diverges."""
    outputs = tmp_path_factory.mktemp("own")
    return gdbench.sweep(bowl, x0=[3.0, 2.0], lr=[0.001, 0.05, 0.5], steps=30, timing="off", outputs=outputs)


@pytest.mark.parametrize("draw", [gdbench.plot.convergence, gdbench.plot.trajectory])
def test_each_value_of_a_setting_has_a_line_in_one_panel(rates: pd.DataFrame, draw: Callable[..., Any]) -> None:
    """by=["lr", "dtype"] draws every pair of them, with colours and dashes that differ."""
    chart = draw(rates, by=["lr", "dtype"]).to_dict()
    assert list(lines(chart)) == sorted(
        f"lr {lr} {dtype}" for lr in ("0.0001", "0.001", "1") for dtype in ("float32", "float64")
    )
    assert "facet" not in chart
    layer = next(layer for layer in chart["layer"] if "strokeDash" in layer["encoding"])
    pairs = zip(
        layer["encoding"]["color"]["scale"]["range"], layer["encoding"]["strokeDash"]["scale"]["range"], strict=True
    )
    assert len({(colour, *dash) for colour, dash in pairs}) == 6
    assert layer["encoding"]["color"]["scale"]["domain"][0] == "lr 0.0001 float32"


def test_a_dtype_of_several_methods_is_named_with_its_method(rates: pd.DataFrame, tmp_path: Path) -> None:
    """Problems that differ by dtype are one panel when it is asked for by dtype; the best lr of each stands for it."""
    assert set(lines(gdbench.plot.convergence(rates, by="dtype").to_dict())) == {"float32", "float64"}

    both = gdbench.sweep("beale", optimizer=["gd", "adam"], lr=1e-3, steps=3, timing="off", outputs=tmp_path)
    assert set(lines(gdbench.plot.convergence(both, by="dtype").to_dict())) == {"gd float32", "adam float32"}


DIVERGING = {"rates": "lr 1", "own": "lr 0.5"}
"""The runs that are drawn, and the line that leaves."""


@pytest.mark.parametrize("source", representatives(DIVERGING, ("rates",)))
def test_a_run_that_diverges_is_drawn_to_where_it_leaves(source: str, request: pytest.FixtureRequest) -> None:
    """Its line ends at the picture's edge with a mark that is explained, and the others fill the picture."""
    runs, name = request.getfixturevalue(source), DIVERGING[source]
    runs = runs[runs["dtype"] == runs["dtype"].iloc[-1]]
    chart = gdbench.plot.convergence(runs, by="lr").to_dict()
    drawn = lines(chart)

    assert drawn[name]["left"].tolist()[-1]
    assert not any(part["left"].any() for other, part in drawn.items() if other != name)
    assert max(part["gap"].max() for part in drawn.values()) == drawn[name]["gap"].max() < 1000
    assert "left the picture, as it diverged" in words(chart)

    chart = gdbench.plot.trajectory(runs, by="lr", objective=bowl).to_dict()
    assert [row["optimizer"] for row in chart["datasets"]["ends"]] == [name]
    assert len(lines(chart)[name]) < 5
    assert "left the picture, as it diverged" in words(chart)


def test_a_run_that_diverges_in_its_first_step_is_no_empty_box(tmp_path: Path) -> None:
    """A learning rate at which the first step overflows is a mark at step 1."""
    runs = gdbench.run("rosenbrock", lr=1e30, steps=5, timing="off", outputs=tmp_path)

    (drawn,) = lines(gdbench.plot.convergence(runs).to_dict()).values()
    assert drawn[["x", "left"]].to_numpy().tolist() == [[1, True]]


def test_losses_are_drawn_where_no_minimum_is_known(own: pd.DataFrame) -> None:
    """Losses of either sign, all of them, on a linear axis called loss."""
    chart = gdbench.plot.convergence(own, by="lr").to_dict()
    layer = chart["layer"][0]

    assert lines(chart)["lr 0.05"]["gap"].min() < -9
    assert layer["encoding"]["y"]["title"] == "loss"
    assert layer["encoding"]["y"]["scale"].get("type") != "log"
    assert render_svg(chart).count("role-mark")


def test_no_chart_is_an_empty_box(own: pd.DataFrame, rates: pd.DataFrame, tmp_path: Path) -> None:
    """Without a target final losses are drawn against lr, profiles say why they are flat, and one point is a point."""
    chart = gdbench.plot.sensitivity(own).to_dict()
    assert [row["final_loss"] < 30 for row in chart["datasets"]["table"]] == [True, True]
    assert "no run stays at a target: final losses" in words(chart)
    assert "no run stays at a target: all lines lie at 0" in words(gdbench.plot.profile(own).to_dict())

    one = gdbench.run("rosenbrock", lr=1e-3, steps=1, timing="off", outputs=tmp_path)
    assert len(gdbench.plot.convergence(one).to_dict()["layer"]) == 3
    for wrong in (lambda x: 1 / 0, lambda x: (x - 5).log().sum()):
        lost = gdbench.run(wrong, x0=[1.0, 2.0], steps=2, timing="off", outputs=tmp_path)
        for draw in (gdbench.plot.convergence, gdbench.plot.trajectory, gdbench.plot.sensitivity):
            with pytest.raises(UsageError):
                draw(lost)


@pytest.mark.slow
def test_a_profile_without_a_step_says_why(tmp_path: Path) -> None:
    """One optimizer, one problem, and one lr with which none stays at a target: each flat view says what it is."""
    runs = gdbench.sweep(
        ["rosenbrock", "quadratic"],
        optimizer=["momentum", "adam"],
        lr=[0.001, 0.1],
        steps=300,
        target=0.1,
        timing="off",
        outputs=tmp_path,
    )
    alone = words(gdbench.plot.profile(runs[runs["optimizer"] == "momentum"]).to_dict())
    one = runs[(runs["objective"] == "rosenbrock") & (runs["lr"] == 0.001)]
    single = words(gdbench.plot.profile(one).to_dict())

    assert "momentum is alone, so it is the best wherever it stays at its target" in alone
    assert "each optimizer is the best on every problem where it stays at its target, so no line has a step" in single
    assert "step" not in words(gdbench.plot.profile(runs).to_dict())


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), st.sampled_from([1.0, 2.0, math.inf])), min_size=1))
def test_every_flat_view_of_a_profile_is_named(costs: list[tuple[int, int, float]]) -> None:
    """A note stands for each view of which no line has a step, and for no other."""
    table = pd.DataFrame(costs, columns=["problem", "solver", "cost"]).drop_duplicates(["problem", "solver"])
    profiles = stack_views(table, table[table["problem"] == table["problem"].iloc[0]], compute_performance_profile)
    steps = profiles.groupby(["view", "optimizer"])["share"].nunique().groupby("view").max()
    flat = set(steps.index[steps == 1])
    notes = _describe_flat_profiles(profiles.assign(optimizer=profiles["optimizer"].astype(str)))

    assert bool(notes) == bool(flat)
    assert len(flat) == 2 or all(note.startswith(tuple(flat)) for note in notes)


DOUBLED_RATES = [1e-5 * 2**place for place in range(12)]


@pytest.fixture(scope="module")
def twelve(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """Two methods at twelve lrs."""
    outputs = tmp_path_factory.mktemp("twelve")
    return gdbench.sweep(
        "rosenbrock", optimizer=["gd", "adam"], lr=DOUBLED_RATES, steps=5, timing="off", outputs=outputs
    )


@pytest.mark.parametrize(
    "draw", representatives([gdbench.plot.convergence, gdbench.plot.trajectory], [gdbench.plot.trajectory])
)
def test_many_values_of_a_number_have_colours_in_their_order(twelve: pd.DataFrame, draw: Callable[..., Any]) -> None:
    """Twelve lrs have twelve colours, from dark to light in the order of the lrs; several methods differ by dash."""
    runs = twelve
    colours, dashes = look_of(draw(runs[runs["optimizer"] == "gd"], by="lr").to_dict())
    brightness = [sum(bytes.fromhex(colour[1:])[:2]) for colour in colours]

    assert len(set(colours)) == 12
    assert brightness == sorted(brightness)
    assert dashes == [[1, 0]] * 12

    half = runs[runs["lr"].isin(DOUBLED_RATES[:6])]
    colours, dashes = look_of(draw(half, by="lr").to_dict())
    assert colours[:6] == colours[6:]
    assert len(set(colours)) == 6
    assert dashes == [dashes[0]] * 6 + [dashes[-1]] * 6
    assert dashes[0] != dashes[-1]


def look_of(chart: dict[str, Any]) -> tuple[list[str], list[list[int]]]:
    """The colours and the dashes of a chart's lines, in the order of its legend."""
    layer = next(layer for layer in chart["layer"] if "strokeDash" in layer["encoding"])
    colours, dashes = (layer["encoding"][channel]["scale"]["range"] for channel in ("color", "strokeDash"))
    return colours, dashes


def test_a_run_without_bound_leaves_below(tmp_path: Path) -> None:
    """Losses that fall to minus infinity leave at the lower edge."""
    runs = gdbench.run(lambda x: -(x**2).sum(), x0=[1.0, 2.0], lr=1.0, steps=300, timing="off", outputs=tmp_path)

    (drawn,) = lines(gdbench.plot.convergence(runs).to_dict()).values()
    assert drawn["left"].tolist()[-1]
    assert -1000 < drawn["gap"].iloc[-1] == drawn["gap"].min()
    assert gdbench.plot.trajectory(runs).to_dict()


def test_a_diverging_path_from_another_start_is_in_the_picture(tmp_path: Path) -> None:
    """Starts of all paths are in the box, those of runs that diverge too, so that each cross is."""
    runs = gdbench.sweep(
        bowl, x0=lambda seed: torch.tensor([3.0 + 20 * seed, 2.0]), lr=[0.01, 0.5], seed=[0, 1], steps=60,
        timing="off", outputs=tmp_path,
    )  # fmt: skip
    mixed = runs[(runs["lr"] < 0.1) == (runs["seed"] == 0)]

    chart = gdbench.plot.trajectory(mixed, by="lr").to_dict()
    (end,) = chart["datasets"]["ends"]
    low, high = chart["layer"][0]["encoding"]["x"]["scale"]["domain"]
    assert low <= end["x"] <= high
    assert high > 23


@pytest.mark.slow
def test_contours_in_a_notebook(rates: pd.DataFrame, own: pd.DataFrame) -> None:
    """Gdbench's own objectives have them unasked, a function where it is given, and else a note says how."""
    double = rates[rates["dtype"] == "float64"]
    shipped = gdbench.plot.trajectory(double).to_dict()["datasets"]
    assert len(shipped["contours"]) > 100
    assert shipped["minimisers"] == [{"x": 1.0, "y": 1.0}]

    assert "give objective=" in words(gdbench.plot.trajectory(own).to_dict())
    start = torch.tensor([3.0, 2.0])
    whole = gdbench.Objective(fn=bowl, start=start, minimisers=(torch.tensor([1.0, -0.5]),))
    for given_objective in (bowl, whole):
        chart = gdbench.plot.trajectory(own, objective=given_objective).to_dict()
        assert len(chart["datasets"]["contours"]) > 100
        assert "give objective=" not in words(chart)


CHARTS: dict[str, Callable[[pd.DataFrame], Any]] = {
    "convergence": gdbench.plot.convergence,
    "sensitivity": gdbench.plot.sensitivity,
    "profile": gdbench.plot.profile,
    "trajectory": gdbench.plot.trajectory,
}


@pytest.mark.parametrize("name", CHARTS)
def test_charts_of_what_load_returns_and_of_some_rows(rates: pd.DataFrame, name: str) -> None:
    """A loaded table knows where it came from, whole or filtered."""
    loaded = gdbench.load(rates.attrs["folder"])
    assert CHARTS[name](loaded[(loaded["dtype"] == "float64") & (loaded["lr"] < 0.1)]).to_dict()


@pytest.mark.slow
def test_charts_of_what_tune_returns(tmp_path: Path) -> None:
    """The winners of a search have paths, which its trials have not, and can be drawn; so can all that it tried."""
    winners = gdbench.tune(
        "rosenbrock", optimizer=["gd", "adam"], seed=[0, 1], start_noise=0.1, trials=6, steps=20, timing="off",
        outputs=tmp_path,
    )  # fmt: skip
    tried = gdbench.load(winners.attrs["folder"])
    traces = gdbench.load(winners.attrs["folder"], "traces")

    assert len(tried) == tried["run_id"].nunique() == 24
    assert set(winners["run_id"]) < set(traces["run_id"])
    assert traces["run_id"].nunique() == 4
    assert "20 of 24 runs recorded no path" in words(gdbench.plot.convergence(tried).to_dict())
    for draw in (gdbench.plot.convergence, gdbench.plot.trajectory):
        assert set(lines(draw(winners).to_dict())) == {"gd", "adam"}


WRONG: dict[str, tuple[Callable[[pd.DataFrame], Any], str]] = {
    "no setting": (lambda runs: gdbench.plot.convergence(runs, by="lrr"), "Those that differ: lr"),
    "no cost": (lambda runs: gdbench.plot.convergence(runs, against="time"), "Allowed: step, gradients, seconds"),
    "no unit": (lambda runs: gdbench.plot.sensitivity(runs, "time"), "Allowed: steps, gradients, seconds"),
    "no clock": (lambda runs: gdbench.plot.convergence(runs, against="seconds"), r"nothing was timed \(timing=off\)"),
    "no rows": (lambda runs: gdbench.plot.convergence(runs[runs["lr"] == 7]), "the table has 0 runs"),
    "no columns": (lambda runs: gdbench.plot.profile(runs[["run_id", "lr"]]), "give whole rows"),
    "no origin": (lambda runs: gdbench.plot.trajectory(pd.DataFrame(runs.to_dict("list"))), "give the traces too"),
    "no traces": (lambda runs: gdbench.plot.convergence(runs.assign(run_id="other")), "trace=none"),
    "no function": (lambda runs: gdbench.plot.trajectory(runs, objective=3), "must be a function"),
    "no such vector": (lambda runs: gdbench.plot.trajectory(runs, objective=lambda x: x[7]), "cannot be drawn"),
}
"""What is asked, and what the one line says."""


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_drawn_is_said_in_one_line(own: pd.DataFrame, name: str) -> None:
    """UsageError with what came and what is allowed."""
    draw, message = WRONG[name]
    with pytest.raises(UsageError, match=message) as error:
        draw(own)
    assert len(str(error.value).splitlines()) == 1


def test_no_path_of_ten_coordinates_and_too_many_lines(tmp_path: Path, rates: pd.DataFrame) -> None:
    """What has no plane, several problems in one plane, and lines that nobody can tell apart are refused."""
    ten = gdbench.sweep("quadratic", lr="tag(log,interval(1e-3,1))", points=13, steps=2, timing="off", outputs=tmp_path)
    with pytest.raises(UsageError, match=r"two coordinates.*quadratic"):
        gdbench.plot.trajectory(ten)
    with pytest.raises(UsageError, match="13 lines"):
        gdbench.plot.convergence(ten, by="lr")
    with pytest.raises(UsageError, match="rosenbrock float32, rosenbrock float64"):
        gdbench.plot.trajectory(rates)


def test_what_stands_beside_gaps_and_is_left_out_is_named(own: pd.DataFrame, rates: pd.DataFrame) -> None:
    """Losses that are not positive have no place on a log axis with gaps, and a note says so."""
    both = gdbench.load([own.attrs["folder"], rates.attrs["folder"]])

    assert "bowl is drawn where its loss is positive" in words(
        gdbench.plot.convergence(both[both["lr"] < 0.1]).to_dict()
    )


@settings(max_examples=count_examples(15, 60), deadline=None)
@example([(3.0, 2.2e-311)])
@example([(1.7e308, -1.7e308)])
@given(st.lists(st.tuples(*[st.floats(allow_nan=False, allow_infinity=False)] * 2), max_size=8))
def test_a_path_that_leaves_ends_in_the_box(points: list[tuple[float, float]]) -> None:
    """Whatever a diverging path does, its last point is in the picture, and its points up to there are its own."""
    box = {"x": (-1.0, 2.0), "y": (-3.0, 1.0)}
    path = pd.DataFrame([(0.0, 0.0), *points], columns=["x", "y"])
    path = path.assign(optimizer="gd", step=range(len(path)))

    shown, ends = clip_paths(path, box, {"gd"})
    (end,) = ends[["x", "y"]].to_numpy().tolist()
    assert all(box[name][0] <= value <= box[name][1] for name, value in zip("xy", end, strict=True))
    pd.testing.assert_frame_equal(shown[:-1], path[: len(shown) - 1])


def test_seeds_are_a_band_where_no_minimum_is_known(tmp_path: Path) -> None:
    """The losses of several seeds have a band around their median, as gaps have."""
    runs = gdbench.sweep(
        bowl, x0=[3.0, 2.0], lr=0.05, seed=[0, 1, 2, 3], start_noise=0.5, steps=20, timing="off", outputs=tmp_path
    )
    chart = gdbench.plot.convergence(runs).to_dict()
    (line,) = lines(chart).values()

    assert set(line["y"]) == {"loss"}
    assert (line["lo"] < line["hi"]).all()
    assert line["gap"].between(line["lo"], line["hi"]).all()
    assert "area" in str(chart)


@pytest.mark.slow
def test_a_panel_without_a_line_says_so(tmp_path: Path) -> None:
    """Where no run stays at the target of one problem of several, its panel holds a word, in a notebook and a page."""
    runs = gdbench.sweep(
        ["rosenbrock", "quadratic"], optimizer="adam", lr=[0.1, 0.2], steps=200, target=1e-3, timing="off",
        outputs=tmp_path,
    )  # fmt: skip
    drawn = gdbench.plot.sensitivity(runs)
    texts = render_svg(drawn.to_dict())

    assert set(runs.loc[runs["steps_to_settle"].notna(), "objective"]) == {"quadratic"}
    assert len(re.findall(">no run stays at the target<", texts)) == 1
