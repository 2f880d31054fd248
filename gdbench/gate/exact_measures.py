"""Exact measures compared by equality, without statistics: same, worse, better, changed, new, missing."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gdbench.results.columns import LADDER
from gdbench.results.statuses import STATUS_RANK, WITHOUT_RESULT

__all__ = ["ABSENT", "EVERYWHERE", "HERE", "ExactResult", "MeasureDifference", "collect_measures", "compare_answers"]
__all__ += ["explain_absence", "has_run"]

ABSENT = ("missing", "unmeasured")
"""Verdicts where nothing was compared; same, better and new pass, worse and changed fail."""
HITS = tuple(LADDER)
"""Steps to each target of the ladder."""
NO_RUN = WITHOUT_RESULT
"""Statuses of runs without numbers: two of them are not the same, there is nothing to compare."""
SETTLED = "steps_to_settle"
TARGETS = ("steps_to_target", SETTLED, "gradients_to_target", "evaluations_to_target")
COUNTS = ("ops first step", "ops per step", "bytes allocated first step", "bytes allocated per step", "peak bytes")
IMPLIED_BY = {
    "ops first step": {"ops per step"},
    "bytes allocated per step": {"ops per step"},
    "bytes allocated first step": {"ops per step", "ops first step", "bytes allocated per step"},
    "peak bytes": {"ops per step", "bytes allocated per step"},
}
"""Counts that are not listed beside others, as those explain them."""
COMPILED = ("graphs", "graph breaks")
EVERYWHERE = ("verdict", "status", *TARGETS, *HITS, *COUNTS, *COMPILED)
"""Measures that are the same on every machine."""
HERE = ("final_loss", "trajectory")
"""Measures that are the same on one fingerprint only."""
HIT_TOLERANCE = 1
"""Steps by which hits may differ on another fingerprint."""
EPS = {"float32": 2.0**-23, "float64": 2.0**-52, "float16": 2.0**-10, "bfloat16": 2.0**-7}


@dataclass(frozen=True)
class MeasureDifference:
    """A measure that differs: its values on both sides, and whether the head's is worse."""

    measure: str
    base: Any
    head: Any
    is_worse: bool | None = None
    """None if neither direction is better."""
    detail: str = ""

    @property
    def text(self) -> str:
        """``steps to 1e-6: 4725 -> 4911 (+3.9%)``."""
        before, now = self.base, self.head
        note = self.detail
        if not note and before and all(isinstance(one, int) and not isinstance(one, bool) for one in (before, now)):
            note = f"{now / before - 1:+.1%}"
        return f"{self.measure}: {_format_change(before, now)}" + (f" ({note})" if note else "")


@dataclass(frozen=True)
class ExactResult:
    """Result of the exact layer for one series."""

    series: str
    verdict: str
    differences: tuple[MeasureDifference, ...] = ()
    first_difference: int | None = None
    """The first k for which the bits of x_k differ."""
    why: str = ""
    measures: Mapping[str, Any] = field(default_factory=dict)
    """The head's numbers."""
    base_measures: Mapping[str, Any] = field(default_factory=dict)

    @property
    def cause(self) -> str:
        """One line with what differs; empty for ``same``."""
        relevant = [one for one in self.differences if self.verdict != "worse" or one.is_worse is not False]
        causes = [one.text for one in _drop_implied(relevant)] + ([self.why] if self.why else [])
        if self.first_difference is not None:
            causes.append(f"first differs at step {self.first_difference}")
        elif self.verdict == "changed" and not causes:
            before, now = self.base_measures.get("trajectory"), self.measures.get("trajectory")
            causes.append(f"trajectory: {_format_change(before, now)}")
        return "; ".join(causes)


def _drop_implied(differences: Sequence[MeasureDifference]) -> list[MeasureDifference]:
    """The differences without counts that others imply: of the first step by all steps, of bytes by operations."""
    names = {one.measure for one in differences}
    implied = {name for name, causes in IMPLIED_BY.items() if causes & names}
    return [one for one in differences if one.measure not in implied]


def compare_answers(
    series: str,
    base: Mapping[str, Any] | None,
    head: Mapping[str, Any] | None,
    is_alike: bool,
    ulps: Mapping[str, float],
) -> ExactResult:
    """Compare the probe's answers of both sides; ``is_alike`` says whether their fingerprints are equal."""
    now, before = (collect_measures(one) if one and _is_measured(one) else {} for one in (head, base))
    if not (base and head and has_run(base) and _is_measured(head)):
        verdict, why = _judge_one_sided(base or {}, head or {})
        return ExactResult(series, verdict, why=why, measures=now, base_measures=before)
    first = _find_first_difference(base, head) if is_alike else None
    has_moved = is_alike and _hash_trajectory(base) != _hash_trajectory(head)
    differences = [
        *_compare_status(base, head),
        *_compare_hits(before, now, 0 if is_alike else HIT_TOLERANCE),
        *(_compare_ends(base, head) if has_moved else () if is_alike else _compare_losses(base, head, ulps)),
        *_compare_counts(base, head, is_alike),
    ]
    verdict = _choose_verdict(differences, has_moved)
    return ExactResult(series, verdict, tuple(differences), first, measures=now, base_measures=before)


