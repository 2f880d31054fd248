"""The stochastic contract: a step's minibatch depends on seed and step alone, and results are those on all data."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.cells import HITS, Compiled, Tiny, plain, small
from support.laws import apart, factory, hypers, manual, path, twin
from support.tiers import count_examples
from torch import Tensor

from gdbench.engine.cell import Cell
from gdbench.engine.convergence_pass import run_observed_pass
from gdbench.engine.descent import descent
from gdbench.engine.oracle import oracle
from gdbench.engine.runner import run_cell
from gdbench.engine.timer import WALL
from gdbench.engine.timing_pass import time_runs
from gdbench.engine.timing_verification import ObservedRuns
from gdbench.objectives import Objective
from gdbench.objectives.classification import logistic, mlp
from gdbench.objectives.counter_rng import mix_bits, random_bits, random_indices, random_normals
from gdbench.optimizers import StepInfo
from gdbench.tree import select_run, stack_runs

torch.set_num_threads(1)

F64 = torch.float64
BATCHED = {"laned": partial(logistic, batch=8), "by vmap": partial(mlp, hidden=3, samples=40, batch=8)}
of_each_kind = pytest.mark.parametrize("made", BATCHED.values(), ids=BATCHED)
SEEDS = (0, 3, 1, 7)


def exact(state: int) -> int:
    """SplitMix64's output in Python's own whole numbers."""
    mask = (1 << 64) - 1
    z = (state + 0x9E3779B97F4A7C15) & mask
    z = ((z ^ z >> 30) * 0xBF58476D1CE4E5B9) & mask
    z = ((z ^ z >> 27) * 0x94D049BB133111EB) & mask
    return z ^ z >> 31


# Numbers by counter.


def test_mixed_is_splitmix64() -> None:
    """From the state 1234567 come the first numbers that SplitMix64 is published with."""
    states = torch.tensor([1234567, 1234567 - 0x61C8864680B583EB])

    assert [number % 2**64 for number in mix_bits(states).tolist()] == [6457827717110365317, 3203168211198807973]


@given(seed=st.integers(0, 2**31 - 1), k=st.integers(0, 2**31 - 1))
@settings(max_examples=count_examples(12, 50), deadline=None)
def test_bits_are_those_of_whole_numbers(seed: int, k: int) -> None:
    """The numbers that torch wraps around are those worked out without bounds, for a step as a number and a tensor."""
    stream = exact((k + seed * 0x9E3779B97F4A7C15) % 2**64)
    expected = [exact((stream + i) % 2**64) for i in range(5)]
    for step in (k, torch.tensor(k, dtype=F64)):
        assert [number % 2**64 for number in random_bits(torch.tensor(seed), step, 5).tolist()] == expected


@pytest.mark.slow
def test_a_compiler_draws_the_same() -> None:
    """Bits drawn by inductor's kernels are the eager ones: products wrap around there too."""
    draw = torch.compile(partial(random_bits, count=7), fullgraph=True)
    for seed, k in ((0, 0), (5, 1000), (2**31 - 1, 3)):
        step = torch.tensor(float(k), dtype=F64)
        assert torch.equal(draw(torch.tensor(seed), step), random_bits(torch.tensor(seed), k, 7))


def test_positions_are_even() -> None:
    """Over many steps every sample is drawn equally often, and each pair of successive draws too, but for chance."""
    drawn = torch.stack([random_indices(torch.tensor(4), k, 50, 10) for k in range(2000)])
    singles = torch.bincount(drawn.flatten(), minlength=10)
    pairs = torch.bincount((10 * drawn[:, :-1] + drawn[:, 1:]).flatten(), minlength=100)

    for counts in (singles, pairs):
        mean = counts.sum() / len(counts)
        assert float(((counts - mean) ** 2 / mean).sum()) < len(counts) + 5 * (2 * len(counts)) ** 0.5  # chi-squared
    assert (drawn.min(), drawn.max()) == (0, 9)


def test_normals_are_normal() -> None:
    """The distribution of the normal numbers of many steps and seeds is the normal one (Kolmogorov and Smirnov)."""
    from scipy.stats import kstest

    drawn = torch.cat([random_normals(torch.tensor(seed), k, 100) for seed in range(10) for k in range(20)])

    assert drawn.dtype == F64
    assert kstest(drawn.numpy(), "norm").pvalue > 1e-3
    assert abs(float(torch.corrcoef(torch.stack([drawn[:-1], drawn[1:]]))[0, 1])) < 0.03


# What a step sees.


