from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.cells import Compiled, Tiny, hits, parabola, plain, row, scripted, small, walk
from support.tiers import count_examples
from torch import Tensor
from torch._dynamo.utils import counters

from gdbench.engine.runner import run_cell
from gdbench.errors import Unavailable, describe_exception
from gdbench.objectives import Objective
from gdbench.objectives.classification import mlp
from gdbench.optimizers import Method
from gdbench.optimizers.line_search import armijo
from gdbench.optimizers.sgd import gd
from gdbench.optimizers.torch_optim import torch_optim
from gdbench.results.columns import COLUMNS
from gdbench.tree import flatten


def counting() -> tuple[Objective, list[int]]:
    """A parabola, and the list that grows with each of its evaluations."""
    calls: list[int] = []

    def fn(x: Tensor) -> Tensor:
        calls.append(1)
        return x**2

    return parabola(fn=fn), calls


def test_every_column_is_described() -> None:
    """Whatever the runner tells is a column of schema.COLUMNS, of one entry a run."""
    columns = run_cell(small(parabola(), lr=[0.1, 0.2, 0.3], seconds=0.01)).columns

    assert set(columns) <= set(COLUMNS)
    assert {name: len(column) for name, column in columns.items()} == dict.fromkeys(columns, 3)


# Seeds.


def test_an_ineffective_seed_runs_once() -> None:
    """Where the seed changes nothing each setting runs once, and all its seeds get that row."""
    objective, calls = counting()
    run_cell(small(objective, lr=[0.25, 0.1, 0.3]))
    once = len(calls)
    calls.clear()
    rates = np.repeat([0.25, 0.1, 0.3], 5)
    answer = run_cell(small(objective, lr=rates, seeds=list(range(5)) * 3, trace="full"))

    assert len(calls) == once
    assert answer.columns["seed_used"].tolist() == [False] * 15
    assert answer.columns["lanes"].tolist() == [3] * 15
    assert answer.columns["final_loss"].tolist() == pytest.approx(((1 - 2 * rates) ** 20).tolist())
    assert np.unique(answer.traces["row"]).tolist() == list(range(15))


def test_rows_keep_their_order_when_seeds_are_folded() -> None:
    """Copies go back to the rows they were asked for, in whatever order the settings came."""
    rates = [0.3, 0.1, 0.3, 0.2, 0.1]
    columns = run_cell(small(parabola(), lr=rates, seeds=[0, 0, 1, 0, 1], steps=1)).columns

    assert columns["final_loss"].tolist() == pytest.approx([(1 - 2 * lr) ** 2 for lr in rates])


def test_a_seed_without_effect_alone_is_said_so() -> None:
    """One seed has no copies, but the row still says that the seed changes nothing."""
    assert row(small(parabola(), seeds=[7]))["seed_used"] is False
    assert row(small(scripted([1, 2]), walk, steps=1))["seed_used"] is True


def test_start_noise_makes_seeds_differ_and_repeat() -> None:
    """With noise every seed has its own start, the same one each time and in whatever company."""
    cell = small(parabola(), seeds=[0, 1, 2, 1], start_noise=0.5)
    columns = run_cell(cell).columns
    losses = columns["start_loss"].tolist()

    assert columns["seed_used"].all()
    assert len(set(losses)) == 3
    assert losses[1] == losses[3]
    assert losses == run_cell(cell).columns["start_loss"].tolist()
    assert losses[2] == row(small(parabola(), seeds=[2], start_noise=0.5))["start_loss"]


def test_start_noise_has_the_deviation_asked_for() -> None:
    """The noise of many seeds has mean 0 and the deviation that was asked for, within four of their errors."""
    cell = small(parabola(start=torch.full((10_000,), 3.0, dtype=torch.float64)), start_noise=0.5)
    noise = cell.start(0) - 3

    assert abs(noise.mean()) < 4 * 0.5 / 100
    assert abs(noise.std() - 0.5) < 4 * 0.5 / 100 / 2**0.5


@settings(max_examples=count_examples(12, 50), deadline=None)
@given(seed=st.integers(0, 2**53 - 1), noise=st.sampled_from([0.0, 1e-3, 1.0]), centre=st.floats(-10, 10))
def test_starts_of_all_dtypes_are_one_start(seed: int, noise: float, centre: float) -> None:
    """A float32 run starts at the float64 run's start, rounded; noise included."""
    objective = parabola(start=torch.linspace(centre, centre + 1, 5, dtype=torch.float64))
    single, double = (
        small(objective, start_noise=noise, dtype=dtype).start(seed) for dtype in (torch.float32, torch.float64)
    )

    assert torch.equal(single, double.float())


