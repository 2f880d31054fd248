from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from gdbench.tree import dot, flatten, leaves, numel, per_run, put_lanes_last, rebuild, select_run, stack_runs, tree_map

TREE = {"a": torch.arange(6.0).reshape(2, 3), "b": torch.tensor(7.0)}
shapes = st.lists(st.integers(1, 4), max_size=3).map(tuple)


def test_one_tensor_is_a_tree_of_one_leaf() -> None:
    """Mapping, leaves and size treat a tensor and a dict of tensors alike."""
    assert tree_map(torch.add, torch.tensor(1.0), torch.tensor(2.0)) == 3
    assert tree_map(torch.add, {"a": torch.tensor(1.0)}, {"a": torch.tensor(2.0)}) == {"a": 3}
    assert [leaf.shape for leaf in leaves(TREE)] == [(2, 3), ()]
    assert numel(TREE) == 7
    assert numel(TREE["a"]) == 6


@pytest.mark.parametrize("tree", [TREE, TREE["a"]], ids=["dict", "tensor"])
def test_rebuild_undoes_leaves(tree: Tensor | dict[str, Tensor]) -> None:
    """A tree is put together again from its own leaves; with too few of them it is refused."""
    again = rebuild(tree, leaves(tree))

    assert [new is leaf for new, leaf in zip(leaves(again), leaves(tree), strict=True)] == [True] * len(leaves(tree))
    with pytest.raises((ValueError, StopIteration)):
        rebuild(tree, [])


def test_flat_lines_up_all_numbers() -> None:
    """The numbers of a run stand in the order of its leaves, one row a lane in lanes."""
    lanes = stack_runs([TREE, tree_map(torch.neg, TREE)])

    assert flatten(TREE, laned=False).tolist() == [0, 1, 2, 3, 4, 5, 7]
    assert flatten(lanes, laned=True).tolist() == [[0, 1, 2, 3, 4, 5, 7], [0, -1, -2, -3, -4, -5, -7]]
    assert flatten(torch.tensor([1.0, 2.0]), laned=True).tolist() == [[1], [2]]


def test_dot_sums_over_all_leaves() -> None:
    """The inner product of a run is one number, that of lanes one number a lane."""
    lanes = stack_runs([TREE, tree_map(lambda leaf: 2 * leaf, TREE)])

    assert dot(TREE, TREE, laned=False) == 55 + 49
    assert dot(lanes, lanes, laned=True).tolist() == [104, 416]
    assert dot(TREE["b"], TREE["b"], laned=False) == 49


@given(shape=shapes, count=st.integers(1, 5))
def test_lanes_show_first_and_lie_last(shape: tuple[int, ...], count: int) -> None:
    """Stacked runs show ``[L, *event]``, but neighbours in memory are the lanes; each lane can be had back."""
    runs = [torch.randn(shape, generator=torch.Generator().manual_seed(i)) for i in range(count)]
    lanes = stack_runs(runs)

    assert lanes.shape == (count, *shape)
    assert lanes.movedim(0, -1).is_contiguous()
    for index, run in enumerate(runs):
        assert torch.equal(select_run(lanes, index), run)
        assert select_run(lanes, index).is_contiguous()


def test_a_lane_is_on_its_own_memory() -> None:
    """What is done to a lane taken out does not reach the lanes."""
    lanes = stack_runs([torch.zeros(2), torch.ones(2)])
    select_run(lanes, 1).fill_(9)

    assert lanes.tolist() == [[0, 0], [1, 1]]


def test_lanes_last_copies() -> None:
    """Lanes are laid out anew: the original keeps its layout and its memory."""
    plain = torch.arange(6.0).reshape(3, 2)
    moved = put_lanes_last(plain)

    assert torch.equal(moved, plain)
    assert moved.stride() == (1, 3)
    assert moved.data_ptr() != plain.data_ptr()


@given(shape=shapes, count=st.integers(1, 5), dtype=st.sampled_from([torch.float32, torch.float64]))
def test_a_number_a_lane_meets_its_lane(shape: tuple[int, ...], count: int, dtype: torch.dtype) -> None:
    """Hyper-parameters ``[L]`` take the dtype and the rank of a leaf, so that each multiplies its own lane only."""
    numbers = torch.arange(count, dtype=torch.float64) / 3
    met = per_run(numbers, torch.ones((count, *shape), dtype=dtype))

    assert met.dtype == dtype
    assert met.shape == (count, *(1,) * len(shape))
    assert torch.equal(met.reshape(count), numbers.to(dtype))


def test_plain_numbers_stay_as_they_are() -> None:
    """A float, or a 0-d tensor beside a leaf of higher rank, is not rounded; beside a 0-d leaf the tensor is cast."""
    half, nought = torch.ones(3, dtype=torch.float16), torch.ones((), dtype=torch.float16)
    number = torch.tensor(1e-8, dtype=torch.float64)

    assert per_run(0.1, half) == 0.1
    assert per_run(number, half) is number
    assert (per_run(number, half) * torch.ones(3)).min() > 0
    assert per_run(number, nought).dtype == torch.float16
