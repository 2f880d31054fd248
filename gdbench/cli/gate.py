"""``python -m gdbench gate``: compare, record what is, accept what was meant, look back, test itself."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gdbench.errors import UsageError, did_you_mean, format_count
from gdbench.results.user_paths import PATH, expand_user

if TYPE_CHECKING:
    from gdbench.gate.run import Report
    from gdbench.gate.sides import Asked

__all__ = ["gate"]

TIMES = ("gate", "advise", "off")
INCONCLUSIVE = ("fail", "warn")

gate = typer.Typer(add_completion=False, rich_markup_mode=None, invoke_without_command=True)

Suite = Annotated[str, typer.Option(help="the series: conf/gate/NAME.yaml, or gate/NAME.yaml of your own folder")]
ConfigDir = Annotated[Path | None, typer.Option(help="a folder of your own in this repository, as for a sweep", **PATH)]
Only = Annotated[list[str] | None, typer.Option(help="series by name or pattern; may be repeated")]
Outputs = Annotated[str, typer.Option(help="where reports are kept")]
Reason = Annotated[str, typer.Option(help="why the change is meant")]


@gate.callback()
def compare(
    context: typer.Context,
    base: Annotated[
        str | None, typer.Option(help="a git revision; else the merge base with the default branch")
    ] = None,
    suite: Suite = "default",
    config_dir: ConfigDir = None,
    only: Only = None,
    base_python: Annotated[Path | None, typer.Option(help="the interpreter of the base: another torch", **PATH)] = None,
    baseline: Annotated[
        Path | None, typer.Option(help="a CSV of exact columns to compare with, and no base", **PATH)
    ] = None,
    allow_same: Annotated[bool, typer.Option("--allow-same", help="compare identical trees too")] = False,
    time: Annotated[str, typer.Option(help="the time layer: gate, advise or off")] = "gate",
    inconclusive: Annotated[str, typer.Option(help="fail (exit 3) or warn")] = "fail",
    outputs: Outputs = "outputs",
    quiet: Annotated[bool, typer.Option("--quiet", help="no table")] = False,
    json: Annotated[bool, typer.Option("--json", help="the report as JSON on standard output")] = False,
) -> int:
    """Compare your working tree with a git revision: did a change make any optimizer converge worse, do more a step, or
    run slower?

    Exact measures (statuses, steps to every target, the bits of each trajectory, operations and bytes a step) are
    compared by equality, times by interleaved blocks. Exit codes: 0 passed, 1 a regression, 2 a mistake in the command,
    3 inconclusive or contaminated, 4 something was not measured.
    """  # noqa: D205
    if context.invoked_subcommand:
        return 0
    from gdbench.gate.sides import Asked

    _one_of("time", time, TIMES)
    _one_of("inconclusive", inconclusive, INCONCLUSIVE)
    asked = Asked(
        base, suite, config_dir, tuple(only or ()), base_python, baseline, allow_same, time, inconclusive, outputs
    )
    return _carried_out(lambda: _compare(asked, quiet, json))


@gate.command()
def record(
    file: Annotated[Path, typer.Argument(help="the CSV to write", **PATH)] = Path("gate/baseline.csv"),
    suite: Suite = "default",
    config_dir: ConfigDir = None,
    only: Only = None,
) -> int:
    """Write the exact columns of the working tree to a CSV, which gate --baseline FILE compares with."""
    from gdbench.gate.baseline import record as write
    from gdbench.gate.exact_measures import has_run, why_not
    from gdbench.gate.run import record_of
    from gdbench.gate.sides import Asked
    from gdbench.results.atomic import check_writable

    def carry_out() -> int:
        check_writable(file)
        asked = Asked(suite=suite, config_dir=config_dir, only=tuple(only or ()), baseline=file)
        answers = record_of(asked, _progress(quiet=False))
        absent = {name: why_not(answer) for name, answer in answers.series.items() if not has_run(answer)}
        for name, reason in absent.items():
            typer.echo(f"gdbench: {name} was not measured: {reason}", err=True)
        typer.echo(f"{write(file, answers)} series: {file}. Compare with: python -m gdbench gate --baseline {file}")
        return 4 if absent else 0

    return _carried_out(carry_out)


@gate.command()
def accept(
    series: Annotated[list[str], typer.Argument(help="series of the latest report by name or pattern; '*' for all")],
    reason: Reason,
    outputs: Outputs = "outputs",
) -> int:
    """Record findings of the latest report as meant: commit gate/accepted.csv with the change that it speaks of."""
    import fnmatch

    from gdbench.gate.acceptance import PLACE
    from gdbench.gate.acceptance import accept as write
    from gdbench.gate.git_worktree import repository
    from gdbench.gate.run import latest

    report = latest(outputs)
    open_ = [each for each in report["findings"] if each["layer"] == "exact" and (each["fails"] or _is_absent(each))]
    chosen = [each for each in open_ if any(fnmatch.fnmatchcase(each["series"], pattern) for pattern in series)]
    if not chosen:
        names = ", ".join(each["series"] for each in open_) or "none"
        raise UsageError(f"{', '.join(map(repr, series))} fits no exact finding that fails; there are: {names}.")
    if not all("base" in each for each in chosen):
        raise UsageError("the latest report was written by an older gdbench: run python -m gdbench gate again.")
    if not reason.strip():
        raise UsageError("--reason must say why the change is meant.")
    root = repository(Path.cwd())
    for each in write(root, chosen, report["fingerprint"], report.get("against", ""), reason.strip()):
        typer.echo(f"accepted: {each.series}: {', '.join(each.words)}")
    typer.echo(f"Commit {PLACE} with your change.")
    return 0


@gate.command()
def bisect(
    good: Annotated[str, typer.Argument(help="a revision at which all is well")],
    bad: Annotated[str, typer.Argument(help="a later one at which it is not")] = "HEAD",
    layer: Annotated[str, typer.Option(help="exact or time")] = "exact",
    suite: Suite = "default",
    config_dir: ConfigDir = None,
    only: Only = None,
) -> int:
    """Name the first commit between two revisions at which a series fails; --only makes it quick."""
    from gdbench.gate.bisect import bisected
    from gdbench.gate.sides import Asked

    _one_of("layer", layer, ("exact", "time"))

    def carry_out() -> int:
        asked = Asked(suite=suite, config_dir=config_dir, only=tuple(only or ()))
        culprit = bisected(asked, good, bad, layer, lambda line: typer.echo(line, err=True))
        typer.echo(
            f"{culprit.commit[:7]} {culprit.subject}\n{culprit.why}\n({format_count(culprit.tried, 'commit')} tried)"
        )
        if culprit.unmeasured:
            names = ", ".join(commit[:7] for commit in culprit.unmeasured)
            typer.echo(f"It may be one of these as well, which could not be measured: {names}")
        return 0

    return _carried_out(carry_out)


@gate.command("self-test")
def self_test(
    hours: Annotated[float | None, typer.Option(help="go on for so long")] = None,
    rounds: Annotated[int | None, typer.Option(help="so many replicates of every series; 20 without hours")] = None,
    suite: Suite = "default",
    config_dir: ConfigDir = None,
    only: Only = None,
) -> int:
    """Measure what the time layer is worth on this machine: false alarms, and the slowdown that it finds.

    Your working tree is compared with itself, and with itself slowed down by a known amount. The figures are kept, and
    a series in which this machine finds only slowdowns above its d1 is then no longer judged.
    """
    from gdbench.errors import NotMeasured
    from gdbench.gate.run import self_tested
    from gdbench.gate.sides import Asked

    def carry_out() -> int:
        asked = Asked(suite=suite, config_dir=config_dir, only=tuple(only or ()))
        figures = self_tested(asked, hours, rounds, _progress(quiet=False))
        if not figures.comparisons:
            raise NotMeasured("the time was too short for a single comparison: give more --hours.")
        typer.echo("\n".join([*figures.lines, f"Kept: {figures.store()}"]))
        return 1 if figures.alarms else 0

    return _carried_out(carry_out)


@gate.command()
def history(
    folder: Annotated[Path, typer.Option(help="where the history is kept", **PATH)] = Path("outputs/gate-history"),
    add: Annotated[bool, typer.Option("--add", help="add the latest report, of a commit, first")] = False,
    outputs: Outputs = "outputs",
) -> int:
    """Show where measures changed along the commits of a branch: exact ones at once, times by Apache Otava.

    trend.html in the history's folder draws them, figures/ has the pictures.

    Otava needs an environment of its own: pipx install apache-otava. This is for the main branch, not for a pull
    request.
    """
    from gdbench.gate import history as kept
    from gdbench.gate.git_worktree import repository
    from gdbench.gate.run import latest
    from gdbench.report.gate import show_changes
    from gdbench.report.trend_page import write_trend

    if add:
        kept.add(folder, repository(Path.cwd()), latest(outputs))
    rows = kept.load_history(folder)
    commits = rows["commit"].nunique()
    typer.echo(f"{format_count(commits, 'commit')}, {rows['series'].nunique()} series: {folder}")
    changes = kept.change_points(rows)
    if commits == 1:
        typer.echo("One commit: nothing to compare yet.")
    else:
        show_changes(changes)
    if kept.otava() is None:
        typer.echo("Times are not searched: pipx install apache-otava (it needs a numpy of its own).")
    elif commits < kept.LEAST_SEARCHED:
        typer.echo(f"Times are not searched: that takes {kept.LEAST_SEARCHED} commits.")
    typer.echo(f"Trend: {write_trend(rows, changes, folder)}")
    return 0


@gate.command()
def benchmarks(
    sweep: Annotated[str, typer.Argument(help="a sweep with timed runs: its folder, or its name")],
    file: Annotated[Path, typer.Argument(help="the JSON to write", **PATH)],
    outputs: Outputs = "outputs",
) -> int:
    """Write the times of a sweep as pytest-benchmark's JSON, for pytest-benchmark compare and its dashboards."""
    from gdbench.results.catalog import find_sweep
    from gdbench.results.export.pytest_benchmark import write_benchmarks

    place = expand_user(sweep)
    count = write_benchmarks(place if place.exists() else find_sweep(sweep, Path(outputs)), file)
    typer.echo(f"{format_count(count, 'benchmark')}: {file}")
    return 0


