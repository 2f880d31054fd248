"""Exact measures compared by equality, without statistics: same, worse, better, changed, new, missing."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gdbench.results.columns import LADDER
from gdbench.results.statuses import STATUS_RANK

__all__ = ["ABSENT", "EVERYWHERE", "EXACT", "HERE", "Difference", "Finding", "compared", "digest_of", "has_run"]
__all__ += ["measures", "why_not"]

EXACT = ("same", "better", "new", "changed", "worse", "missing", "unmeasured")
"""What the exact layer may find: the first three pass, changed and worse fail, the last two were not measured."""
ABSENT = ("missing", "unmeasured")
"""Verdicts where nothing was compared."""
RUNGS = tuple(LADDER)
NO_RUN = ("failed", "unavailable")
"""Statuses of runs without numbers: two of them are not the same, they are nothing to compare."""
SETTLED = "steps_to_settle"
TARGETS = ("steps_to_target", SETTLED, "gradients_to_target", "evaluations_to_target")
COUNTS = ("ops first step", "ops per step", "bytes allocated first step", "bytes allocated per step", "peak bytes")
AGAIN = {
    "ops first step": {"ops per step"},
    "bytes allocated per step": {"ops per step"},
    "bytes allocated first step": {"ops per step", "ops first step", "bytes allocated per step"},
    "peak bytes": {"ops per step", "bytes allocated per step"},
}
"""Counts that are not told beside others, as these explain them."""
COMPILED = ("graphs", "graph breaks")
EVERYWHERE = ("verdict", "status", *TARGETS, *RUNGS, *COUNTS, *COMPILED)
"""Measures that are the same on every machine."""
HERE = ("final_loss", "trajectory")
"""Measures that hold on one fingerprint."""
NEAR = 1
"""Steps by which hits may differ on another fingerprint."""
EPS = {"float32": 2.0**-23, "float64": 2.0**-52, "float16": 2.0**-10, "bfloat16": 2.0**-7}


@dataclass(frozen=True)
class Difference:
    """A measure that differs: what it was, what it is, and whether that is worse."""

    measure: str
    base: Any
    head: Any
    worse: bool | None = None
    """None where neither way is better."""

    more: str = ""

    @property
    def words(self) -> str:
        """``steps to 1e-6: 4725 -> 4911 (+3.9%)``."""
        was, now = self.base, self.head
        counts = all(isinstance(each, int) and not isinstance(each, bool) for each in (was, now))
        notes = [f"{now / was - 1:+.1%}"] if counts and was and not self.more else [self.more] if self.more else []
        return f"{self.measure}: {_pair(was, now)}" + (f" ({', '.join(notes)})" if notes else "")


@dataclass(frozen=True)
class Finding:
    """What the exact layer says of a series."""

    series: str
    verdict: str
    differences: tuple[Difference, ...] = ()
    first_difference: int | None = None
    """The first step after which the two trajectories are not the same bits."""
    why: str = ""
    measures: Mapping[str, Any] = field(default_factory=dict)
    """The head's own numbers."""
    before: Mapping[str, Any] = field(default_factory=dict)
    """The base's."""

    @property
    def cause(self) -> str:
        """The line that names the cause; what is the same has none."""
        shown = _brief([each for each in self.differences if self.verdict != "worse" or each.worse is not False])
        words = [each.words for each in shown] + ([self.why] if self.why else [])
        if self.first_difference is not None:
            words.append(f"first differs at step {self.first_difference}")
        elif self.verdict == "changed" and not words:
            words.append(f"trajectory: {_pair(self.before.get('trajectory'), self.measures.get('trajectory'))}")
        return "; ".join(words)


def _brief(differences: Sequence[Difference]) -> list[Difference]:
    """Without the counts that say the same again: of the first step as of all, of bytes as of operations."""
    names = {each.measure for each in differences}
    spare = {again for again, told in AGAIN.items() if told & names}
    return [each for each in differences if each.measure not in spare]


