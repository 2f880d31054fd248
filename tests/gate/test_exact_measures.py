"""Verdicts on exact measures: what is the same, worse, better, changed, new or missing."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gdbench.errors import UsageError
from gdbench.gate.acceptance import Acceptance, format_changes, load_acceptances, record_acceptances
from gdbench.gate.exact_measures import ExactResult, compare_answers
from gdbench.gate.policy import Policy, apply_policy, choose_exit_code, make_exact_verdict
from gdbench.gate.series import Series
from gdbench.gate.suite import Waiver

ULPS = {"float32": 8.0, "float64": 4096.0}


def answer(bits: str = "abcd", ops: int = 10, **columns: Any) -> dict[str, Any]:
    """A probe's answer: by default a run that reaches its target in 30 steps."""
    told = {
        "status": "target",
        "steps_to_target": 30,
        "steps_to_settle": 30,
        "hit_1e-03": 12,
        "start_loss": 1.0,
        "final_loss": 1e-9,
    }
    step = {"ops": {"aten.add.Tensor": ops}, "peak_bytes": 8, "allocated_bytes": 8 * ops}
    kept = {"bits": list(bits), "dtype": "float64", "dtypes": ["float64"], "constant_cost": True}
    return {"outcome": "measured", "columns": {**told, **columns}, "first": step, "steady": step, **kept}


def found(base: Mapping[str, Any] | None, head: Mapping[str, Any] | None, alike: bool = True) -> ExactResult:
    """The result of comparing two answers."""
    return compare_answers("s", base, head, alike, ULPS)


