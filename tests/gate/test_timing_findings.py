"""Verdicts of series, groups, controls and runs from replicates that are made up."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest

from gdbench.gate.series import Series
from gdbench.gate.timing.abba_blocks import Sample
from gdbench.gate.timing.calibration import Trials, added
from gdbench.gate.timing.calibration_result import SelfTest, share_interval, stored
from gdbench.gate.timing.compare import without_rows
from gdbench.gate.timing.errors import Died, Failed
from gdbench.gate.timing.pair_state import Track
from gdbench.gate.timing.scheduler import Course
from gdbench.gate.timing.sessions import Pair
from gdbench.gate.timing.settings import Settings
from gdbench.gate.timing.verdicts import Ruling, contamination

SETTINGS = Settings()


def sample(slowdown: float, waits: float = 0.0, seconds: float = 0.1) -> Sample:
    """A replicate that shows this slowdown."""
    cpu = math.log1p(slowdown)
    return Sample(cpu, cpu + math.log1p(waits), 1e-5, 1e-5 * (1 + slowdown), 20, 100, seconds)


def track(name: str, slowdown: float = 0.0, *, count: int = 5, again: float | None = None, **of: object) -> Track:
    """A track whose replicates lie closely around a slowdown, and those of its confirmation around another."""
    noise = np.random.default_rng(len(name)).normal(0, 0.002, SETTINGS.most)
    made = Track(name, Pair({}, {}), Series(name, tuple(of.items())))
    made.samples = {number: sample(slowdown + noise[number]) for number in range(count)}
    if again is not None:
        made.confirming = {number: sample(again + noise[number]) for number in range(SETTINGS.confirmations)}
    return made


def only(tracks: list[Track], known: dict[str, float] | None = None, contaminated: bool = False) -> list[str]:
    """The verdicts of these tracks."""
    return [row.verdict for row in Ruling(tracks, SETTINGS, known or {}).measured(contaminated)]


def test_a_slowdown_counts_once_it_has_recurred() -> None:
    """Slower is what fresh processes find again; what they do not is undecided, and says so."""
    recurs, fades = track("recurs", 0.06, again=0.05), track("fades", 0.06, again=-0.01)
    rows = Ruling([recurs, fades, track("same")], SETTINGS, {}).measured(contaminated=False)

    assert [(row.verdict, row.confirmed) for row in rows] == [
        ("slower", True),
        ("undecided", False),
        ("no slower", None),
    ]
    assert "did not recur" in rows[1].why


def test_what_is_to_be_confirmed_is_what_was_slower() -> None:
    """Only slower series are measured again, whatever their policy."""
    tracks = [track("a", 0.06), track("b"), track("c", -0.06), track("d", 0.1)]

    assert [each.name for each in Ruling(tracks, SETTINGS, {}).slower()] == ["a", "d"]


def test_a_contaminated_run_says_nothing() -> None:
    """Where the machine was uneven no series has another verdict."""
    assert only([track("a", 0.2, again=0.2), track("b")], contaminated=True) == ["contaminated"] * 2


@pytest.mark.parametrize("slowdown", [0.05, -0.05])
def test_what_cannot_differ_and_does_contaminates(slowdown: float) -> None:
    """A control or a null series that is off in either direction is named; one that is not stays quiet."""
    uneven = track("overhead", slowdown)

    assert "overhead" in (contamination([], [track("memory"), uneven], SETTINGS) or "")
    assert "head against itself" in (contamination([uneven], [], SETTINGS) or "")
    assert contamination([track("null")], [track("memory")], SETTINGS) is None


def test_a_machine_that_cannot_see_d1_judges_nothing() -> None:
    """Where the self-test found slowdowns only beyond d1, a series is undecided, whatever it seems to show."""
    assert only([track("a"), track("b")], known={"a": 0.05, "b": 0.02}) == ["undecided", "no slower"]


def test_a_common_slowdown_shows_in_the_mean() -> None:
    """What no series can show alone, the mean of those with one implementation does."""
    rng = np.random.default_rng(0)
    tracks = [track(str(index), impl="manual") for index in range(8)]
    for each in tracks:
        each.samples = {number: sample(0.018 + rng.normal(0, 0.012)) for number in range(10)}
        each.confirming = {number: sample(0.018 + rng.normal(0, 0.012)) for number in range(10)}
    ruling = Ruling(tracks, SETTINGS, {})
    (group,) = ruling.grouped(contaminated=False)

    assert "slower" not in [row.verdict for row in ruling.measured(contaminated=False)]
    assert (group.by, group.value, group.verdict, group.confirmed) == ("impl", "manual", "slower", True)
    assert len(ruling.slower()) == 8


def test_a_member_that_failed_leaves_its_group() -> None:
    """The mean is that of the others; of fewer than three there is none."""
    tracks = [track(str(index), impl="manual") for index in range(4)]
    ruling = Ruling(tracks, SETTINGS, {})
    counts = []
    for failing in tracks[:2]:
        failing.failed = "no"
        counts.append(len(ruling.grouped(contaminated=False)))

    assert counts == [1, 0]


def test_waiting_is_told() -> None:
    """A slowdown that only the wall's clock shows has its reason beside it."""
    waiting = track("waits")
    waiting.samples = {number: sample(0.001 * number, waits=0.3) for number in range(5)}
    waiting.confirming = {number: sample(0.001 * number, waits=0.3) for number in range(5)}
    (row,) = Ruling([waiting], SETTINGS, {}).measured(contaminated=False)

    assert row.verdict == "slower"
    assert "waits" in row.why