@of_each_kind
def test_the_gradient_is_unbiased(made: Any) -> None:
    """Over many steps the mean of a batch's loss and gradient is that of all data, within five standard errors."""
    objective, ask = made(), oracle(made(), laned=False, seeds=2)
    x = objective.start_at(0)
    seen = [ask.grad(x, k) for k in range(400)]
    losses = torch.stack([loss.detach() for loss, _ in seen])
    slopes = torch.stack([torch.cat([leaf.flatten() for leaf in _leaves(grad)]) for _, grad in seen])
    mean = torch.cat([leaf.flatten() for leaf in _leaves(ask.full.grad(x, 0)[1])])

    assert abs(float(losses.mean() - objective.value(x))) <= 5 * float(losses.std()) / 20 + 1e-12
    assert slopes.std(0).max() > 0
    assert ((slopes.mean(0) - mean).abs() <= 5 * slopes.std(0) / 20 + 1e-12).all()


def _leaves(x: Any) -> Sequence[Tensor]:
    return list(x.values()) if isinstance(x, dict) else [x]


@of_each_kind
@pytest.mark.parametrize("compiled", [False, True])
def test_a_lane_sees_its_own_batch(made: Any, compiled: bool) -> None:
    """In lanes of several seeds, and of one, each has the minibatch it has alone; another seed or step has another."""
    objective = made()
    x = stack_runs([objective.start_at(seed) for seed in SEEDS])
    for seeds in (torch.tensor(SEEDS), torch.tensor(7)):
        losses, grads = oracle(objective, True, compiled, seeds).grad(x, 5)
        for row, seed in enumerate(seeds.expand(4).tolist()):
            loss, grad = oracle(objective, False, compiled, seed).grad(select_run(x, row), 5)
            other = oracle(objective, False, compiled, seed + 1).grad(select_run(x, row), 5)[1]
            later = oracle(objective, False, compiled, seed).grad(select_run(x, row), 6)[1]

            torch.testing.assert_close(losses[row], loss, rtol=1e-13, atol=1e-13)
            torch.testing.assert_close(select_run(grads, row), grad, rtol=1e-12, atol=1e-12)
            assert not any(torch.equal(_leaves(grad)[0], _leaves(tree)[0]) for tree in (other, later))


@of_each_kind
def test_a_value_is_of_the_steps_own_batch(made: Any) -> None:
    """A line search compares values with the loss that came with the gradient: both are of one batch."""
    ask, x = oracle(made(), laned=False, seeds=1), made().start_at(0)

    assert torch.equal(ask.value(x, 9), ask.grad(x, 9)[0].detach())


# Who walks where.


@of_each_kind
@pytest.mark.parametrize("name", ["gd", "momentum", "adam"])
def test_manual_is_torch_on_batches(made: Any, name: str) -> None:
    """Manual and torch.optim have the same trajectory over the same batches."""
    ours, _ = path(manual(name, lr=0.03), made(), 30)
    theirs, _ = path(twin(name, lr=0.03), made(), 30)

    assert max(apart(a, b, ours[0]) for a, b in zip(ours[1:], theirs[1:], strict=True)) <= 1e-12
    assert apart(ours[-1], path(manual(name, lr=0.03), made(batch=0), 30)[0][-1], ours[0]) > 1e-3


@of_each_kind
def test_a_path_can_be_taken_up_anywhere(made: Any) -> None:
    """A run that is stopped and continued with its state ends at the same bits."""
    method, ask, x = manual("adam", lr=0.1), oracle(made(), laned=False, seeds=3), made().start_at(0)
    whole, _ = descent(method, ask, x, range(20))
    half, state = descent(method, ask, x, range(9))
    rest, _ = descent(method, oracle(made(), laned=False, seeds=3), half, range(9, 20), state)

    assert apart(rest, whole, x) == 0


def cell(made: Any, make: Any, seeds: Sequence[int] = SEEDS, **more: Any) -> Cell:
    """Adam on batches, one run a seed."""
    return small(made(), make, lr=0.05, seeds=seeds, steps=20, target=0.3, **more)


def columns_of(cell: Cell) -> dict[str, Any]:
    """The columns that must not depend on the execution mode."""
    columns = run_cell(cell).columns
    assert columns["status"].tolist().count("failed") == 0, columns["error"]
    return {name: columns[name] for name in ("status", "final_loss", "grad_norm", "steps_to_target", *HITS)}


def check_same(ours: dict[str, Any], theirs: dict[str, Any], rows: Sequence[int] | None = None) -> None:
    """Equal columns; losses and norms but for rounding."""
    for name, column in theirs.items():
        expected = [plain(column, index) for index in range(len(column))]
        told = [plain(ours[name], row) for row in rows or range(len(column))]
        if name in ("final_loss", "grad_norm"):
            assert told == pytest.approx(expected, rel=1e-9), name
        else:
            assert told == expected, name


@of_each_kind
def test_every_carrier_tells_the_same(made: Any) -> None:
    """Lanes, single runs, other orders and neighbours, and torch.optim have equal results."""
    adam = partial(factory("adam"), **{name: value for name, value in hypers("adam", {}).items() if name != "lr"})
    lanes = columns_of(cell(made, adam))
    assert run_cell(cell(made, adam)).columns["lanes"].tolist() == [4] * 4
    assert len(set(lanes["final_loss"].tolist())) == 4

    check_same(lanes, columns_of(cell(made, adam, SEEDS[::-1])), [3, 2, 1, 0])
    check_same(lanes, columns_of(cell(made, adam, SEEDS[1:2])), [1])
    check_same(lanes, columns_of(cell(made, Tiny(adam, lanes=False))))
    check_same(lanes, columns_of(cell(made, Tiny(lambda lr: twin("adam", lr=lr), lanes=False))))


