"""The cells that overrides make."""

from __future__ import annotations

import pytest
from support.folding import folded

from gdbench.errors import UsageError
from gdbench.sweeps.job import Job


def lanes(job: Job) -> dict[str, list[float]]:
    """The axes of a cell that hold several values, or one that was given."""
    return {axis.name: axis.values.tolist() for axis in job.spec.axes if axis.name in job.spec.swept_axes()}


@pytest.mark.parametrize(
    ("overrides", "cells", "swept"),
    [
        ([], 1, {}),
        (["lr=0.1"], 1, {}),
        (["lr=0.1,0.2"], 1, {"lr": [0.1, 0.2]}),
        (["lr=[0.1,0.2]"], 1, {"lr": [0.1, 0.2]}),
        (["lr=choice(0.1,0.2)"], 1, {"lr": [0.1, 0.2]}),
        (["lr=range(1,4)"], 1, {"lr": [1, 2, 3]}),
        (["lr=interval(1,2)", "points=3"], 1, {"lr": [1, 1.5, 2]}),
        (["lr=tag(log,interval(1,100))", "points=3"], 1, {"lr": [1, 10, 100]}),
        (["seed=0,1,2"], 1, {"seed": [0, 1, 2]}),
        (["seed=range(0,3)"], 1, {"seed": [0, 1, 2]}),
        (["lr=null", "lr_scale=1,2"], 1, {"lr_scale": [1, 2]}),
        (["lr=0.1,0.2", "seed=0,1"], 1, {"lr": [0.1, 0.2], "seed": [0, 1]}),
        (["optimizer=adam", "optimizer.beta1=0,0.9"], 1, {"optimizer.beta1": [0, 0.9]}),
        (["optimizer=adam", "optimizer.eps=interval(1,2)", "points=2"], 1, {"optimizer.eps": [1, 2]}),
        (["optimizer=adam", "optimizer.amsgrad=true,false"], 2, {}),
        (["optimizer=lbfgs", "impl=torch", "optimizer.history_size=5,10"], 2, {}),
        (["optimizer=gd,adam", "impl=manual,torch", "lr=0.01,0.1"], 4, {"lr": [0.01, 0.1]}),
        (["objective=rosenbrock", "objective.n=2,3"], 2, {}),
        (["objective=quadratic", "objective.condition=10.0,100.0"], 2, {}),
        (["steps=10,20"], 2, {}),
        (["dtype=float32,float64", "device=cpu"], 2, {}),
        (["target=1e-3,1e-6", "lr=0.1,0.2"], 2, {"lr": [0.1, 0.2]}),
        (["start_noise=0.0,1.0"], 2, {}),
        (["lr=null,0.1"], 2, {}),
        (["optimizer=glob(adam*)"], 3, {}),
        (["timing=off,quick"], 2, {}),
    ],
)
def test_commas_over_numbers_are_lanes_and_all_else_makes_cells(
    overrides: list[str], cells: int, swept: dict[str, list[float]]
) -> None:
    """lr, lr_scale, seed and floats of the optimizer become lanes of each cell; every other axis multiplies cells."""
    jobs = folded(*overrides)

    assert len(jobs) == cells
    assert [lanes(job) for job in jobs] == [swept] * cells
    assert [job.cell for job in jobs] == list(range(cells))


def test_cells_are_the_product_in_the_order_given() -> None:
    """The last axis varies fastest, as in Hydra."""
    told = [(job.spec.optimizer, job.spec.impl) for job in folded("optimizer=gd,adam", "impl=manual,torch")]

    assert told == [("gd", "manual"), ("gd", "torch"), ("adam", "manual"), ("adam", "torch")]


def test_an_axis_travels_as_a_specification() -> None:
    """A thousand values are a few words in the overrides and in the configuration of a cell."""
    (job,) = folded("lr=tag(log,interval(1e-4,1))", "points=1000")

    assert job.spec.size == 1000
    assert sum(map(len, job.overrides)) < 100
    assert job.config["lr"] == "tag(log,interval(0.0001,1.0))"


def test_a_float_of_one_method_that_is_none_of_another_makes_cells() -> None:
    """Where a swept parameter is no float to every method of the sweep, it makes cells for all of them."""
    jobs = folded("optimizer=adam", "+optimizer.mine=1,2")

    assert [job.config["optimizer"]["mine"] for job in jobs] == [1, 2]


def test_the_last_word_on_a_key_holds() -> None:
    """A key given twice has its last value, also where one of the two was a sweep."""
    assert [lanes(job) for job in folded("lr=0.1,0.2", "lr=0.5")] == [{}]
    assert [lanes(job) for job in folded("lr=0.5", "lr=0.1,0.2")] == [{"lr": [0.1, 0.2]}]


def test_a_shuffled_axis_keeps_its_values() -> None:
    """What Hydra would shuffle still is run in full."""
    jobs = folded("lr=shuffle(0.1,0.2,0.3)")

    assert sorted(value for job in jobs for value in job.spec.lanes()["lr"]) == [0.1, 0.2, 0.3]


@pytest.mark.parametrize("overrides", [["steps=10,0"], ["lr=0.1,-1", "optimizer=gd,adam"], ["objective=glob(xyz)"]])
def test_a_bad_cell_is_found_while_planning(overrides: list[str]) -> None:
    """No cell that cannot be run leaves the planner."""
    with pytest.raises(UsageError):
        folded(*overrides)