CASES = {
    "nothing": ({}, "same", ""),
    "later": ({"bits": "abxx", "steps_to_target": 33}, "worse", "steps to target: 30 -> 33 (+10.0%); first differs at"),
    "lost": ({"bits": "axxx", "steps_to_target": None, "status": "budget"}, "worse", "status: target -> budget; steps"),
    "settled later": ({"bits": "abcx", "steps_to_settle": 40}, "worse", "steps to settle: 30 -> 40 (+33.3%)"),
    "left again": ({"bits": "abcx", "steps_to_settle": None}, "worse", "steps to settle: 30 -> never; first differs"),
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
    """The number of its trials depends on rounding."""
    base, head = answer(ops=10), answer(ops=20)
    base["constant_cost"] = head["constant_cost"] = False

    assert found(base, head, alike=False).verdict == "same"
    assert found(base, head).verdict == "worse"


def test_what_is_there_on_one_side_only() -> None:
    """A new series passes; missing, unsupported, and absent on any side do not."""
    absent, unsupported = {"outcome": "absent", "error": "no"}, {"outcome": "unsupported", "error": "old"}
    lacking = {"outcome": "lacking", "lacks": "optimizer/late", "error": "no"}

    assert found(lacking, answer()).verdict == "new"
    assert found(absent, answer()).verdict == "unmeasured"
    assert found(None, answer()).verdict == "unmeasured"
    assert found(answer(), absent).verdict == "missing"
    assert found(answer(), None).verdict == "missing"
    assert found(absent, absent).verdict == "unmeasured"
    assert found(unsupported, answer()).cause == "the base cannot be probed: old"
    assert found(unsupported, answer()).verdict == "unmeasured"


def judge(result: ExactResult, policy: str = "gate", **policies: Any) -> tuple[int, str]:
    """The exit code of one result, and why it is forgiven."""
    (verdict,) = apply_policy([make_exact_verdict(result)], [Series("s", (), policy=policy)], Policy(**policies))
    return choose_exit_code([verdict], "fail"), verdict.forgiven


WORSE, CHANGED = found(answer(), answer(ops=11)), found(answer(), answer(bits="abcx"))
MISSING = found(answer(), None)
DAY = datetime.date(2030, 1, 31)


def test_a_waiver_holds_until_its_day_has_gone() -> None:
    """On its last day it is still valid; a layer that it does not name is not waived."""
    waiver = Waiver("s*", "known", DAY)

    assert judge(WORSE, waivers=[waiver], today=DAY) == (0, "waived until 2030-01-31: known")
    assert judge(WORSE, waivers=[waiver], today=DAY + datetime.timedelta(1)) == (1, "")
    assert judge(WORSE, waivers=[Waiver("s", "known", DAY, "time")], today=DAY) == (1, "")
    assert Policy([waiver], today=DAY + datetime.timedelta(1)).find_expired(["s"]) == [waiver]


def test_advice_fails_nothing_but_what_is_missing() -> None:
    """A series under advice never fails, but a missing one is still exit 4."""
    assert judge(WORSE, policy="advise") == (0, "advice only")
    assert judge(MISSING, policy="advise") == (4, "")


NO_RUNS = [
    *(
        {"outcome": "measured", "columns": {"status": name, "error": "no package"}}
        for name in ("failed", "unavailable")
    ),
    {"outcome": "absent", "error": "no"},
    {"outcome": "unsupported", "error": "no"},
    {"outcome": "measured", "columns": {"status": None}},
    None,
]


@pytest.mark.parametrize("alike", [True, False])
@pytest.mark.parametrize("base", [*NO_RUNS, {"outcome": "lacking", "lacks": "lr", "error": "no"}])
@pytest.mark.parametrize("head", NO_RUNS)
def test_what_has_no_numbers_never_passes(base: Any, head: Any, alike: bool) -> None:
    """Two failed runs are not the same, and none is better than a failed one; a reason is always given."""
    both, after = found(base, head, alike), found(base, answer(), alike)

    assert both.verdict in ("unmeasured", "missing")
    assert after.verdict == ("new" if base and base["outcome"] == "lacking" else "unmeasured")
    assert both.cause
    assert after.cause


def test_a_run_that_fails_now_is_worse() -> None:
    """Its status says so, and why."""
    failed = {"outcome": "measured", "columns": {"status": "failed", "error": "no package"}}

    assert found(answer(), failed).verdict == "worse"
    assert "status: target -> failed (no package)" in found(answer(), failed).cause


COUNT = st.integers(0, 3)


@given(data=st.data(), alike=st.booleans())
def test_what_fails_has_a_cause(data: st.DataObject, alike: bool) -> None:
    """Whatever differs between two answers, better in one way and worse in another."""

    def drawn() -> dict[str, Any]:
        told = answer(data.draw(st.text("ab", max_size=3)), steps_to_target=data.draw(st.none() | COUNT))
        for name in ("first", "steady"):
            ops = {"aten.add.Tensor": data.draw(COUNT), "aten.clone.default": data.draw(COUNT)}
            told[name] = {"ops": ops, "peak_bytes": data.draw(COUNT), "allocated_bytes": data.draw(COUNT)}
        return told

    finding = found(drawn(), drawn(), alike)

    assert (finding.verdict == "same") or finding.cause


def accepted(finding: ExactResult, against: str = "", fingerprint: str = "here") -> list[Acceptance]:
    """The acceptance of a finding."""
    stated = {"verdict": finding.verdict, "base": finding.base_measures, "numbers": finding.measures}
    return [Acceptance("s", format_changes(stated), fingerprint, against, "2030-01-01", "meant")]


def test_an_acceptance_forgives_its_numbers_alone() -> None:
    """One accepted operation covers neither four more nor one from another count, but a part of what was accepted."""
    both = found(answer(), answer(ops=11, bits="abcx"))

    assert judge(WORSE, acceptances=accepted(WORSE), fingerprint="here") == (0, "accepted: meant")
    assert judge(WORSE, acceptances=accepted(both), fingerprint="here") == (0, "accepted: meant")
    assert judge(both, acceptances=accepted(WORSE), fingerprint="here") == (1, "")
    for base, head in ((10, 14), (11, 12), (9, 11)):
        finding = found(answer(ops=base), answer(ops=head))
        for fingerprint in ("here", "there"):
            assert judge(finding, acceptances=accepted(WORSE), fingerprint=fingerprint) == (1, "")


def test_an_acceptance_holds_for_its_bits() -> None:
    """On its fingerprint other bits are another change; on another one any bits are covered if bits were accepted."""
    other = found(answer(), answer(bits="abcy"))

    assert judge(CHANGED, acceptances=accepted(CHANGED), fingerprint="here") == (0, "accepted: meant")
    assert judge(other, acceptances=accepted(CHANGED), fingerprint="here") == (1, "")
    assert judge(other, acceptances=accepted(CHANGED), fingerprint="there") == (0, "accepted: meant")
    assert judge(other, acceptances=accepted(WORSE), fingerprint="there") == (1, "")


def test_an_acceptance_elsewhere_forgives_no_other_result() -> None:
    """A target that is no longer reached, another count, or a final loss beyond rounding is another change."""
    meant = found(answer(), answer(bits="abcx", steps_to_target=33, final_loss=2e-9))
    same = found(answer(), answer(bits="abcy", steps_to_target=33, final_loss=2e-9 + 1e-15))
    others = (
        {"status": "budget", "steps_to_target": None},
        {"steps_to_target": 34},
        {"steps_to_target": 33, "hit_1e-03": 13},
        {"steps_to_target": 33, "final_loss": 1e-3},
        {"steps_to_target": 33, "ops": 14},
    )

    assert judge(same, acceptances=accepted(meant), fingerprint="there") == (0, "accepted: meant")
    for other in others:
        finding = found(answer(), answer(**{"bits": "abcy", "final_loss": 2e-9, **other}))
        assert judge(finding, acceptances=accepted(meant), fingerprint="there") == (1, ""), other


def test_an_acceptance_counts_for_its_baseline() -> None:
    """It covers neither a revision nor the baseline that replaces its own."""
    for against, code in (("one", 0), ("two", 1), ("", 1)):
        assert judge(WORSE, acceptances=accepted(WORSE, "one"), fingerprint="here", against=against)[0] == code


def test_what_was_accepted_as_missing_is_forgiven_as_missing() -> None:
    """Nothing else of that series is forgiven."""
    assert judge(MISSING, acceptances=accepted(MISSING), fingerprint="here") == (0, "accepted: meant")
    assert judge(WORSE, acceptances=accepted(MISSING), fingerprint="here") == (1, "")
    assert judge(MISSING, acceptances=accepted(WORSE), fingerprint="here") == (4, "")


@given(data=st.data(), fingerprint=st.sampled_from(["here", "there"]))
def test_an_acceptance_forgives_nothing_that_it_does_not_record(data: st.DataObject, fingerprint: str) -> None:
    """One change is forgiven by the acceptance of another only if each of its numbers is recorded there."""
    values = st.fixed_dictionaries(
        {
            "status": st.sampled_from(["target", "budget"]),
            "steps_to_target": st.none() | st.integers(30, 33),
            "hit_1e-03": st.integers(12, 14),
            "ops": st.integers(10, 13),
        }
    )
    one, two = (found(answer(), answer(**data.draw(values))) for _ in range(2))
    code, _ = judge(two, acceptances=accepted(one), fingerprint=fingerprint)
    changed, recorded = (accepted(finding)[0].changes.items() for finding in (two, one))

    assert code == int(two.verdict in ("worse", "changed") and not changed <= recorded)


def test_what_is_written_is_what_is_read(tmp_path: Path) -> None:
    """Acceptances of several fingerprints and baselines coexist; a newer one replaces that of its own key."""
    rows = [
        {"series": "s", "verdict": one.verdict, "base": one.base_measures, "numbers": one.measures} for one in (WORSE,)
    ]
    for fingerprint, against, reason in (("a, b", "", "one"), ("there", "", "two"), ("there", "x", "three")):
        record_acceptances(tmp_path, rows, fingerprint, against, reason)
    record_acceptances(tmp_path, rows, "there", "", 'four, "quoted"')

    assert {one.reason for one in load_acceptances(tmp_path)} == {"one", "three", 'four, "quoted"'}
    assert all(one.changes == accepted(WORSE)[0].changes for one in load_acceptances(tmp_path))


def test_a_file_of_an_older_form_is_told_in_one_line(tmp_path: Path) -> None:
    """A file without numbers forgives none and is refused."""
    (tmp_path / "gate").mkdir()
    (tmp_path / "gate" / "accepted.csv").write_text("series,trajectory,fingerprint,date,reason\ns,,here,2030-01-01,a\n")
    with pytest.raises(UsageError, match=r"does not record which numbers.*gdbench gate accept") as raised:
        load_acceptances(tmp_path)

    assert "\n" not in str(raised.value)


def test_exit_codes_put_a_regression_first() -> None:
    """What was not measured comes next; a gate that measured nothing does not pass."""
    series = [Series("s", ())]
    verdicts = apply_policy(map(make_exact_verdict, (MISSING, WORSE)), series, Policy())

    assert choose_exit_code(verdicts, "fail") == 1
    assert choose_exit_code(verdicts[:1], "fail") == 4
    assert choose_exit_code([], "fail") == 4
