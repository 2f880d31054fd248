"""One gate from beginning to end: which trees, what both say, what fails, and the files that tell."""

from __future__ import annotations

import contextlib
import datetime
import io
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pandas as pd

from gdbench.engine.git import GitError
from gdbench.errors import NotMeasured, UsageError
from gdbench.gate.acceptance import Acceptance, acceptances
from gdbench.gate.baseline import digest_of_file, fingerprint_words, kept, posed, read_baseline
from gdbench.gate.exact_measures import Finding, compared
from gdbench.gate.git_worktree import clean_commit, repository
from gdbench.gate.novelty import checked_absences
from gdbench.gate.policy import Ruling, Terms, exact_ruling, exit_code, ruled
from gdbench.gate.probe_client import Answers, ask, ask_both
from gdbench.gate.series import Series, Side
from gdbench.gate.sides import WORKING_TREE, Asked, based, dropped, head_of, suite_of
from gdbench.gate.suite import Suite
from gdbench.gate.timing_findings import joined, time_header, time_rulings
from gdbench.report.gate import junit, markdown
from gdbench.results.atomic import create_report_folder

if TYPE_CHECKING:
    from gdbench.gate.timing.calibration_result import SelfTest

__all__ = ["Progress", "Report", "compare", "latest", "record_of", "self_tested"]

LEAST_ROUNDS = 5
ON_BOTH_SIDES = ("same", "better", "changed", "worse")


class Progress(Protocol):
    """Hears how a gate goes on."""

    def begin(self, words: str, total: int) -> None: ...  # noqa: D102
    def heard(self, name: str) -> None: ...  # noqa: D102
    def share(self, words: str, done: float) -> None: ...  # noqa: D102
    def close(self) -> None: ...  # noqa: D102


@dataclass
class Report:
    """What came of a gate."""

    header: dict[str, Any]
    rulings: list[Ruling] = field(default_factory=list)
    code: int = 0

    @property
    def findings(self) -> pd.DataFrame:
        """One row for every series and layer; numbers have columns of their own."""
        names = [name for name in Ruling.__dataclass_fields__ if name not in ("numbers", "base")]
        rows = [{**{name: getattr(each, name) for name in names}, **each.numbers} for each in self.rulings]
        return pd.DataFrame(rows, columns=None if rows else names).astype({"first_difference": "Int64"})

    def write(self, outputs: Path) -> Path:
        """Put the report on disk, in a folder that appears with all its files."""
        findings, packed = self.findings, io.BytesIO()
        findings.to_parquet(packed)
        whole = {**self.header, "code": self.code, "findings": [asdict(each) for each in self.rulings]}
        header = {**self.header, "code": self.code}
        folder = create_report_folder(
            outputs,
            {
                "gate.parquet": packed.getvalue(),
                "gate.json": json.dumps(whole, indent=1, default=str).encode(),
                "gate.md": markdown(header, findings).encode(),
                "gate.xml": junit(header, findings),
            },
        )
        self.header["folder"] = str(folder)
        return folder


def compare(asked: Asked, progress: Progress) -> Report:
    """Compare, judge and write; raises NotMeasured where there is nothing to compare."""
    started, clock = datetime.datetime.now(datetime.UTC), time.perf_counter()
    try:
        report = _against_file(asked, progress) if asked.baseline else _against_tree(asked, progress)
    finally:
        progress.close()
    report.header |= {"started": started.isoformat(timespec="seconds"), "seconds": time.perf_counter() - clock}
    report.write(Path(asked.outputs))
    return report


def _against_tree(asked: Asked, progress: Progress) -> Report:
    """Compare with a revision, or with another interpreter."""
    suite, head = suite_of(asked), head_of(asked)
    accepted = acceptances(head.root)
    with based(asked, head) as (base, how):
        before, after = _both(suite.running, base, head, progress)
        alike = before.fingerprint == after.fingerprint
        known = checked_absences(before.series, suite.running, base, head)
        found = [
            compared(each.name, known.get(each.name), after.series.get(each.name), alike, suite.ulps)
            for each in suite.running
        ]
        found += dropped(asked, base, head)
        spent = _spent(base) if base.root != head.root else []
        timed = _timed(asked, suite, base, head, found, progress)
    terms = _terms(asked, suite, after, [one for one in accepted if one not in spent])
    rulings = [*joined([exact_ruling(each) for each in found], timed.rulings), *timed.rulings]
    told = ruled(rulings, suite.series, terms)
    return _report(asked, suite, told, terms, after, f"base {how}", alike, timed)


def _against_file(asked: Asked, progress: Progress) -> Report:
    """Compare with numbers that were kept."""
    assert asked.baseline
    table = read_baseline(asked.baseline)
    if "series" in table:
        suite = suite_of(asked)
    else:
        series = posed(table)
        table, suite = table.assign(series=[one.name for one in series]), Suite(tuple(series)).only(asked.only)
    table = table[[asked.wants(name) for name in table["series"]]]
    head = head_of(asked)
    accepted = acceptances(head.root)
    progress.begin("exact layer", len(suite.running))
    after = ask(suite.running, head, heard=progress.heard)
    found, alike = kept(table, suite.running, after, suite.ulps)
    terms = _terms(asked, suite, after, accepted)
    told = ruled(map(exact_ruling, found), suite.series, terms)
    return _report(asked, suite, told, terms, after, f"baseline {asked.baseline}", alike, _Timed())