@pytest.mark.slow
@of_each_kind
def test_compiled_runs_see_the_same(made: Any) -> None:
    """Compiled lanes, and a compiled run alone, have the eager trajectory."""
    gd = factory("gd")
    lanes = columns_of(cell(made, gd))

    check_same(lanes, columns_of(cell(made, Compiled(gd))))
    if made is BATCHED["laned"]:  # alone there is no vmap
        check_same(lanes, columns_of(cell(made, Compiled(gd), SEEDS[2:3])), [2])


@pytest.mark.slow  # fast: test_runner's one graph for all numbers, and each lane's own batch, compiled, above
def test_chunks_share_a_graph_and_keep_their_seeds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compiled chunks of a cell go through one graph, each with its own seeds."""
    from torch._dynamo.utils import counters

    monkeypatch.setattr("gdbench.engine.batching.MIN_CHUNK_LANES", 2)
    monkeypatch.setattr("gdbench.engine.batching.CACHE_NUMBERS", 1)
    eager = columns_of(cell(BATCHED["laned"], factory("gd")))
    before = counters["stats"]["unique_graphs"]
    check_same(eager, columns_of(cell(BATCHED["laned"], Compiled(factory("gd")))))

    assert counters["stats"]["unique_graphs"] - before <= 2  # vmap makes a graph of one number of lanes of its own


def test_lanes_that_leave_take_their_seeds_along(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where lanes that overflowed are dropped, the others keep the batches of their own seeds."""
    monkeypatch.setattr("gdbench.engine.observer.MIN_LANES", 2)
    seeds, rates = np.arange(6), np.where(np.arange(6) % 2, 1e-2, 1e200)
    columns = run_cell(small(BATCHED["laned"](), lr=rates, seeds=seeds, steps=30)).columns

    assert columns["status"].tolist()[::2] == ["nonfinite"] * 3
    for seed in (1, 3, 5):
        alone = run_cell(small(BATCHED["laned"](), lr=1e-2, seeds=[seed], steps=30)).columns
        assert columns["final_loss"][seed] == pytest.approx(alone["final_loss"][0], rel=1e-12)


# Who judges.


@of_each_kind
def test_runs_are_judged_on_all_data(made: Any) -> None:
    """Start, losses of the trace, last loss and gradient norm are those on all data."""
    objective, seen = made(), []
    of = small(objective, lr=0.1, seeds=[5], steps=6, trace="full")
    result = run_observed_pass(of, False, np.arange(1))

    def look(k: int, x: Any, saw: StepInfo) -> None:
        seen.append((float(objective.value(x)), float(saw.loss.detach())))

    end, _ = descent(manual("gd", lr=0.1), oracle(objective, laned=False, seeds=5), of.start(5), range(6), look=look)
    norm = torch.cat([leaf.flatten() for leaf in _leaves(oracle(made(batch=0), False).grad(end, 0)[1])]).norm()

    assert result.losses[:, 0].tolist() == [*(full for full, _ in seen), float(objective.value(end))]
    assert all(full != drawn for full, drawn in seen[1:])
    assert result.grad_norm[0] == result.grad_norms[-1, 0] == pytest.approx(float(norm), rel=1e-14)
    assert result.observations.gradients.tolist() == [6]


def test_a_timed_pass_never_judges() -> None:
    """Timed steps use minibatches only: the loss on all data is not evaluated."""
    told: list[int] = []

    def fn(x: Tensor, rows: Tensor) -> Tensor:
        told.append(len(rows))
        return ((x - rows) ** 2).mean()

    rows = torch.arange(5.0, dtype=F64)
    objective = Objective(
        fn=fn, start=torch.tensor(9.0), data={"rows": rows}, batch=lambda data, seed, k: {"rows": data["rows"][:2]}
    )
    timed = small(objective, lr=[0.1], seconds=0.05)
    columns, marks = (
        run_cell(timed.with_fields(seconds=0.0)).columns,
        run_observed_pass(timed, False, np.empty(0, np.int64)).marks,
    )
    told.clear()
    time_runs(timed, ObservedRuns(columns, {0: marks[0]}), WALL)

    assert set(told) == {2}


def test_the_seed_is_known_to_matter() -> None:
    """Where gradients are of batches, runs of other seeds are other runs, though all start alike."""
    stochastic, same = (run_cell(small(logistic(batch=n), seeds=[0, 1], steps=3)).columns for n in (8, 0))

    assert stochastic["seed_used"].tolist() == [True, True]
    assert same["seed_used"].tolist() == [False, False]