def compared(
    series: str, base: Mapping[str, Any] | None, head: Mapping[str, Any] | None, alike: bool, ulps: Mapping[str, float]
) -> Finding:
    """The finding about two answers of the probe; ``alike`` says whether their fingerprints are one."""
    now, before = (measures(each) if each and _is_measured(each) else {} for each in (head, base))
    if not (base and head and has_run(base) and _is_measured(head)):
        verdict, why = _one_sided(base or {}, head or {})
        return Finding(series, verdict, why=why, measures=now, before=before)
    first = _first_difference(base, head) if alike else None
    moved = alike and digest_of(base) != digest_of(head)
    differences = [
        *_status(base, head),
        *_hits(before, now, 0 if alike else NEAR),
        *(_ends(base, head) if moved else () if alike else _losses(base, head, ulps)),
        *_counts(base, head, alike),
    ]
    return Finding(series, _verdict(differences, moved), tuple(differences), first, measures=now, before=before)


def _verdict(differences: Sequence[Difference], moved: bool) -> str:
    if any(each.worse for each in differences):
        return "worse"
    if moved:
        return "changed"
    return "better" if any(each.worse is False for each in differences) else "same"


def _is_measured(answer: Mapping[str, Any]) -> bool:
    return answer.get("outcome") == "measured"


def has_run(answer: Mapping[str, Any]) -> bool:
    """Whether an answer tells of a run: neither of one that raised, nor of one that cannot be had here."""
    return _is_measured(answer) and answer["columns"].get("status") not in (*NO_RUN, None)


def _one_sided(base: Mapping[str, Any], head: Mapping[str, Any]) -> tuple[str, str]:
    """The verdict, and its reason, where a side has no numbers: only what the base's tree does not hold is new."""
    for name, side in (("head", head), ("base", base)):
        if side.get("outcome") == "unsupported":
            return "unmeasured", f"the {name} cannot be asked: {side['error']}"
    if _is_measured(base) and not _is_measured(head):
        return "missing", f"no longer there: {why_not(head)}"
    if not has_run(head):
        return "unmeasured", f"on neither side: {why_not(head)}"
    if base.get("outcome") == "lacking":
        return "new", f"not there in the base: {base['lacks']}"
    return "unmeasured", f"nothing to compare with, as the base has no numbers: {why_not(base)}"


def why_not(answer: Mapping[str, Any]) -> str:
    """Why an answer has no numbers."""
    if _is_measured(answer):
        status, error = (answer["columns"].get(name) for name in ("status", "error"))
        return f"its run is {status} ({error})" if error else f"its run is {status or 'without a status'}"
    return str(answer.get("error", "no answer"))


def measures(answer: Mapping[str, Any]) -> dict[str, Any]:
    """The numbers of an answer by name, without its trajectory: what baselines and histories keep."""
    told = {name: value for name, value in answer["columns"].items() if name not in ("error", "resolved")}
    return {**told, **_worked(answer), **answer.get("compiled", {}), "trajectory": digest_of(answer)}


def _worked(answer: Mapping[str, Any]) -> dict[str, int]:
    if "steady" not in answer:
        return {}
    first, steady = answer["first"], answer["steady"]
    numbers = (
        *(sum(first["ops"].values()), sum(steady["ops"].values())),
        *(first["allocated_bytes"], steady["allocated_bytes"], steady["peak_bytes"]),
    )
    return dict(zip(COUNTS, numbers, strict=True))


def digest_of(answer: Mapping[str, Any]) -> str | None:
    """One word for all points of a trajectory: its last points and how many there are, chained; None without any."""
    if "trajectory" in answer:
        return None if answer["trajectory"] is None else str(answer["trajectory"])
    if not answer.get("bits"):
        return None

    return hashlib.blake2b("".join(answer["bits"]).encode(), digest_size=8).hexdigest()


# ------------------------------------------------------------------------------------------------------- measures


def _status(base: Mapping[str, Any], head: Mapping[str, Any]) -> Iterator[Difference]:
    was, now = base["columns"]["status"], head["columns"]["status"]
    if was != now:
        ranks = STATUS_RANK[now] - STATUS_RANK[was]
        error = head["columns"].get("error")
        said = f"{now} ({error})" if error else now
        yield Difference("status", was, said, worse=None if ranks == 0 else ranks > 0)


def _hits(base: Mapping[str, Any], head: Mapping[str, Any], near: int) -> Iterator[Difference]:
    """The targets, then the first rung of the ladder that tells more."""
    found = [each for name in TARGETS if (each := _hit(name, base, head, near))]
    if all(each.get(SETTLED) == each.get("steps_to_target") for each in (base, head)):  # what never left settles there
        found = [each for each in found if each.measure != _rung(SETTLED)]
    steps = {(each.base, each.head) for each in found}
    rungs = [each for name in RUNGS if (each := _hit(name, base, head, near)) and (each.base, each.head) not in steps]
    yield from found
    for worse in (True, False):
        if rung := next((each for each in rungs if each.worse is worse), None):
            yield rung


