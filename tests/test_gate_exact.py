"""Verdicts on exact measures: what is the same, worse, better, changed, new or missing."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gdbench.gate.accepted import Acceptance
from gdbench.gate.exact import Finding, compared
from gdbench.gate.rulings import Terms, exact_ruling, exit_code, ruled
from gdbench.gate.series import Series
from gdbench.gate.suite import Waiver

ULPS = {"float32": 8.0, "float64": 4096.0}


def answer(bits: str = "abcd", ops: int = 10, **columns: Any) -> dict[str, Any]:
    """What a probe says of a run: by default one that reaches its target in 30 steps."""
    told = {"status": "target", "steps_to_target": 30, "hit_1e-03": 12, "start_loss": 1.0, "final_loss": 1e-9}
    step = {"ops": {"aten.add.Tensor": ops}, "peak_bytes": 8, "allocated_bytes": 8 * ops}
    kept = {"bits": list(bits), "dtype": "float64", "dtypes": ["float64"], "constant_cost": True}
    return {"outcome": "measured", "columns": {**told, **columns}, "first": step, "steady": step, **kept}


def found(base: Mapping[str, Any] | None, head: Mapping[str, Any] | None, alike: bool = True) -> Finding:
    """The finding about two answers."""
    return compared("s", base, head, alike, ULPS)


CASES = {
    "nothing": ({}, "same", ""),
    "later": ({"bits": "abxx", "steps_to_target": 33}, "worse", "steps to target: 30 -> 33 (+10.0%); first differs at"),
    "lost": ({"bits": "axxx", "steps_to_target": None, "status": "budget"}, "worse", "status: target -> budget; steps"),
    "a later rung": ({"bits": "abcx", "hit_1e-03": 13}, "worse", "steps to 1e-3: 12 -> 13 (+8.3%)"),
    "sooner": ({"bits": "abcx", "steps_to_target": 20}, "changed", "steps to target: 30 -> 20 (-33.3%); first differs"),
    "bits alone": ({"bits": "abcx"}, "changed", "first differs at step 3"),
    "a shorter walk": ({"bits": "abc"}, "changed", "first differs at step 3"),
    "more work": ({"ops": 11}, "worse", "ops per step: 10 -> 11 (+1 add.Tensor)"),
    "less work": ({"ops": 9}, "better", "ops per step: 10 -> 9 (-1 add.Tensor)"),
    "plateau and budget": ({"status": "budget", "bits": "abcx"}, "worse", "status: target -> budget"),
}


@pytest.mark.parametrize(("other", "verdict", "cause"), CASES.values(), ids=CASES)
def test_verdicts_on_one_fingerprint(other: dict[str, Any], verdict: str, cause: str) -> None:
    """Equality decides, and the number or the first step that differs is named."""
    finding = found(answer(), answer(**other))

    assert finding.verdict == verdict
    assert cause in finding.cause


@given(
    steps=st.integers(-5, 5),
    loss=st.floats(0.0, 1e-3),
    bits=st.text("abx", min_size=4, max_size=4),
)
def test_another_fingerprint_never_says_changed(steps: int, loss: float, bits: str) -> None:
    """Bits do not count there; hits within one and losses within rounding of the start's are the same."""
    finding = found(answer(), answer(bits=bits, steps_to_target=30 + steps, final_loss=loss), alike=False)
    far = abs(loss - 1e-9) > 4096 * 2.0**-52
    worse = steps > 1 or (far and loss > 1e-9)

    assert finding.verdict == ("worse" if worse else "better" if steps < -1 or far else "same")
    assert finding.first_difference is None


def test_a_step_that_searches_counts_on_its_own_fingerprint_only() -> None:
    """Its trips depend on its numbers, which rounding moves."""
    base, head = answer(ops=10), answer(ops=20)
    base["constant_cost"] = head["constant_cost"] = False

    assert found(base, head, alike=False).verdict == "same"
    assert found(base, head).verdict == "worse"


def test_what_is_there_on_one_side_only() -> None:
    """New passes; missing, unsupported, and absent from both do not."""
    absent, unsupported = {"outcome": "absent", "error": "no"}, {"outcome": "unsupported", "error": "old"}

    assert found(absent, answer()).verdict == "new"
    assert found(answer(), absent).verdict == "missing"
    assert found(answer(), None).verdict == "missing"
    assert found(absent, absent).verdict == "unmeasured"
    assert found(unsupported, answer()).cause == "the base cannot be asked: old"
    assert found(unsupported, answer()).verdict == "unmeasured"


def judged(finding: Finding, policy: str = "gate", **terms: Any) -> tuple[int, str]:
    """The exit code of one finding, and why it is forgiven."""
    (ruling,) = ruled([exact_ruling(finding)], [Series("s", (), policy=policy)], Terms(**terms))
    return exit_code([ruling], "fail"), ruling.forgiven


WORSE, CHANGED = found(answer(), answer(ops=11)), found(answer(), answer(bits="abcx"))
MISSING = found(answer(), None)
DAY = datetime.date(2030, 1, 31)


def test_a_waiver_holds_until_its_day_has_gone() -> None:
    """On that day it still counts; a layer that it does not name is not waived."""
    waiver = Waiver("s*", "known", DAY)

    assert judged(WORSE, waivers=[waiver], today=DAY) == (0, "waived until 2030-01-31: known")
    assert judged(WORSE, waivers=[waiver], today=DAY + datetime.timedelta(1)) == (1, "")
    assert judged(WORSE, waivers=[Waiver("s", "known", DAY, "time")], today=DAY) == (1, "")
    assert Terms([waiver], today=DAY + datetime.timedelta(1)).lapsed(["s"]) == [waiver]


def test_advice_fails_nothing_but_what_is_missing() -> None:
    """A series under advice tells; one that has gone is still not passed over."""
    assert judged(WORSE, policy="advise") == (0, "advice only")
    assert judged(MISSING, policy="advise") == (4, "")


def test_an_acceptance_holds_for_its_bits() -> None:
    """On the fingerprint where it was given other bits are another change; elsewhere bits say nothing."""
    bits = str(CHANGED.measures["trajectory"])
    here = Acceptance("s", bits, "here", "2030-01-01", "meant")
    other = Acceptance("s", "other", "here", "2030-01-01", "meant")

    assert judged(CHANGED, accepted={"s": here}, fingerprint="here") == (0, "accepted: meant")
    assert judged(CHANGED, accepted={"s": other}, fingerprint="here") == (1, "")
    assert judged(CHANGED, accepted={"s": other}, fingerprint="there") == (0, "accepted: meant")


def test_exit_codes_put_a_regression_first() -> None:
    """Then what was not measured; a gate that measured nothing has not passed."""
    series = [Series("s", ())]
    rulings = ruled(map(exact_ruling, (MISSING, WORSE)), series, Terms())

    assert exit_code(rulings, "fail") == 1
    assert exit_code(rulings[:1], "fail") == 4
    assert exit_code([], "fail") == 4