def test_a_series_that_was_not_measured_has_no_row() -> None:
    """A track without replicates is left out of rows, and out of the family of tests; why is told in their place."""
    tracks = [track("a", count=0), track("b"), track("c", count=1), track("d")]
    tracks[3].failed = "its process ended"

    assert only(tracks[:3]) == ["no slower"]
    assert without_rows(tracks) == {**dict.fromkeys("ac", "it got fewer than two replicates"), "d": "its process ended"}


# ----------------------------------------------------------------------------------------------------------- rounds


@dataclass
class Room:
    """A lab and its bench, where series show the slowdown they are named after; ``dies`` takes the process along."""

    settings: Settings
    seen: list[tuple[int, str]] = field(default_factory=list)
    ends: int = 0
    versions: tuple[dict[str, str], ...] = ({},)
    number: int = 0

    def round(self, number: int) -> Room:
        """A bench."""
        self.number = number
        return self

    def end(self) -> None:
        """Notes that its processes were ended."""
        self.ends += 1

    def measure(self, pair: Pair, seconds: float) -> Sample:
        """A replicate of what the pair is called."""
        name = pair.base["name"]
        self.seen.append((self.number, name))
        if name == "dies":
            raise Died("its process ended")
        if name == "fails":
            raise Failed("no")
        noise = np.random.default_rng(self.number).normal(0, 0.001)
        return sample(float(name) + noise, seconds=seconds)

    def facts(self) -> dict[str, float | None]:
        """Nothing."""
        return {}

    def numbers(self, name: str) -> list[int]:
        """The rounds that a series was in."""
        return [number for number, who in self.seen if who == name]


def going(*names: str) -> list[Track]:
    """Tracks that have nothing yet."""
    return [Track(name, Pair({"name": name}, {"name": name}), Series(name, ())) for name in names]


def test_rounds_go_on_until_everything_is_decided() -> None:
    """A series leaves at the look that decides it; controls stay for as long as anything is open."""
    room, tracks, beside = Room(SETTINGS), going("0.0", "0.011"), going("0.0001")
    ruling = Ruling(tracks, SETTINGS, {})
    tracks[1].series = replace(tracks[1].series, d1=0.0112)  # neither slower nor not, for a while
    Course(room, lambda words, share: None).run(tracks, beside, ruling.decided)

    assert room.numbers("0.0") == list(range(5))
    assert len(room.numbers("0.011")) in (10, 20)
    assert room.numbers("0.0001") == room.numbers("0.011")


