"""One run of the gate: both trees are probed and timed, verdicts are formed, and the report is written."""

from __future__ import annotations

import contextlib
import datetime
import io
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from gdbench.engine.git import GitError
from gdbench.errors import NotMeasured, UsageError
from gdbench.gate.acceptance import Acceptance, load_acceptances
from gdbench.gate.baseline import build_series, compare_with_baseline, format_fingerprint, hash_file, read_baseline
from gdbench.gate.exact_measures import ExactResult, compare_answers
from gdbench.gate.git_worktree import find_clean_commit, find_repository
from gdbench.gate.new_series import check_absences
from gdbench.gate.policy import Policy, Verdict, apply_policy, choose_exit_code, make_exact_verdict
from gdbench.gate.probe_client import ProbeResults, run_probe, run_probes
from gdbench.gate.request import (
    WORKING_TREE,
    GateRequest,
    find_dropped_series,
    find_head,
    load_head_suite,
    open_base,
)
from gdbench.gate.series import SourceTree
from gdbench.gate.suite import Suite
from gdbench.gate.timing_findings import add_step_times, build_time_header, make_time_verdicts
from gdbench.report.gate import format_gate_markdown, format_junit
from gdbench.results.atomic import create_report_folder

if TYPE_CHECKING:
    from gdbench.gate.timing.calibration_result import CalibrationResult
    from gdbench.report.terminal.gate_progress import GateProgress

__all__ = ["GateReport", "calibrate_machine", "load_latest_report", "probe_head", "run_gate"]

MIN_ROUNDS = 5
ON_BOTH_SIDES = ("same", "better", "changed", "worse")


@dataclass
class GateReport:
    """The result of a gate."""

    header: dict[str, Any]
    verdicts: list[Verdict] = field(default_factory=list)
    code: int = 0

    @property
    def findings(self) -> pd.DataFrame:
        """One row per series and layer; numbers have columns of their own."""
        names = [name for name in Verdict.__dataclass_fields__ if name not in ("numbers", "base")]
        rows = [{**{name: getattr(one, name) for name in names}, **one.numbers} for one in self.verdicts]
        return pd.DataFrame(rows, columns=None if rows else names).astype({"first_difference": "Int64"})

    def write(self, outputs: Path) -> Path:
        """Write the report as Parquet, JSON, Markdown and JUnit; the folder appears with all its files."""
        findings, parquet = self.findings, io.BytesIO()
        findings.to_parquet(parquet)
        header = {**self.header, "code": self.code}
        document = {**header, "findings": [asdict(verdict) for verdict in self.verdicts]}
        folder = create_report_folder(
            outputs,
            {
                "gate.parquet": parquet.getvalue(),
                "gate.json": json.dumps(document, indent=1, default=str).encode(),
                "gate.md": format_gate_markdown(header, findings).encode(),
                "gate.xml": format_junit(header, findings),
            },
        )
        self.header["folder"] = str(folder)
        return folder


@dataclass(frozen=True)
class _TimeLayer:
    """Verdicts of the time layer and its part of the header; empty if it is off."""

    verdicts: list[Verdict] = field(default_factory=list)
    header: dict[str, Any] = field(default_factory=dict)

    @property
    def is_contaminated(self) -> bool:
        """Whether the controls were disturbed, so that no series can be judged."""
        return bool(self.header.get("contaminated"))


def run_gate(request: GateRequest, progress: GateProgress) -> GateReport:
    """Compare, judge and write the report; raises NotMeasured if there is nothing to compare."""
    started, clock = datetime.datetime.now(datetime.UTC), time.perf_counter()
    try:
        compare = _compare_with_file if request.baseline else _compare_with_tree
        report = compare(request, progress)
    finally:
        progress.close()
    report.header |= {"started": started.isoformat(timespec="seconds"), "seconds": time.perf_counter() - clock}
    report.write(Path(request.outputs))
    return report


def _compare_with_tree(request: GateRequest, progress: GateProgress) -> GateReport:
    """Compare with a revision, or with another interpreter."""
    suite, head = load_head_suite(request), find_head(request)
    acceptances = load_acceptances(head.root)
    with open_base(request, head) as (base, how):
        progress.begin("exact layer", 2 * len(suite.running))
        before, after = run_probes(suite.running, base, head, progress.advance)
        is_alike = before.fingerprint == after.fingerprint
        checked = check_absences(before.series, suite.running, base, head)
        results = [
            compare_answers(one.name, checked.get(one.name), after.series.get(one.name), is_alike, suite.ulps)
            for one in suite.running
        ]
        results += find_dropped_series(request, base, head)
        spent = _load_spent(base) if base.root != head.root else []
        timed = _time_series(request, suite, base, head, results, progress)
    policy = _make_policy(request, suite, after, [one for one in acceptances if one not in spent])
    exact = [make_exact_verdict(result) for result in results]
    verdicts = apply_policy([*add_step_times(exact, timed.verdicts), *timed.verdicts], suite.series, policy)
    return _build_report(request, suite, verdicts, policy, after, f"base {how}", is_alike, timed)


