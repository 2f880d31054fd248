"""Verdicts on series, groups, controls and runs from synthetic replicates."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest

from gdbench.gate.series import Series
from gdbench.gate.timing.blocks import MeasurementError, Replicate, WorkerDied
from gdbench.gate.timing.calibration import RepeatedComparison, choose_injection
from gdbench.gate.timing.calibration_result import CalibrationResult, compute_share_interval, load_detectable_slowdowns
from gdbench.gate.timing.scheduler import Scheduler, explain_absent, find_contamination
from gdbench.gate.timing.sessions import Pair, PairState
from gdbench.gate.timing.settings import TimingSettings
from gdbench.gate.timing.verdicts import VerdictRules
from gdbench.report.gate import describe_calibration

SETTINGS = TimingSettings()


def make_replicate(slowdown: float, waits: float = 0.0, seconds: float = 0.1) -> Replicate:
    """A replicate that shows this slowdown."""
    cpu = math.log1p(slowdown)
    return Replicate(cpu, cpu + math.log1p(waits), 1e-5, 1e-5 * (1 + slowdown), 20, 100, seconds)


def make_pair(
    name: str, slowdown: float = 0.0, *, count: int = 5, again: float | None = None, **of: object
) -> PairState:
    """A pair whose replicates lie closely around a slowdown, and those of its confirmation around another."""
    noise = np.random.default_rng(len(name)).normal(0, 0.002, SETTINGS.max_replicates)
    made = PairState(name, Pair({}, {}), Series(name, tuple(of.items())))
    made.replicates = {number: make_replicate(slowdown + noise[number]) for number in range(count)}
    if again is not None:
        made.confirmations = {number: make_replicate(again + noise[number]) for number in range(SETTINGS.confirmations)}
    return made


def judge(
    pairs: list[PairState], detectable: dict[str, float] | None = None, is_contaminated: bool = False
) -> list[str]:
    """The verdicts of these pairs."""
    return [row.verdict for row in VerdictRules(pairs, SETTINGS, detectable or {}).time_series(is_contaminated)]


def test_a_slowdown_counts_once_it_has_recurred() -> None:
    """A slowdown that recurs in fresh processes is slower; one that does not is undecided, with the reason."""
    recurs, fades = make_pair("recurs", 0.06, again=0.05), make_pair("fades", 0.06, again=-0.01)
    rows = VerdictRules([recurs, fades, make_pair("same")], SETTINGS, {}).time_series(is_contaminated=False)

    assert [(row.verdict, row.confirmed) for row in rows] == [
        ("slower", True),
        ("undecided", False),
        ("no slower", None),
    ]
    assert "did not recur" in rows[1].why


def test_what_is_to_be_confirmed_is_what_was_slower() -> None:
    """Only slower series are measured again, whatever their policy."""
    pairs = [make_pair("a", 0.06), make_pair("b"), make_pair("c", -0.06), make_pair("d", 0.1)]

    assert [pair.name for pair in VerdictRules(pairs, SETTINGS, {}).find_slower()] == ["a", "d"]


def test_a_contaminated_run_says_nothing() -> None:
    """In a contaminated run no series has another verdict."""
    assert judge([make_pair("a", 0.2, again=0.2), make_pair("b")], is_contaminated=True) == ["contaminated"] * 2


@pytest.mark.parametrize("slowdown", [0.05, -0.05])
def test_what_cannot_differ_and_does_contaminates(slowdown: float) -> None:
    """A control or a null series that differs in either direction is named; otherwise there is no contamination."""
    uneven = make_pair("overhead", slowdown)

    assert "overhead" in (find_contamination([], [make_pair("memory"), uneven], SETTINGS) or "")
    assert "head against itself" in (find_contamination([uneven], [], SETTINGS) or "")
    assert find_contamination([make_pair("null")], [make_pair("memory")], SETTINGS) is None


def test_a_machine_that_cannot_see_d1_judges_nothing() -> None:
    """If the calibration detected slowdowns only beyond d1, a series is undecided, whatever it seems to show."""
    assert judge([make_pair("a"), make_pair("b")], detectable={"a": 0.05, "b": 0.02}) == ["undecided", "no slower"]


def test_a_common_slowdown_shows_in_the_mean() -> None:
    """The mean over one implementation shows a slowdown that no single series can."""
    rng = np.random.default_rng(0)
    pairs = [make_pair(str(index), impl="manual") for index in range(8)]
    for pair in pairs:
        pair.replicates = {number: make_replicate(0.018 + rng.normal(0, 0.012)) for number in range(10)}
        pair.confirmations = {number: make_replicate(0.018 + rng.normal(0, 0.012)) for number in range(10)}
    rules = VerdictRules(pairs, SETTINGS, {})
    (group,) = rules.time_groups(is_contaminated=False)

    assert "slower" not in [row.verdict for row in rules.time_series(is_contaminated=False)]
    assert (group.by, group.value, group.verdict, group.confirmed) == ("impl", "manual", "slower", True)
    assert len(rules.find_slower()) == 8


def test_a_member_that_failed_leaves_its_group() -> None:
    """The mean is that of the others; of fewer than three there is none."""
    pairs = [make_pair(str(index), impl="manual") for index in range(4)]
    rules = VerdictRules(pairs, SETTINGS, {})
    counts = []
    for failing in pairs[:2]:
        failing.failure = "no"
        counts.append(len(rules.time_groups(is_contaminated=False)))

    assert counts == [1, 0]


def test_waiting_is_told() -> None:
    """A slowdown that only the wall's clock shows has its reason stated."""
    waiting = make_pair("waits")
    waiting.replicates = {number: make_replicate(0.001 * number, waits=0.3) for number in range(5)}
    waiting.confirmations = {number: make_replicate(0.001 * number, waits=0.3) for number in range(5)}
    (row,) = VerdictRules([waiting], SETTINGS, {}).time_series(is_contaminated=False)

    assert row.verdict == "slower"
    assert "waits" in row.why