def test_a_process_that_dies_takes_one_series_along() -> None:
    """The others of its round are measured by a fresh one; what has failed is not tried again."""
    room, tracks = Room(SETTINGS), going("dies", "0.0", "fails", "0.1")
    course = Course(room, lambda words, share: None)
    course.run(tracks, [], Ruling(tracks, SETTINGS, {}).decided)

    assert room.numbers("dies") == room.numbers("fails") == [0]
    assert len(tracks[1].samples) >= 5 <= len(tracks[3].samples)
    assert [each.failed for each in tracks] == ["its process ended", None, "no", None]
    assert room.ends == 1


def test_the_budget_ends_a_series() -> None:
    """A series that has used its seconds up leaves, decided or not."""
    room, tracks = Room(SETTINGS), going("0.0")
    tracks[0].series = replace(tracks[0].series, budget_s=1e-9)
    Course(room, lambda words, share: None).run(tracks, [], lambda track: False)

    assert room.numbers("0.0") == list(range(20))
    assert tracks[0].exhausted


def test_confirmation_swaps_the_roles_of_the_first_round() -> None:
    """Fresh processes, other rounds than before, beginning with the roles that the very first did not have."""
    room, tracks = Room(SETTINGS), going("0.1")
    Course(room, lambda words, share: None).confirm(tracks)

    assert room.ends == 1
    assert room.numbers("0.1")[0] % 2 == 1
    assert min(room.numbers("0.1")) > SETTINGS.most
    assert len(tracks[0].confirming) == SETTINGS.confirmations


# -------------------------------------------------------------------------------------------------------- self-test


def test_trials_begin_anew_after_each_verdict() -> None:
    """Five equal replicates are a comparison; ten slow ones after five that were slower are another."""
    trials = Trials(going("0.0")[0])
    ruling = Ruling([trials.track], SETTINGS, {})
    for number in range(5):
        trials.take(sample(0.0001 * number), ruling)
    for number in range(15):
        trials.take(sample(0.1 + 0.0001 * number), ruling)

    assert trials.outcomes == ["no slower", "slower"]
    assert trials.suspected == 1
    assert not trials.track.samples
    assert len(trials.ratios) == 20


def test_a_slowdown_is_put_in_as_it_fits() -> None:
    """More steps than billed where k (1 + x) is whole in a short block; else the operations that come nearest."""
    assert added(0.05, 1e-5, 0.01, 0.2) == {"stretch": 0.05}
    assert added(0.05, 1e-4, 0.01, 0.2) == {"ballast": 5}
    assert added(0.01, 1e-3, 0.02, 0.2) == {"ballast": 1}


def test_no_alarm_in_n_is_less_than_three_in_n() -> None:
    """The rule of three, from the exact interval; and the interval of a share that is neither 0 nor 1."""
    assert share_interval(0, 1000, one_sided=True)[1] == pytest.approx(3 / 1000, rel=0.01)
    assert share_interval(10, 10)[0] == pytest.approx(0.692, abs=1e-3)  # Clopper and Pearson 1934
    assert share_interval(0, 0) == (0.0, 1.0)


def test_a_self_test_is_found_by_its_machine(tmp_path: Path) -> None:
    """What was stored is read back for the same processor and torch, and for no other."""
    test = SelfTest({"cpu": "a/b", "torch": "2"}, 10, 1, 0, 2, (), {"adam": 0.02}, {"adam": 0.01}, 5, 60.0)
    test.store(tmp_path)

    assert stored({"cpu": "a/b", "torch": "2"}, tmp_path) == {"adam": 0.02}
    assert stored({"cpu": "a/b", "torch": "3"}, tmp_path) == {}
    assert "0 false alarms" in test.lines[0]
