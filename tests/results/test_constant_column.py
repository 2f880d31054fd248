from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gdbench.results.constant_column import is_constant, make_constant, take_rows


@pytest.mark.parametrize("value", [1.5, 3, True, "word", None])
def test_a_constant_is_a_column_without_its_memory(value: Any) -> None:
    """It reads like any column, cannot be written, and stays one value when some rows are taken."""
    column = make_constant(value, 10**9)
    some = take_rows(column, np.array([5, 0, 7]))

    assert column[123456789] == value or value is None
    assert is_constant(column)
    assert is_constant(some)
    assert some.tolist() == [value] * 3
    with pytest.raises(ValueError, match="read-only"):
        column[0] = value


def test_a_column_that_repeats_itself_is_not_taken_for_one() -> None:
    """Only its memory tells a constant: looking at every row would cost what a constant saves."""
    assert not is_constant(np.ones(3))
    assert not is_constant(np.empty(0))
    assert not is_constant(np.broadcast_to(1.0, (2, 3)))
    assert take_rows(np.array([1, 2, 3]), np.array([2, 0])).tolist() == [3, 1]
