from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gdbench.gate.timing.sequential_test import Evidence, found_from, holm, judge, strictness
from gdbench.gate.timing.settings import Settings

SETTINGS = Settings()
D0, D1 = 0.01, 0.03
COURSES = 20_000


def verdicts(slowdown: float, s: float, waits: float = 0.0, seed: int = 0) -> dict[str, float]:
    """The shares of verdicts over many courses of the rule, replicates drawn from a normal around a slowdown."""
    rng = np.random.default_rng(seed)
    cpu = rng.normal(math.log1p(slowdown), s, (COURSES, SETTINGS.most))
    wall = cpu + math.log1p(waits) + rng.normal(0, s / 2, cpu.shape)
    told = np.full(COURSES, "undecided", dtype=object)
    for look in SETTINGS.looks:
        found = judge(Evidence(cpu, wall).first(look), D0, D1, SETTINGS)
        going = told == "undecided"
        told[going & found.slower] = "slower"
        told[going & found.passes] = "no slower"
        told[going & found.faster] = "faster"
    return {verdict: float((told == verdict).mean()) for verdict in ("slower", "no slower", "faster", "undecided")}


@pytest.mark.parametrize("s", [0.005, 0.01, 0.015, 0.03])
def test_identical_sides_are_never_slower(s: float) -> None:
    """With no difference, not one of 20,000 courses ends slower, and nearly all pass."""
    told = verdicts(0.0, s)

    assert told["slower"] == 0
    assert told["undecided"] < 0.05


@pytest.mark.parametrize("s", [0.005, 0.03])
def test_a_slowdown_of_exactly_d0_is_seldom_called_slower(s: float) -> None:
    """On the edge of the dead zone all looks together call slower at most as often as their alphas allow."""
    allowed = SETTINGS.alpha * COURSES

    assert verdicts(D0, s)["slower"] * COURSES <= allowed + 4 * math.sqrt(allowed)


@pytest.mark.parametrize(
    ("slowdown", "s", "power"),
    [(0.03, 0.005, 0.98), (0.05, 0.01, 0.999), (0.05, 0.015, 0.999), (0.05, 0.03, 0.93), (0.08, 0.03, 0.999)],
)
def test_slowdowns_are_found(slowdown: float, s: float, power: float) -> None:
    """The rule finds what it was designed to find, at every noise of a usual machine."""
    assert verdicts(slowdown, s)["slower"] >= power


@pytest.mark.parametrize("s", [0.005, 0.01, 0.03])
def test_what_became_faster_passes(s: float) -> None:
    """Five per cent less time is never slower, and is told to be faster where the machine is quiet enough."""
    told = verdicts(-0.05, s)

    assert told["slower"] == 0
    assert told["faster"] + told["no slower"] > 0.99
    if s <= 0.01:
        assert told["faster"] > 0.5


def test_time_that_is_waited_away_counts() -> None:
    """Steps that wait, which the thread's own clock does not see, are slower all the same."""
    told = verdicts(0.0, 0.01, waits=0.2)

    assert told["slower"] > 0.95
    assert told["no slower"] == 0


def test_a_uniform_verdict_needs_no_spread() -> None:
    """Replicates that all agree decide by where they lie."""
    agreed = Evidence(np.full(5, math.log(1.02)), np.full(5, math.log(1.02)))

    assert judge(agreed, 0.01, 0.03, SETTINGS).verdict == "slower"
    assert judge(agreed, 0.025, 0.03, SETTINGS).verdict == "no slower"


@pytest.mark.parametrize("s", [0.01, 0.02])
def test_the_slowdown_found_with_power_95_is_found_with_power_95(s: float) -> None:
    """What a self-test promises from the replicates' spread is what other simulated courses find."""
    assert 0.93 <= verdicts(found_from(s, D0, D1, SETTINGS), s, seed=1)["slower"] <= 0.97


def test_holm_by_hand() -> None:
    """The smallest p counts for all, the next for all but one, and none comes before a smaller one."""
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_holm_lies_between_p_and_bonferroni(p: list[float]) -> None:
    """An adjusted p-value is no smaller than the p-value, no larger than Bonferroni's, and keeps the order."""
    adjusted = holm(p)

    assert all(one <= other <= min(1, one * len(p)) + 1e-12 for one, other in zip(p, adjusted, strict=True))
    assert sorted(range(len(p)), key=p.__getitem__) == sorted(range(len(p)), key=lambda i: (adjusted[i], p[i], i))


@given(st.integers(1, 200))
def test_what_a_look_calls_slower_holm_calls_slower(hypotheses: int) -> None:
    """The stricter alphas of many series leave each of them significant beside all the others."""
    strict = strictness(hypotheses, SETTINGS)
    edge = SETTINGS.alpha * strict

    assert holm([edge] + [1.0] * (hypotheses - 1))[0] <= SETTINGS.family * (1 + 1e-9)
