"""How a measured figure is told: printed, and stored with the benchmark."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest


@pytest.fixture
def timed(benchmark: Any) -> Callable[[Callable[[], Any]], Any]:
    """Calls once what keeps time by itself, so that its figures are reported among the benchmarks."""
    return lambda call: benchmark.pedantic(call, rounds=1, iterations=1)


@pytest.fixture
def figures(benchmark: Any, capsys: pytest.CaptureFixture[str]) -> Callable[..., None]:
    """Prints measured figures, by name, and stores them with the benchmark."""

    def keep(**measured: float | Sequence[float]) -> None:
        benchmark.extra_info.update(measured)
        with capsys.disabled():
            for name, each in measured.items():
                text = f"{each:.4g}" if isinstance(each, float) else " ".join(f"{one:.3f}" for one in each)
                print(f"\n    {name.replace('_', ' ')}: {text}", end="")

    return keep