def test_seeded_starts_of_all_dtypes_are_one_start() -> None:
    """What a seed draws does not depend on the dtype."""
    single, double = (small(mlp(4, 10), dtype=dtype).start(3) for dtype in (torch.float32, torch.float64))

    assert torch.equal(flatten(single, False), flatten(double, False).float())


def test_lanes_of_seeds_start_where_each_starts_alone() -> None:
    """The starts of a cell are those of its seeds, one a lane, laid out for lanes."""
    cell = small(parabola(start=torch.ones(3).double()), seeds=[5, 6, 5], start_noise=1.0)
    starts = cell.starts()

    assert starts.stride() == (1, 3)
    for lane, seed in enumerate((5, 6, 5)):
        assert torch.equal(starts[lane], cell.start(seed))


# Work.


def test_work_is_counted_per_lane() -> None:
    """Armijo asks for one gradient a step and for as many values as its search takes, lane by lane as alone."""
    rates = [0.25, 4.0, 64.0]  # x^2: accepted at once; after 4/0.5... halvings
    columns = run_cell(small(parabola(), armijo, lr=rates, steps=10)).columns
    alone = [row(small(parabola(), armijo, lr=lr, steps=10)) for lr in rates]

    assert columns["gradient_evals"].tolist() == [10] * 3
    assert columns["function_evals"].tolist() == [each["function_evals"] for each in alone]
    assert columns["function_evals"].tolist()[0] == 10
    assert columns["function_evals_to_target"].tolist() == [each["function_evals_to_target"] for each in alone]


def test_work_to_the_target_ends_with_it() -> None:
    """With one gradient a step there are as many gradients to the target as steps; judging adds none."""
    actual = row(small(parabola(), steps=30))

    assert actual["gradient_evals_to_target"] == actual["steps_to_target"] == 10
    assert actual["gradient_evals"] == 30
    assert actual["function_evals"] == actual["function_evals_to_target"] == 0


def test_the_closures_of_lbfgs_are_counted() -> None:
    """L-BFGS counts each gradient of its line search, up to the target and in all."""
    maker = Tiny(lambda lr: torch_optim(torch.optim.LBFGS, {"lr": lr, "max_iter": 1, "max_eval": 25}), lanes=False)
    actual = row(small(parabola(start=torch.tensor([1.0, 2.0]).double(), fn=lambda x: (x**4).sum()), maker, lr=0.1))

    assert actual["gradient_evals"] >= 10
    assert actual["function_evals"] == 0


# What goes wrong.


def failing(lr: float) -> Method:
    """A method that raises for one step size."""
    if lr == 0.2:
        raise ZeroDivisionError("no such\nstep")
    return gd(lr)


def test_a_run_that_raises_is_a_failed_row() -> None:
    """Run by run, the one that raises fails with its error in one line, and the others go on."""
    columns = run_cell(small(parabola(), Tiny(failing, lanes=False), lr=[0.1, 0.2, 0.25], trace="full")).columns

    assert columns["status"].tolist() == ["budget", "failed", "target"]
    assert columns["error"].tolist() == [None, "ZeroDivisionError: no such step", None]
    assert plain(columns["final_loss"], 1) is None
    assert plain(columns["final_loss"], 2) == 4.0**-10


def test_traces_of_a_run_that_raises_are_none() -> None:
    """The traces of the others name their own rows."""
    traces = run_cell(small(parabola(), Tiny(failing, lanes=False), lr=[0.2, 0.25], steps=1, trace="full")).traces

    assert traces["row"].tolist() == [1, 1]
    assert traces["loss"].tolist() == [1, 1 / 4]


def test_an_objective_that_raises_fails_every_run() -> None:
    """Nothing can be told of a cell whose objective raises, but that."""

    def fn(x: Tensor) -> Tensor:
        raise OverflowError("too much")

    columns = run_cell(small(parabola(fn=fn))).columns

    assert columns["status"].tolist() == ["failed"]
    assert columns["error"].tolist() == ["OverflowError: too much"]


def test_an_exception_is_explained_in_one_line() -> None:
    """However long and however many lines, an error becomes one line of at most 500 characters."""
    told = describe_exception(ValueError("a\n  b\t" + "c" * 1000))

    assert told.startswith("ValueError: a b ccc")
    assert len(told) == 500