def _compare_with_file(request: GateRequest, progress: GateProgress) -> GateReport:
    """Compare with the numbers of a baseline."""
    assert request.baseline
    table = read_baseline(request.baseline)
    if "series" in table:
        suite = load_head_suite(request)
    else:
        series = build_series(table)
        table, suite = table.assign(series=[one.name for one in series]), Suite(tuple(series)).select(request.only)
    table = table[[request.has_series(name) for name in table["series"]]]
    head = find_head(request)
    acceptances = load_acceptances(head.root)
    progress.begin("exact layer", len(suite.running))
    after = run_probe(suite.running, head, advance=progress.advance)
    results, is_alike = compare_with_baseline(table, suite.running, after, suite.ulps)
    policy = _make_policy(request, suite, after, acceptances)
    verdicts = apply_policy(map(make_exact_verdict, results), suite.series, policy)
    how = f"baseline {request.baseline}"
    return _build_report(request, suite, verdicts, policy, after, how, is_alike, _TimeLayer())


def _time_series(
    request: GateRequest,
    suite: Suite,
    base: SourceTree,
    head: SourceTree,
    results: Sequence[ExactResult],
    progress: GateProgress,
) -> _TimeLayer:
    """Time the series that both sides can run."""
    by_name = {result.series: result for result in results}
    both = [one for one in suite.running if by_name[one.name].verdict in ON_BOTH_SIDES]
    if request.time == "off" or not both:
        return _TimeLayer()
    from gdbench.gate.timing.blocks import MeasurementError
    from gdbench.gate.timing.scheduler import compare_times

    progress.begin("time layer", 100)
    try:
        report = compare_times(both, base, head, progress=progress.set_share)
    except MeasurementError as reason:
        raise NotMeasured(f"nothing could be timed: {reason}") from None
    return _TimeLayer(make_time_verdicts(report, by_name), build_time_header(report))


def _make_policy(
    request: GateRequest, suite: Suite, results: ProbeResults, acceptances: Sequence[Acceptance]
) -> Policy:
    against = hash_file(request.baseline) if request.baseline else ""
    return Policy(suite.waivers, acceptances, format_fingerprint(results.fingerprint), against, time=request.time)


def _load_spent(base: SourceTree) -> list[Acceptance]:
    """Acceptances of the base, which are spent: what they forgave is part of the base.

    A file that cannot be read, which an older gdbench wrote, holds none that count today.
    """
    with contextlib.suppress(UsageError):
        return load_acceptances(base.root)
    return []


def _build_report(
    request: GateRequest,
    suite: Suite,
    verdicts: list[Verdict],
    policy: Policy,
    results: ProbeResults,
    base: str,
    is_alike: bool,
    timed: _TimeLayer,
) -> GateReport:
    expired = policy.find_expired(one.name for one in suite.series)
    notes = [f"The waiver of {waiver.series} expired after {waiver.until}: {waiver.reason}" for waiver in expired]
    if timed.is_contaminated:
        notes.append(f"Timing too noisy to judge: {timed.header['contaminated']}.")
    header = {
        "base": base,
        "head": WORKING_TREE,
        "series": len(suite.running),
        "same_fingerprint": is_alike,
        "fingerprint": policy.fingerprint,
        "against": policy.against,
        "python": results.process.get("python"),
        "commit": _find_commit(request),
        "time": timed.header,
        "power": timed.header.get("power"),
        "notes": notes,
    }
    is_contaminated = timed.is_contaminated and request.time == "gate"
    return GateReport(header, verdicts, choose_exit_code(verdicts, request.inconclusive, is_contaminated))


def _find_commit(request: GateRequest) -> str | None:
    """The commit that the working tree equals; None if there is none."""
    with contextlib.suppress(UsageError, GitError):
        return find_clean_commit(find_repository(Path.cwd()), request.outputs)
    return None


def probe_head(request: GateRequest, progress: GateProgress) -> ProbeResults:
    """The exact measures of the working tree, for a baseline."""
    suite = load_head_suite(request)
    progress.begin("exact layer", len(suite.running))
    try:
        return run_probe(suite.running, find_head(request), advance=progress.advance)
    finally:
        progress.close()


def calibrate_machine(
    request: GateRequest, hours: float | None, rounds: int | None, progress: GateProgress
) -> CalibrationResult:
    """False-alarm rate and detectable slowdowns of the time layer on this machine."""
    from gdbench.gate.timing.blocks import MeasurementError
    from gdbench.gate.timing.calibration import calibrate

    if (hours is not None and not hours > 0) or (rounds is not None and rounds < MIN_ROUNDS):
        raise UsageError(
            f"--hours must be above 0, --rounds a whole number from {MIN_ROUNDS}, which the first verdict takes."
        )
    series, head = load_head_suite(request).running, find_head(request)
    progress.begin("calibration", 100)
    try:
        return calibrate(series, head, rounds=rounds, hours=hours, progress=progress.set_share)
    except MeasurementError as reason:
        raise NotMeasured(f"nothing could be timed: {reason}") from None
    finally:
        progress.close()


def load_latest_report(outputs: str) -> dict[str, Any]:
    """The ``gate.json`` of the latest report."""
    files = sorted(Path(outputs).glob("gate/*/gate.json"), key=lambda file: file.stat().st_mtime)
    if not files:
        raise UsageError(f"{outputs}/gate holds no report: run python -m gdbench gate first.")
    report: dict[str, Any] = json.loads(files[-1].read_text(encoding="utf-8"))
    return report