def _choose_verdict(differences: Sequence[MeasureDifference], has_moved: bool) -> str:
    if any(one.is_worse for one in differences):
        return "worse"
    if has_moved:
        return "changed"
    return "better" if any(one.is_worse is False for one in differences) else "same"


def _is_measured(answer: Mapping[str, Any]) -> bool:
    return answer.get("outcome") == "measured"


def has_run(answer: Mapping[str, Any]) -> bool:
    """Whether an answer is that of a run with numbers: one that neither raised nor is unavailable."""
    return _is_measured(answer) and answer["columns"].get("status") not in (*NO_RUN, None)


def _judge_one_sided(base: Mapping[str, Any], head: Mapping[str, Any]) -> tuple[str, str]:
    """The verdict and its reason if a side has no numbers; ``new`` only if the base's tree lacks the configuration."""
    for name, side in (("head", head), ("base", base)):
        if side.get("outcome") == "unsupported":
            return "unmeasured", f"the {name} cannot be probed: {side['error']}"
    if _is_measured(base) and not _is_measured(head):
        return "missing", f"no longer there: {explain_absence(head)}"
    if not has_run(head):
        return "unmeasured", f"on neither side: {explain_absence(head)}"
    if base.get("outcome") == "lacking":
        return "new", f"not there in the base: {base['lacks']}"
    return "unmeasured", f"nothing to compare with, as the base has no numbers: {explain_absence(base)}"


def explain_absence(answer: Mapping[str, Any]) -> str:
    """Why an answer has no numbers."""
    if _is_measured(answer):
        status, error = (answer["columns"].get(name) for name in ("status", "error"))
        return f"its run is {status} ({error})" if error else f"its run is {status or 'without a status'}"
    return str(answer.get("error", "no answer"))


def collect_measures(answer: Mapping[str, Any]) -> dict[str, Any]:
    """The numbers of an answer by name, the trajectory as a digest: what baselines and histories store."""
    columns = {name: value for name, value in answer["columns"].items() if name not in ("error", "resolved")}
    return {**columns, **_count_work(answer), **answer.get("compiled", {}), "trajectory": _hash_trajectory(answer)}


def _count_work(answer: Mapping[str, Any]) -> dict[str, int]:
    if "steady" not in answer:
        return {}
    first, steady = answer["first"], answer["steady"]
    ops = (sum(first["ops"].values()), sum(steady["ops"].values()))
    numbers = (*ops, first["allocated_bytes"], steady["allocated_bytes"], steady["peak_bytes"])
    return dict(zip(COUNTS, numbers, strict=True))


def _hash_trajectory(answer: Mapping[str, Any]) -> str | None:
    """Digest of all points of a trajectory; None without any. A row of a baseline has it already."""
    if "trajectory" in answer:
        return None if answer["trajectory"] is None else str(answer["trajectory"])
    if not answer.get("bits"):
        return None
    return hashlib.blake2b("".join(answer["bits"]).encode(), digest_size=8).hexdigest()


# ------------------------------------------------------------------------------------------------------- differences


def _compare_status(base: Mapping[str, Any], head: Mapping[str, Any]) -> Iterator[MeasureDifference]:
    before, now = base["columns"]["status"], head["columns"]["status"]
    if before != now:
        change = STATUS_RANK[now] - STATUS_RANK[before]
        error = head["columns"].get("error")
        text = f"{now} ({error})" if error else now
        yield MeasureDifference("status", before, text, is_worse=None if change == 0 else change > 0)


def _compare_hits(base: Mapping[str, Any], head: Mapping[str, Any], tolerance: int) -> Iterator[MeasureDifference]:
    """Differences of the run's own targets, then of the first target of the ladder that shows more."""
    targets = [one for name in TARGETS if (one := _compare_hit(name, base, head, tolerance))]
    if all(one.get(SETTLED) == one.get("steps_to_target") for one in (base, head)):  # never left after its first hit
        targets = [one for one in targets if one.measure != _name_hit(SETTLED)]
    known = {(one.base, one.head) for one in targets}
    ladder = [one for name in HITS if (one := _compare_hit(name, base, head, tolerance))]
    yield from targets
    for is_worse in (True, False):
        more = (one for one in ladder if one.is_worse is is_worse and (one.base, one.head) not in known)
        if first := next(more, None):
            yield first