def _is_absent(finding: dict[str, Any]) -> bool:
    return finding["verdict"] in ("missing", "unmeasured") and not finding["forgiven"]


def _compare(asked: Asked, quiet: bool, json: bool) -> int:
    from gdbench.gate.run import compare
    from gdbench.results.atomic import check_writable

    check_writable(Path(asked.outputs) / "gate" / "gate.json")
    report = compare(asked, _progress(quiet or json))
    if json:
        typer.echo((Path(report.header["folder"]) / "gate.json").read_text(encoding="utf-8"))
    elif not quiet:
        from gdbench.report.gate import show_gate

        show_gate({**report.header, "code": report.code}, report.findings)
    _tell_github(report)
    return report.code


def _tell_github(report: Report) -> None:
    """Annotations and the job's summary, when in GitHub Actions."""
    if os.environ.get("GITHUB_ACTIONS") != "true":
        return
    from gdbench.report.gate import workflow_commands

    for line in workflow_commands(report.findings):
        print(line, file=sys.stderr)  # the runner reads both; standard output may be JSON
    if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
        with Path(summary).open("a", encoding="utf-8") as file:
            file.write((Path(report.header["folder"]) / "gate.md").read_text(encoding="utf-8"))


def _progress(quiet: bool) -> Any:
    from gdbench.report.terminal.gate_progress import progress

    return progress(quiet)


def _carried_out(work: Callable[[], int]) -> int:
    """The exit code of a piece of work that may find nothing to compare."""
    from gdbench.engine.git import GitError
    from gdbench.errors import NotMeasured

    try:
        return work()
    except NotMeasured as reason:
        typer.echo(f"gdbench: {reason}", err=True)
        return 4
    except GitError as reason:
        raise UsageError(f"git refuses: {reason}") from None


def _one_of(name: str, given: str, known: tuple[str, ...]) -> None:
    if given not in known:
        raise UsageError(f"--{name} {given} is not known.{did_you_mean(given, known)} Allowed: {', '.join(known)}.")
