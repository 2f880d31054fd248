from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gdbench.gate.timing.sequential_test import (
    LogRatios,
    adjust_holm,
    alpha_scale,
    evaluate_look,
    find_detectable_slowdown,
)
from gdbench.gate.timing.settings import TimingSettings

SETTINGS = TimingSettings()
D0, D1 = 0.01, 0.03
SIMULATIONS = 20_000


def verdicts(slowdown: float, s: float, waits: float = 0.0, seed: int = 0) -> dict[str, float]:
    """The shares of verdicts over many simulated tests, replicates drawn from a normal around a slowdown."""
    rng = np.random.default_rng(seed)
    cpu = rng.normal(math.log1p(slowdown), s, (SIMULATIONS, SETTINGS.max_replicates))
    wall = cpu + math.log1p(waits) + rng.normal(0, s / 2, cpu.shape)
    outcomes = np.full(SIMULATIONS, "undecided", dtype=object)
    for look in SETTINGS.looks:
        result = evaluate_look(LogRatios(cpu, wall).take_first(look), D0, D1, SETTINGS)
        open_ = outcomes == "undecided"
        outcomes[open_ & result.slower] = "slower"
        outcomes[open_ & result.passes] = "no slower"
        outcomes[open_ & result.faster] = "faster"
    return {verdict: float((outcomes == verdict).mean()) for verdict in ("slower", "no slower", "faster", "undecided")}


@pytest.mark.parametrize("s", [0.005, 0.01, 0.015, 0.03])
def test_identical_sides_are_never_slower(s: float) -> None:
    """With no difference, not one of 20,000 tests ends slower, and nearly all pass."""
    shares = verdicts(0.0, s)

    assert shares["slower"] == 0
    assert shares["undecided"] < 0.05


@pytest.mark.parametrize("s", [0.005, 0.03])
def test_a_slowdown_of_exactly_d0_is_seldom_called_slower(s: float) -> None:
    """On the edge of the dead zone all looks together call slower at most as often as their alphas allow."""
    allowed = SETTINGS.alpha * SIMULATIONS

    assert verdicts(D0, s)["slower"] * SIMULATIONS <= allowed + 4 * math.sqrt(allowed)


@pytest.mark.parametrize(
    ("slowdown", "s", "power"),
    [(0.03, 0.005, 0.98), (0.05, 0.01, 0.999), (0.05, 0.015, 0.999), (0.05, 0.03, 0.93), (0.08, 0.03, 0.999)],
)
def test_slowdowns_are_detected(slowdown: float, s: float, power: float) -> None:
    """The test detects what it was designed to detect, at every noise of a usual machine."""
    assert verdicts(slowdown, s)["slower"] >= power


@pytest.mark.parametrize("s", [0.005, 0.01, 0.03])
def test_what_became_faster_passes(s: float) -> None:
    """5% less time is never slower, and is faster on a quiet machine."""
    shares = verdicts(-0.05, s)

    assert shares["slower"] == 0
    assert shares["faster"] + shares["no slower"] > 0.99
    if s <= 0.01:
        assert shares["faster"] > 0.5


def test_waiting_time_counts() -> None:
    """Steps that wait, which the thread's CPU clock does not see, are slower too."""
    shares = verdicts(0.0, 0.01, waits=0.2)

    assert shares["slower"] > 0.95
    assert shares["no slower"] == 0


def test_a_uniform_verdict_needs_no_spread() -> None:
    """Replicates without spread decide by their mean."""
    agreed = LogRatios(np.full(5, math.log(1.02)), np.full(5, math.log(1.02)))

    assert evaluate_look(agreed, 0.01, 0.03, SETTINGS).verdict == "slower"
    assert evaluate_look(agreed, 0.025, 0.03, SETTINGS).verdict == "no slower"


@pytest.mark.parametrize("s", [0.01, 0.02])
def test_the_detectable_slowdown_is_detected_with_power_95(s: float) -> None:
    """The slowdown computed from the replicates' spread has power 0.95 in other simulated tests."""
    assert 0.93 <= verdicts(find_detectable_slowdown(s, D0, D1, SETTINGS), s, seed=1)["slower"] <= 0.97


def test_holm_by_hand() -> None:
    """The smallest p counts for all, the next for all but one, and none comes before a smaller one."""
    assert adjust_holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert adjust_holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_holm_lies_between_p_and_bonferroni(p: list[float]) -> None:
    """An adjusted p-value is no smaller than the p-value, no larger than Bonferroni's, and keeps the order."""
    adjusted = adjust_holm(p)

    assert all(one <= other <= min(1, one * len(p)) + 1e-12 for one, other in zip(p, adjusted, strict=True))
    assert sorted(range(len(p)), key=p.__getitem__) == sorted(range(len(p)), key=lambda i: (adjusted[i], p[i], i))


@given(st.integers(1, 200))
def test_what_a_look_calls_slower_holm_calls_slower(hypotheses: int) -> None:
    """With the scaled alphas a series that is slower at a look is also significant by Holm's procedure."""
    scale = alpha_scale(hypotheses, SETTINGS)
    edge = SETTINGS.alpha * scale

    assert adjust_holm([edge] + [1.0] * (hypotheses - 1))[0] <= SETTINGS.family_alpha * (1 + 1e-9)