def _compare_hit(
    name: str, base: Mapping[str, Any], head: Mapping[str, Any], tolerance: int
) -> MeasureDifference | None:
    before, now = base.get(name), head.get(name)
    if before == now or (name not in base) or (name not in head):
        return None
    if before is not None and now is not None and abs(now - before) <= tolerance:
        return None
    is_worse = now is None or (before is not None and now > before)
    return MeasureDifference(_name_hit(name), before, now, is_worse)


def _name_hit(name: str) -> str:
    return f"steps to {float(name[4:]):.0e}".replace("e-0", "e-") if name in HITS else name.replace("_", " ")


def _compare_counts(base: Mapping[str, Any], head: Mapping[str, Any], is_alike: bool) -> Iterator[MeasureDifference]:
    """Differences of counted work; that of a step which searches depends on its numbers, so on the fingerprint."""
    if not is_alike and not base.get("constant_cost", True):
        return
    before, now = ({**_count_work(one), **one.get("compiled", {}), **_read_counts(one)} for one in (base, head))
    for name in (*COUNTS, *COMPILED):
        if name in before and name in now and before[name] != now[name]:
            is_worse = now[name] > before[name]
            yield MeasureDifference(name, before[name], now[name], is_worse, _list_changed_ops(base, head, name))


def _read_counts(answer: Mapping[str, Any]) -> dict[str, Any]:
    """The counts of a row of a baseline, which are columns."""
    return {name: answer["columns"][name] for name in (*COUNTS, *COMPILED) if answer["columns"].get(name) is not None}


def _list_changed_ops(base: Mapping[str, Any], head: Mapping[str, Any], name: str) -> str:
    """Operations that were added or removed: ``+1 clone``."""
    step = {"ops first step": "first", "ops per step": "steady"}.get(name)
    if step is None or step not in base or step not in head:
        return ""
    before, now = base[step]["ops"], head[step]["ops"]
    changes = {op: now.get(op, 0) - before.get(op, 0) for op in {*before, *now}}
    return ", ".join(f"{count:+d} {_shorten_op(op)}" for op, count in sorted(changes.items()) if count)


def _shorten_op(name: str) -> str:
    return name.removeprefix("aten.").removesuffix(".default")


def _compare_losses(
    base: Mapping[str, Any], head: Mapping[str, Any], ulps: Mapping[str, float]
) -> Iterator[MeasureDifference]:
    """Difference of the final losses beyond rounding, on another fingerprint."""
    before, now = base["columns"].get("final_loss"), head["columns"].get("final_loss")
    start = base["columns"].get("start_loss") or 0.0
    dtype = str(head.get("dtype", "float32"))
    if before is None or now is None or not all(map(math.isfinite, (before, now, start))):
        return
    allowed = ulps.get(dtype, 1.0) * EPS.get(dtype, EPS["float32"]) * max(abs(start), abs(before))
    if abs(now - before) > allowed:
        yield MeasureDifference("final loss", before, now, is_worse=now > before)


def _find_first_difference(base: Mapping[str, Any], head: Mapping[str, Any]) -> int | None:
    """The first k for which the bits of x_k differ; None if all are equal."""
    if "bits" not in base or "bits" not in head:
        return None
    pairs = zip(base["bits"], head["bits"], strict=False)
    first = next((k for k, (before, now) in enumerate(pairs) if before != now), None)
    shorter = min(len(base["bits"]), len(head["bits"]))
    return first if first is not None or len(base["bits"]) == len(head["bits"]) else shorter


def _compare_ends(base: Mapping[str, Any], head: Mapping[str, Any]) -> Iterator[MeasureDifference]:
    """Differences of the dtypes and final losses of two trajectories that are not equal."""
    before, now = (" then ".join(one.get("dtypes", [])) for one in (base, head))
    if before != now and now:
        yield MeasureDifference("dtype of x", before, now)
    before, now = (one["columns"].get("final_loss") for one in (base, head))
    if before != now and now is not None:
        yield MeasureDifference("final loss", before, now)


def _format_change(before: Any, now: Any) -> str:
    """Two values with 4 digits, or all digits if these are equal: ``0.5 -> 0.25``."""
    short = f"{_format_value(before)} -> {_format_value(now)}"
    return short if _format_value(before) != _format_value(now) else f"{before} -> {now}"


def _format_value(value: Any) -> str:
    if value is None:
        return "never"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