def _hit(name: str, base: Mapping[str, Any], head: Mapping[str, Any], near: int) -> Difference | None:
    was, now = base.get(name), head.get(name)
    if was == now or (name not in base) or (name not in head):
        return None
    if was is not None and now is not None and abs(now - was) <= near:
        return None
    worse = now is None or (was is not None and now > was)
    return Difference(_rung(name), was, now, worse=worse)


def _rung(name: str) -> str:
    return f"steps to {float(name[4:]):.0e}".replace("e-0", "e-") if name in RUNGS else name.replace("_", " ")


def _counts(base: Mapping[str, Any], head: Mapping[str, Any], alike: bool) -> Iterator[Difference]:
    """Work that is counted; that of a step which searches depends on its numbers, and so on the fingerprint."""
    if not alike and not base.get("constant_cost", True):
        return
    was, now = ({**_worked(each), **each.get("compiled", {}), **_kept(each)} for each in (base, head))
    for name in (*COUNTS, *COMPILED):
        if name in was and name in now and was[name] != now[name]:
            yield Difference(name, was[name], now[name], now[name] > was[name], _ops(base, head, name))


def _kept(answer: Mapping[str, Any]) -> dict[str, Any]:
    """The counts of a row of a baseline, which are columns."""
    return {name: answer["columns"][name] for name in (*COUNTS, *COMPILED) if answer["columns"].get(name) is not None}


def _ops(base: Mapping[str, Any], head: Mapping[str, Any], name: str) -> str:
    """Which operations came and went: ``+1 clone``."""
    step = {"ops first step": "first", "ops per step": "steady"}.get(name)
    if step is None or step not in base or step not in head:
        return ""
    was, now = base[step]["ops"], head[step]["ops"]
    moved = {each: now.get(each, 0) - was.get(each, 0) for each in {*was, *now}}
    return ", ".join(f"{count:+d} {_op(each)}" for each, count in sorted(moved.items()) if count)


def _op(name: str) -> str:
    return name.removeprefix("aten.").removesuffix(".default")


def _losses(base: Mapping[str, Any], head: Mapping[str, Any], ulps: Mapping[str, float]) -> Iterator[Difference]:
    """Final losses that part by more than rounding, on another fingerprint."""
    was, now = base["columns"].get("final_loss"), head["columns"].get("final_loss")
    start = base["columns"].get("start_loss") or 0.0
    dtype = str(head.get("dtype", "float32"))
    if was is None or now is None or not all(map(math.isfinite, (was, now, start))):
        return
    allowed = ulps.get(dtype, 1.0) * EPS.get(dtype, EPS["float32"]) * max(abs(start), abs(was))
    if abs(now - was) > allowed:
        yield Difference("final loss", was, now, worse=now > was)


def _first_difference(base: Mapping[str, Any], head: Mapping[str, Any]) -> int | None:
    """The first k whose x_k is not the same bits on both sides."""
    if "bits" not in base or "bits" not in head:
        return None
    pairs = zip(base["bits"], head["bits"], strict=False)
    at = next((k for k, (was, now) in enumerate(pairs) if was != now), None)
    shorter = min(len(base["bits"]), len(head["bits"]))
    return at if at is not None or len(base["bits"]) == len(head["bits"]) else shorter


def _ends(base: Mapping[str, Any], head: Mapping[str, Any]) -> Iterator[Difference]:
    """What else tells two trajectories apart: their dtypes, and where they end."""
    was, now = (" then ".join(each.get("dtypes", [])) for each in (base, head))
    if was != now and now:
        yield Difference("dtype of x", was, now)
    was, now = (each["columns"].get("final_loss") for each in (base, head))
    if was != now and now is not None:
        yield Difference("final loss", was, now)


def _pair(was: Any, now: Any) -> str:
    """Two values, with as many digits as tell them apart."""
    short = f"{_said(was)} -> {_said(now)}"
    return short if _said(was) != _said(now) else f"{was} -> {now}"


def _said(value: Any) -> str:
    if value is None:
        return "never"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