def test_a_series_that_was_not_measured_has_no_row() -> None:
    """A pair without replicates has no row and is not in the family of tests; the reason is given instead."""
    pairs = [make_pair("a", count=0), make_pair("b"), make_pair("c", count=1), make_pair("d")]
    pairs[3].failure = "its process ended"

    assert judge(pairs[:3]) == ["no slower"]
    assert explain_absent(pairs) == {
        **dict.fromkeys("ac", "it got fewer than two replicates"),
        "d": "its process ended",
    }


# ----------------------------------------------------------------------------------------------------------- rounds


@dataclass
class FakePool:
    """A pool and its session, where series show the slowdown they are named after; ``dies`` ends the process."""

    settings: TimingSettings
    seen: list[tuple[int, str]] = field(default_factory=list)
    stops: int = 0
    fingerprints: tuple[dict[str, str], ...] = ({},)
    number: int = 0

    def open_session(self, number: int) -> FakePool:
        """A session."""
        self.number = number
        return self

    def stop(self) -> None:
        """Count that its processes were stopped."""
        self.stops += 1

    def measure(self, pair: Pair, seconds: float) -> Replicate:
        """A replicate of what the pair is called."""
        name = pair.base["name"]
        self.seen.append((self.number, name))
        if name == "dies":
            raise WorkerDied("its process ended")
        if name == "fails":
            raise MeasurementError("no")
        noise = np.random.default_rng(self.number).normal(0, 0.001)
        return make_replicate(float(name) + noise, seconds=seconds)

    def read_counters(self) -> dict[str, float | None]:
        """No counters."""
        return {}

    def numbers(self, name: str) -> list[int]:
        """The rounds that a series was in."""
        return [number for number, who in self.seen if who == name]


def make_pairs(*names: str) -> list[PairState]:
    """Pairs without replicates."""
    return [PairState(name, Pair({"name": name}, {"name": name}), Series(name, ())) for name in names]


def test_rounds_go_on_until_everything_is_decided() -> None:
    """A series gets no more replicates once decided; controls continue as long as any series is open."""
    pool, pairs, controls = FakePool(SETTINGS), make_pairs("0.0", "0.011"), make_pairs("0.0001")
    rules = VerdictRules(pairs, SETTINGS, {})
    pairs[1].series = replace(pairs[1].series, d1=0.0112)  # neither slower nor not, for a while
    Scheduler(pool, lambda words, share: None).run_rounds(pairs, controls, rules.is_decided)

    assert pool.numbers("0.0") == list(range(5))
    assert len(pool.numbers("0.011")) in (10, 20)
    assert pool.numbers("0.0001") == pool.numbers("0.011")