def _both(series: Sequence[Series], base: Side, head: Side, progress: Progress) -> tuple[Answers, Answers]:
    progress.begin("exact layer", 2 * len(series))
    return ask_both(series, base, head, progress.heard)


@dataclass(frozen=True)
class _Timed:
    """What the time layer found; nothing where it is off."""

    rulings: list[Ruling] = field(default_factory=list)
    header: dict[str, Any] = field(default_factory=dict)

    @property
    def contaminated(self) -> bool:
        """Whether nothing can be said."""
        return bool(self.header.get("contaminated"))


def _timed(asked: Asked, suite: Suite, base: Side, head: Side, found: Sequence[Finding], progress: Progress) -> _Timed:
    """Time what both sides can run."""
    known = {each.series: each for each in found}
    both = [each for each in suite.running if known[each.name].verdict in ON_BOTH_SIDES]
    if asked.time == "off" or not both:
        return _Timed()
    from gdbench.gate.timing.compare import compare as compare_times
    from gdbench.gate.timing.errors import Failed

    progress.begin("time layer", 100)
    try:
        report = compare_times(both, base, head, progress=progress.share)
    except Failed as reason:
        raise NotMeasured(f"nothing could be timed: {reason}") from None
    return _Timed(time_rulings(report, known), time_header(report))


def _terms(asked: Asked, suite: Suite, answers: Answers, accepted: Sequence[Acceptance]) -> Terms:
    """What may be forgiven."""
    against = digest_of_file(asked.baseline) if asked.baseline else ""
    return Terms(suite.waivers, accepted, fingerprint_words(answers.fingerprint), against, time=asked.time)


def _spent(base: Side) -> list[Acceptance]:
    """What the base has accepted, which is spent: it came with the base.

    A file that cannot be read, which its own gdbench wrote, holds none of today's.
    """
    with contextlib.suppress(UsageError):
        return acceptances(base.root)
    return []


def _report(
    asked: Asked,
    suite: Suite,
    told: list[Ruling],
    terms: Terms,
    answers: Answers,
    base: str,
    alike: bool,
    timed: _Timed,
) -> Report:
    lapsed = terms.lapsed(each.name for each in suite.series)
    notes = [f"The waiver of {each.series} ended on {each.until}: {each.reason}" for each in lapsed]
    if timed.contaminated:
        notes.append(f"The machine was too uneven to tell times: {timed.header['contaminated']}.")
    header = {
        "base": base,
        "head": WORKING_TREE,
        "series": len(suite.running),
        "alike": alike,
        "fingerprint": terms.fingerprint,
        "against": terms.against,
        "python": answers.facts.get("python"),
        "commit": _commit(asked),
        "time": timed.header,
        "power": timed.header.get("power"),
        "notes": notes,
    }
    contaminated = timed.contaminated and asked.time == "gate"
    return Report(header, told, exit_code(told, asked.inconclusive, contaminated))


def _commit(asked: Asked) -> str | None:
    """The commit that the working tree is; None where it is none."""
    with contextlib.suppress(UsageError, GitError):
        return clean_commit(repository(Path.cwd()), asked.outputs)
    return None


# ------------------------------------------------------------------------------------------------------ what is kept


def record_of(asked: Asked, progress: Progress) -> Answers:
    """What the working tree says, for a baseline."""
    suite = suite_of(asked)
    progress.begin("exact layer", len(suite.running))
    try:
        return ask(suite.running, head_of(asked), heard=progress.heard)
    finally:
        progress.close()


def self_tested(asked: Asked, hours: float | None, rounds: int | None, progress: Progress) -> SelfTest:
    """The figures of the time layer on this machine."""
    from gdbench.gate.timing.calibration import selftest
    from gdbench.gate.timing.errors import Failed

    if (hours is not None and not hours > 0) or (rounds is not None and rounds < LEAST_ROUNDS):
        raise UsageError(
            f"--hours must be above 0, --rounds a whole number from {LEAST_ROUNDS}: nothing is judged before."
        )
    progress.begin("self-test", 100)
    try:
        return selftest(suite_of(asked).running, head_of(asked), rounds=rounds, hours=hours, progress=progress.share)
    except Failed as reason:
        raise NotMeasured(f"nothing could be timed: {reason}") from None
    finally:
        progress.close()


def latest(outputs: str) -> dict[str, Any]:
    """The latest report, as its ``gate.json`` tells it."""
    files = sorted(Path(outputs).glob("gate/*/gate.json"), key=lambda file: file.stat().st_mtime)
    if not files:
        raise UsageError(f"{outputs}/gate holds no report: run python -m gdbench gate first.")
    told: dict[str, Any] = json.loads(files[-1].read_text(encoding="utf-8"))
    return told