@pytest.mark.parametrize("impl", ["manual", "torch"])
def test_the_notebook_through_the_runner(impl: str) -> None:
    """(x - 2)^2 from 10 with lr 0.1 in float32 prints the notebook's numbers, ours and torch's."""
    from gdbench.objectives.notebook import notebook_manual

    makers = {"manual": Tiny(), "torch": Tiny(lambda lr: torch_optim(torch.optim.SGD, {"lr": lr}), lanes=False)}
    cell = small(notebook_manual(), makers[impl], lr=0.1, steps=100, dtype=torch.float32, trace="full")
    answer = run_cell(cell)

    assert answer.traces["loss"][[0, 90]].tolist() == [64.0, 2.2737367544323206e-13]
    assert answer.traces["x"][[1, 91], 0].tolist() == [8.399999618530273, 2.000000476837158]
    assert None not in hits({name: plain(column, 0) for name, column in answer.columns.items()})


# Memory.


def hungry(most: int) -> Objective:
    """A parabola that needs more memory than any machine has where it holds more than so many lanes."""

    def fn(x: Tensor) -> Tensor:
        workspace = torch.empty(1 if x.dim() == 0 or len(x) <= most else 2**58)
        return x**2 + 0 * workspace.numel()

    return parabola(fn=fn)


def test_lanes_that_do_not_fit_are_tried_again_in_smaller_chunks() -> None:
    """Out of memory, a chunk runs in four parts, and tells what the whole would have told."""
    rates = np.linspace(0.01, 0.4, 18)
    fitting, split = (run_cell(small(hungry(most), lr=rates, trace="full")) for most in (99, 5))

    assert split.columns["status"].tolist() == fitting.columns["status"].tolist()
    assert split.columns["final_loss"].tolist() == fitting.columns["final_loss"].tolist()
    assert split.traces["loss"].tolist() == fitting.traces["loss"].tolist()


def test_lanes_that_do_not_fit_in_smaller_chunks_either_fail() -> None:
    """What is too large at a quarter of the lanes too is told so, in every row."""
    columns = run_cell(small(hungry(3), lr=np.linspace(0.01, 0.4, 18))).columns

    assert set(columns["status"]) == {"failed"}
    assert all("allocate memory" in error for error in columns["error"])


def test_lanes_through_a_module_of_torch_bear_many_chunks() -> None:
    """A network that all chunks of lanes share gives each run what it gives alone: no chunk sees another's weights."""
    lrs = np.geomspace(1e-3, 1.0, 240).tolist()
    objective = mlp(hidden=16, samples=40)
    together = run_cell(small(objective, lr=lrs, steps=5)).columns

    assert set(together["status"]) <= {"target", "plateau", "budget"}
    alone = [row(small(objective, lr=lr, steps=5))["final_loss"] for lr in lrs[::80]]
    assert together["final_loss"][::80] == pytest.approx(alone, rel=1e-9)


# Compiled lanes.


def test_one_graph_serves_all_numbers() -> None:
    """Other step sizes, targets, seeds and numbers of lanes, in chunks that go side by side, make no further graph."""
    maker, before = Compiled(), counters["stats"]["unique_graphs"]
    cells = [
        small(parabola(), maker, lr=np.linspace(0.1, 0.2, count), steps=4, start_noise=0.1, seeds=seeds, target=target)
        for count, seeds, target in ((2, [0], 1e-3), (3, [0, 1, 2], 1e-6), (200_000, [0, 1], 1e-6))
    ]
    whole = cells[-1]
    for cell in cells:
        shared = {"objective": whole.objective, "_laned_oracle": whole.oracle(True), "steps_per_call": 2}
        cell.__dict__.update(shared)
        run_cell(cell)

    assert counters["stats"]["unique_graphs"] - before == 1
    assert maker.program.compile_s > 0


def test_parts_of_a_cell_are_of_its_kind() -> None:
    """A chunk whose runs agree in what others differ in gets a number a lane like these: its graph is theirs."""
    cell = small(parabola(), lr=[0.1, 0.1, 0.2, 0.2])
    _ = cell.varying_hyper

    assert cell.take(np.array([0, 1])).laned_hyper()["lr"].tolist() == [0.1, 0.1]
    assert small(parabola(), lr=[0.1, 0.1]).laned_hyper()["lr"] == 0.1


def test_what_the_compiler_took_is_told_untimed() -> None:
    """``compile_s`` holds what torch.compile took for the watched pass, where nothing is timed too."""
    columns = run_cell(small(parabola(), Compiled(), lr=[0.1, 0.2])).columns

    assert columns["compile_s"].min() > 0


def test_lanes_that_cannot_be_compiled_are_unavailable() -> None:
    """An objective that branches on its numbers has no compiled lanes, and says so once."""

    def fn(x: Tensor) -> Tensor:
        return x**2 if float(x.detach().sum()) > 0 else -x

    with pytest.raises(Unavailable, match=r"^torch.compile: "):
        run_cell(small(parabola(fn=fn), Compiled(), lr=[0.1, 0.2]))