def test_a_process_that_dies_takes_one_series_along() -> None:
    """The other series of its round are measured by a fresh process; a failed one is not tried again."""
    pool, pairs = FakePool(SETTINGS), make_pairs("dies", "0.0", "fails", "0.1")
    scheduler = Scheduler(pool, lambda words, share: None)
    scheduler.run_rounds(pairs, [], VerdictRules(pairs, SETTINGS, {}).is_decided)

    assert pool.numbers("dies") == pool.numbers("fails") == [0]
    assert len(pairs[1].replicates) >= 5 <= len(pairs[3].replicates)
    assert [pair.failure for pair in pairs] == ["its process ended", None, "no", None]
    assert pool.stops == 1


def test_the_budget_ends_a_series() -> None:
    """A series whose budget is used up gets no more replicates, decided or not."""
    pool, pairs = FakePool(SETTINGS), make_pairs("0.0")
    pairs[0].series = replace(pairs[0].series, budget_s=1e-9)
    Scheduler(pool, lambda words, share: None).run_rounds(pairs, [], lambda pair: False)

    assert pool.numbers("0.0") == list(range(20))
    assert pairs[0].is_exhausted


def test_confirmation_swaps_the_roles_of_the_first_round() -> None:
    """Fresh processes and new round numbers; the first has the roles that the very first round did not have."""
    pool, pairs = FakePool(SETTINGS), make_pairs("0.1")
    Scheduler(pool, lambda words, share: None).run_confirmation(pairs)

    assert pool.stops == 1
    assert pool.numbers("0.1")[0] % 2 == 1
    assert min(pool.numbers("0.1")) > SETTINGS.max_replicates
    assert len(pairs[0].confirmations) == SETTINGS.confirmations


# ------------------------------------------------------------------------------------------------------- calibration


def test_comparisons_begin_anew_after_each_verdict() -> None:
    """Five equal replicates are one comparison; five slow ones and ten that confirm them are another."""
    comparison = RepeatedComparison(make_pairs("0.0")[0])
    rules = VerdictRules([comparison.pair], SETTINGS, {})
    for number in range(5):
        comparison.add(make_replicate(0.0001 * number), rules)
    for number in range(15):
        comparison.add(make_replicate(0.1 + 0.0001 * number), rules)

    assert comparison.verdicts == ["no slower", "slower"]
    assert comparison.suspected == 1
    assert not comparison.pair.replicates
    assert len(comparison.ratios) == 20


def test_a_slowdown_is_injected_as_it_fits() -> None:
    """A scaled workload if k (1 + x) is whole in a short block; else the nearest number of operations."""
    assert choose_injection(0.05, 1e-5, 0.01, 0.2) == {"scale": 0.05}
    assert choose_injection(0.05, 1e-4, 0.01, 0.2) == {"injected_ops": 5}
    assert choose_injection(0.01, 1e-3, 0.02, 0.2) == {"injected_ops": 1}


def test_no_alarm_in_n_is_less_than_three_in_n() -> None:
    """The rule of three, from the exact interval; and the interval of a share that is neither 0 nor 1."""
    assert compute_share_interval(0, 1000, is_one_sided=True)[1] == pytest.approx(3 / 1000, rel=0.01)
    assert compute_share_interval(10, 10)[0] == pytest.approx(0.692, abs=1e-3)  # Clopper and Pearson 1934
    assert compute_share_interval(0, 0) == (0.0, 1.0)


def test_a_calibration_is_found_by_its_machine(tmp_path: Path) -> None:
    """What was saved is read back for the same processor and torch, and for no other."""
    result = CalibrationResult({"cpu": "a/b", "torch": "2"}, 10, 1, 0, 2, (), {"adam": 0.02}, {"adam": 0.01}, 5, 60.0)
    result.save(tmp_path)

    assert load_detectable_slowdowns({"cpu": "a/b", "torch": "2"}, tmp_path) == {"adam": 0.02}
    assert load_detectable_slowdowns({"cpu": "a/b", "torch": "3"}, tmp_path) == {}
    assert "0 false alarms" in describe_calibration(result)[0]
