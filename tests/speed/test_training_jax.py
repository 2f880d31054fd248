"""Seeds of a small network from one process to a table, against a script on JAX that trains the same."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from processes import in_turn

import gdbench

PEER = Path(__file__).parent / "peers" / "jax_training.py"
SEEDS, STEPS = 256, 200
OURS = [
    *("-m", "gdbench", "-m", "objective=mlp", "objective.batch=32", "optimizer=adam", "lr=0.003", "dtype=float32"),
    *(f"seed=range({SEEDS})", f"steps={STEPS}", "judge_every=20", "device=cpu", "timing=off", "trace=none"),
    *("outputs=ours", "--quiet"),
]
MAX_RATIO = 1.5


def test_seeds_of_a_network_beside_jax(tmp_path: Path, timed: Callable[..., Any], figures: Callable[..., None]) -> None:
    """256 seeds x 200 Adam steps at batch 32, judged at each 20th, take at most 1.5 of JAX's time, imports included."""
    pytest.importorskip("jax")
    rounds = timed(
        lambda: in_turn(tmp_path, 3, jax=[PEER, str(SEEDS), str(STEPS), "jax.parquet"], gdbench=[*map(str, OURS)])
    )
    theirs = pd.read_parquet(tmp_path / "jax.parquet")["final_loss"]
    ours = gdbench.load(max((tmp_path / "ours").glob("*/*")))["final_loss"].astype(float)
    ratio = statistics.median(taken["gdbench"] / taken["jax"] for taken in rounds)

    assert ours.mean() == pytest.approx(theirs.mean(), rel=0.02), "the two train different networks"
    figures(**{f"{name}_s": statistics.median(taken[name] for taken in rounds) for name in rounds[0]}, ratio=ratio)
    assert ratio <= MAX_RATIO
