"""One gate from beginning to end: which trees, what both say, what fails, and the files that tell."""

from __future__ import annotations

import contextlib
import datetime
import io
import json
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pandas as pd

from gdbench.gate.accepted import acceptances
from gdbench.gate.asking import Answers, ask, ask_both
from gdbench.gate.baseline import fingerprint_words, kept, posed, read_baseline
from gdbench.gate.exact import Finding, compared
from gdbench.gate.files import new_reports
from gdbench.gate.rulings import Ruling, Terms, exact_ruling, exit_code, ruled
from gdbench.gate.series import Series, Side
from gdbench.gate.suite import Suite, load_suite
from gdbench.gate.times import joined, time_header, time_rulings
from gdbench.gate.trees import Base, NotMeasured, base_of, clean_commit, repository, worktree
from gdbench.report.gate import junit, markdown
from gdbench.schema import UsageError

if TYPE_CHECKING:
    from gdbench.gate.timing.figures import SelfTest

__all__ = ["Asked", "Progress", "Report", "compare", "head_of", "latest", "record_of", "self_tested", "suite_of"]

WORKING_TREE = "your working tree"
LEAST_ROUNDS = 5
ON_BOTH_SIDES = ("same", "better", "changed", "worse")


@dataclass(frozen=True)
class Asked:
    """What the command line asked for."""

    base: str | None = None
    suite: str = "default"
    config_dir: Path | None = None
    only: tuple[str, ...] = ()
    base_python: Path | None = None
    baseline: Path | None = None
    allow_same: bool = False
    time: str = "gate"
    """``gate``, ``advise`` or ``off``: what the time layer may do."""
    inconclusive: str = "fail"
    outputs: str = "outputs"


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
        rows = [{**asdict(each), "numbers": None, **each.numbers} for each in self.rulings]
        names = [name for name in Ruling.__dataclass_fields__ if name != "numbers"]
        table = pd.DataFrame(rows, columns=None if rows else names)
        return table.drop(columns="numbers", errors="ignore").astype({"first_difference": "Int64"})

    def write(self, outputs: Path) -> Path:
        """Put the report on disk, in a folder that appears with all its files."""
        findings, packed = self.findings, io.BytesIO()
        findings.to_parquet(packed)
        whole = {**self.header, "code": self.code, "findings": [asdict(each) for each in self.rulings]}
        header = {**self.header, "code": self.code}
        folder = new_reports(
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
    with _based(asked, head) as (base, how):
        before, after = _both(suite.running, base, head, progress)
        alike = before.fingerprint == after.fingerprint
        found = [
            compared(each.name, before.series.get(each.name), after.series.get(each.name), alike, suite.ulps)
            for each in suite.running
        ]
        found += _dropped(asked, suite, base, head)
        known = acceptances(base.root) if base.root != head.root else {}
        timed = _timed(asked, suite, base, head, found, progress)
    terms = _terms(asked, suite, head, after, {name: each.reason for name, each in known.items()})
    rulings = [*joined([exact_ruling(each) for each in found], timed.rulings), *timed.rulings]
    told = ruled(rulings, suite.series, terms)
    return _report(asked, suite, told, terms, after, f"base {how}", alike, timed)


def _against_file(asked: Asked, progress: Progress) -> Report:
    """Compare with numbers that were kept."""
    assert asked.baseline
    table = read_baseline(asked.baseline)
    suite = suite_of(asked) if "series" in table else Suite(tuple(posed(table)))
    head = head_of(asked)
    progress.begin("exact layer", len(suite.running))
    after = ask(suite.running, head, heard=progress.heard)
    found, alike = kept(table, suite.running, after, suite.ulps)
    terms = _terms(asked, suite, head, after, {})
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
    from gdbench.gate.timing.refusals import Failed

    progress.begin("time layer", 100)
    try:
        report = compare_times(both, base, head, progress=progress.share)
    except Failed as reason:
        raise NotMeasured(f"nothing could be timed: {reason}") from None
    return _Timed(time_rulings(report, known), time_header(report))


def _terms(asked: Asked, suite: Suite, head: Side, answers: Answers, known: dict[str, str]) -> Terms:
    """What may be forgiven: an acceptance that the base holds already is spent."""
    accepted = {name: each for name, each in acceptances(head.root).items() if known.get(name) != each.reason}
    return Terms(suite.waivers, accepted, fingerprint_words(answers.fingerprint), time=asked.time)


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
    with contextlib.suppress(UsageError):
        return clean_commit(repository(Path.cwd()), asked.outputs)
    return None


# -------------------------------------------------------------------------------------------------- sides and suites


def head_of(asked: Asked) -> Side:
    """The working tree; without a repository, the folder in which we are."""
    if asked.baseline:
        with contextlib.suppress(UsageError):
            return Side(repository(Path.cwd()), WORKING_TREE)
        return Side(Path.cwd(), WORKING_TREE)
    return Side(repository(Path.cwd()), WORKING_TREE)


def suite_of(asked: Asked, side: Side | None = None) -> Suite:
    """The suite that was asked for, as a side has it; the head's without one."""
    head = head_of(asked)
    if asked.config_dir is None:
        own = side.root / "conf" if side and (side.root / "gdbench" / "gate").is_dir() else None
        suite = load_suite(asked.suite, own)
        return suite if side else suite.only(asked.only)
    folder = asked.config_dir.resolve()
    if not folder.is_dir():
        raise UsageError(f"--config-dir {asked.config_dir} is no folder.")
    if not folder.is_relative_to(head.root.resolve()):
        raise UsageError(
            f"--config-dir {asked.config_dir} must lie in the repository {head.root}: its past is compared."
        )
    code = str(folder.relative_to(head.root.resolve()))
    suite = load_suite(asked.suite, (side or head).root / code, code)
    return suite if side else suite.only(asked.only)


@contextlib.contextmanager
def _based(asked: Asked, head: Side) -> Iterator[tuple[Side, str]]:
    """The base's side, while the context lasts, and what it is."""
    python = asked.base_python
    if python and not os.access(python, os.X_OK):
        raise UsageError(f"--base-python {python} is no program that can be started.")
    if python and not asked.base:
        yield replace(head, label=str(python), python=python), f"{python} on the same tree"
        return
    base = base_of(head.root, asked.base, asked.outputs, asked.allow_same or bool(python))
    with worktree(head.root, base.commit) as side:
        yield replace(side, python=python) if python else side, _words(base)


def _words(base: Base) -> str:
    return f"{base.short} ({base.how})"


def _dropped(asked: Asked, suite: Suite, base: Side, head: Side) -> list[Finding]:
    """Series that the base's own suite holds and the head's does not."""
    if base.root == head.root or asked.only:
        return []
    try:
        before = suite_of(asked, base)
    except UsageError:  # the base has no such suite, or one that this gdbench cannot read
        return []
    now = {each.name for each in suite.series}
    return [
        Finding(each.name, "missing", why="the base's suite holds it, yours does not")
        for each in before.running
        if each.name not in now
    ]


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
    from gdbench.gate.timing.refusals import Failed
    from gdbench.gate.timing.selftest import selftest

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
