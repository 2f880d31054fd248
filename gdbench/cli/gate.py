"""``python -m gdbench gate`` and its verbs: compare, save a baseline, accept, bisect, calibrate, show the history."""

from __future__ import annotations

import fnmatch
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from gdbench.errors import NotMeasured, UsageError, did_you_mean, format_count
from gdbench.results.user_paths import PATH

if TYPE_CHECKING:
    from gdbench.gate.request import GateRequest
    from gdbench.gate.run import GateReport

__all__ = ["gate"]

TIMES = ("gate", "advise", "off")
INCONCLUSIVE = ("fail", "warn")


class GateGroup(TyperGroup):
    """The group of the gate's verbs; it ends with 4 and the reason where there is nothing to compare."""

    def invoke(self, ctx: Any) -> Any:
        """Run the verb that was named, or else the comparison."""
        from gdbench.engine.git import GitError

        try:
            return super().invoke(ctx)
        except NotMeasured as reason:
            typer.echo(f"gdbench: {reason}", err=True)
            return 4
        except GitError as reason:
            raise UsageError(f"git refuses: {reason}") from None


gate = typer.Typer(cls=GateGroup, add_completion=False, rich_markup_mode=None, invoke_without_command=True)

Suite = Annotated[
    str, typer.Option(metavar="NAME", help="the series: conf/gate/NAME.yaml, or gate/NAME.yaml of your own folder")
]
ConfigDir = Annotated[Path | None, typer.Option(help="a folder of your own in this repository, as for a sweep", **PATH)]
Only = Annotated[list[str] | None, typer.Option(metavar="SERIES", help="series by name or pattern; may be repeated")]
Outputs = Annotated[str, typer.Option(metavar="DIR", help="folder of the reports")]
Reason = Annotated[str, typer.Option(metavar="TEXT", help="why the change is intended")]


@gate.callback()
def compare(
    context: typer.Context,
    base: Annotated[
        str | None, typer.Option(metavar="REF", help="a git revision; default: the merge base with the default branch")
    ] = None,
    suite: Suite = "default",
    config_dir: ConfigDir = None,
    only: Only = None,
    base_python: Annotated[
        Path | None, typer.Option(help="the interpreter of the base, for another torch", **PATH)
    ] = None,
    baseline: Annotated[
        Path | None, typer.Option(help="a CSV of exact measures to compare with, instead of a base", **PATH)
    ] = None,
    allow_same: Annotated[bool, typer.Option("--allow-same", help="compare identical trees too")] = False,
    time: Annotated[str, typer.Option(metavar="MODE", help="the time layer: gate, advise or off")] = "gate",
    inconclusive: Annotated[str, typer.Option(metavar="MODE", help="fail (exit 3) or warn")] = "fail",
    outputs: Outputs = "outputs",
    quiet: Annotated[bool, typer.Option("--quiet", help="no table")] = False,
    json: Annotated[bool, typer.Option("--json", help="the report as JSON on standard output")] = False,
) -> int:
    """Compare your working tree with a git revision: does a change make any optimizer converge worse, do more work per
    step, or run slower?

    Exact measures (statuses, steps to every target, the bits of each trajectory, operations and bytes per step) are
    compared by equality, times by interleaved blocks. Exit codes: 0 passed, 1 a regression, 2 a usage error, 3
    inconclusive or contaminated, 4 something was not measured.
    """  # noqa: D205
    if context.invoked_subcommand:
        return 0
    from gdbench.gate.request import GateRequest

    _check_choice("time", time, TIMES)
    _check_choice("inconclusive", inconclusive, INCONCLUSIVE)
    request = GateRequest(
        base, suite, config_dir, tuple(only or ()), base_python, baseline, allow_same, time, inconclusive, outputs
    )
    return _compare(request, quiet, json)


@gate.command("save-baseline")
def save_baseline(
    file: Annotated[Path, typer.Argument(help="the CSV to write", **PATH)] = Path("gate/baseline.csv"),
    suite: Suite = "default",
    config_dir: ConfigDir = None,
    only: Only = None,
) -> int:
    """Write the exact measures of the working tree to a CSV file, with which gate --baseline FILE compares."""
    from gdbench.gate import baseline
    from gdbench.gate.exact_measures import explain_absence, has_run
    from gdbench.gate.request import GateRequest
    from gdbench.gate.run import probe_head
    from gdbench.results.atomic import check_writable

    check_writable(file)
    request = GateRequest(suite=suite, config_dir=config_dir, only=tuple(only or ()), baseline=file)
    results = probe_head(request, _make_progress(is_quiet=False))
    absent = {name: explain_absence(answer) for name, answer in results.series.items() if not has_run(answer)}
    for name, reason in absent.items():
        typer.echo(f"gdbench: {name} was not measured: {reason}", err=True)
    count = baseline.save_baseline(file, results)
    typer.echo(f"{count} series: {file}. Compare with: python -m gdbench gate --baseline {file}")
    return 4 if absent else 0


@gate.command()
def accept(
    series: Annotated[
        list[str], typer.Argument(metavar="SERIES", help="series of the latest report by name or pattern; '*' for all")
    ],
    reason: Reason,
    outputs: Outputs = "outputs",
) -> int:
    """Accept findings of the latest report as intended: commit gate/accepted.csv together with the change."""
    from gdbench.gate.acceptance import FILE, record_acceptances
    from gdbench.gate.git_worktree import find_repository
    from gdbench.gate.run import load_latest_report

    report = load_latest_report(outputs)
    failing = [one for one in report["findings"] if one["layer"] == "exact" and (one["fails"] or _is_absent(one))]
    chosen = [one for one in failing if any(fnmatch.fnmatchcase(one["series"], pattern) for pattern in series)]
    if not chosen:
        names = ", ".join(one["series"] for one in failing) or "none"
        raise UsageError(f"{', '.join(map(repr, series))} fits no exact finding that fails; there are: {names}.")
    if not all("base" in one for one in chosen):
        raise UsageError("the latest report was written by an older gdbench: run python -m gdbench gate again.")
    if not reason.strip():
        raise UsageError("--reason must say why the change is intended.")
    root = find_repository(Path.cwd())
    against = report.get("against", "")
    for acceptance in record_acceptances(root, chosen, report["fingerprint"], against, reason.strip()):
        typer.echo(f"accepted: {acceptance.series}: {', '.join(acceptance.lines)}")
    typer.echo(f"Commit {FILE} with your change.")
    return 0


@gate.command()
def bisect(
    good: Annotated[str, typer.Argument(metavar="GOOD", help="a revision that passes")],
    bad: Annotated[str, typer.Argument(metavar="BAD", help="a later one that fails")] = "HEAD",
    layer: Annotated[str, typer.Option(metavar="LAYER", help="exact or time")] = "exact",
    suite: Suite = "default",
    config_dir: ConfigDir = None,
    only: Only = None,
) -> int:
    """Name the first commit between two revisions at which a series fails; --only makes it faster."""
    from gdbench.gate.bisect import bisect_series
    from gdbench.gate.request import GateRequest

    _check_choice("layer", layer, ("exact", "time"))
    request = GateRequest(suite=suite, config_dir=config_dir, only=tuple(only or ()))
    culprit = bisect_series(request, good, bad, layer, lambda line: typer.echo(line, err=True))
    tried = format_count(culprit.tried, "commit")
    typer.echo(f"{culprit.commit[:7]} {culprit.subject}\n{culprit.why}\n({tried} tried)")
    if culprit.unmeasured:
        names = ", ".join(commit[:7] for commit in culprit.unmeasured)
        typer.echo(f"It may be one of these as well, which could not be measured: {names}")
    return 0


@gate.command()
def calibrate(
    hours: Annotated[float | None, typer.Option(metavar="HOURS", help="stop after this time")] = None,
    rounds: Annotated[
        int | None, typer.Option(metavar="N", help="replicates of every series; 20 without --hours")
    ] = None,
    suite: Suite = "default",
    config_dir: ConfigDir = None,
    only: Only = None,
) -> int:
    """Measure the time layer on this machine: its false-alarm rate, and the slowdowns that it detects.

    Your working tree is compared with itself, and with itself slowed down by a known amount. The figures are saved; a
    series in which this machine detects only slowdowns above its d1 is then undecided.
    """
    from gdbench.gate.request import GateRequest
    from gdbench.gate.run import calibrate_machine
    from gdbench.report.gate import describe_calibration

    request = GateRequest(suite=suite, config_dir=config_dir, only=tuple(only or ()))
    result = calibrate_machine(request, hours, rounds, _make_progress(is_quiet=False))
    if not result.comparisons:
        raise NotMeasured("the time was too short for a single comparison: give more --hours.")
    typer.echo("\n".join([*describe_calibration(result), f"Saved: {result.save()}"]))
    return 1 if result.false_alarms else 0


@gate.command()
def history(
    folder: Annotated[Path, typer.Option(help="folder of the history", **PATH)] = Path("outputs/gate-history"),
    add: Annotated[bool, typer.Option("--add", help="first add the latest report, which must be of a commit")] = False,
    outputs: Outputs = "outputs",
) -> int:
    """Show where measures changed along the commits of a branch: exact ones at once, times by Apache Otava.

    trend.html in the history's folder plots them, figures/ has the images.

    Otava needs an environment of its own: pipx install apache-otava. For the main branch, not for a pull request.
    """
    from gdbench.gate import history as store
    from gdbench.gate.git_worktree import find_repository
    from gdbench.gate.run import load_latest_report
    from gdbench.report.gate import print_changes
    from gdbench.report.trend_page import write_trend

    if add:
        store.add_report(folder, find_repository(Path.cwd()), load_latest_report(outputs))
    rows = store.load_history(folder)
    commits = rows["commit"].nunique()
    typer.echo(f"{format_count(commits, 'commit')}, {rows['series'].nunique()} series: {folder}")
    changes = store.find_change_points(rows)
    if commits == 1:
        typer.echo("One commit: nothing to compare yet.")
    else:
        print_changes(changes)
    if store.find_otava() is None:
        typer.echo("Times are not searched: pipx install apache-otava (it needs a numpy of its own).")
    elif commits < store.MIN_COMMITS:
        typer.echo(f"Times are not searched: that takes {store.MIN_COMMITS} commits.")
    typer.echo(f"Trend: {write_trend(rows, changes, folder)}")
    return 0


def _is_absent(finding: dict[str, Any]) -> bool:
    return finding["verdict"] in ("missing", "unmeasured") and not finding["forgiven"]


def _compare(request: GateRequest, is_quiet: bool, as_json: bool) -> int:
    from gdbench.gate.run import run_gate
    from gdbench.results.atomic import check_writable

    check_writable(Path(request.outputs) / "gate" / "gate.json")
    report = run_gate(request, _make_progress(is_quiet or as_json))
    if as_json:
        typer.echo((Path(report.header["folder"]) / "gate.json").read_text(encoding="utf-8"))
    elif not is_quiet:
        from gdbench.report.gate import print_gate_report

        print_gate_report({**report.header, "code": report.code}, report.findings)
    _annotate_github(report)
    return report.code


def _annotate_github(report: GateReport) -> None:
    """Write annotations and the job's summary, in GitHub Actions."""
    if os.environ.get("GITHUB_ACTIONS") != "true":
        return
    from gdbench.report.gate import format_workflow_commands

    for line in format_workflow_commands(report.findings):
        print(line, file=sys.stderr)  # the runner reads both; standard output may be JSON
    if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
        with Path(summary).open("a", encoding="utf-8") as file:
            file.write((Path(report.header["folder"]) / "gate.md").read_text(encoding="utf-8"))


def _make_progress(is_quiet: bool) -> Any:
    from gdbench.report.terminal.gate_progress import choose_gate_progress

    return choose_gate_progress(is_quiet)


def _check_choice(name: str, given: str, known: tuple[str, ...]) -> None:
    if given not in known:
        raise UsageError(f"--{name} {given} is not known.{did_you_mean(given, known)} Allowed: {', '.join(known)}.")
