"""The verb ``compare``: two sweeps side by side, or what differs in their settings."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from gdbench.cli.options import OUTPUTS, Outputs
from gdbench.cli.report import Formats, Open, find_place, request_report
from gdbench.errors import UsageError
from gdbench.results.user_paths import PATH

__all__ = ["compare"]


def compare(
    a: Annotated[str, typer.Argument(metavar="A", help="a sweep, by folder or name; with --settings also a run_id")],
    b: Annotated[str, typer.Argument(metavar="B", help="another sweep, or with --settings another run_id")],
    settings: Annotated[
        bool, typer.Option("--settings", help="print what differs in settings, environment, source, data and results")
    ] = False,
    formats: Formats = "",
    to: Annotated[Path | None, typer.Option(help="the folder to write to", **PATH)] = None,
    open_: Open = False,
    outputs: Outputs = OUTPUTS,
    json: Annotated[
        bool, typer.Option("--json", help="print every matched pair of runs (or the differences) as JSON")
    ] = False,
) -> None:
    """Compare two sweeps run by run: what became better or worse, then both sweeps in every figure.

    The report is written to outputs/compare/A__B, and the verdict is printed. --format md or latex alone prints to the
    terminal.
    """
    if settings:
        if formats or to or open_:
            raise UsageError("compare --settings prints lines: leave out --format, --to and --open, or --settings.")
        _print_differences(a, b, outputs, json)
        return
    places = _find_sweep_places(a, b, outputs)
    if json:
        from gdbench.analysis.run_comparison import compare_runs
        from gdbench.report.json_format import runs_as_json
        from gdbench.results.load import load

        typer.echo(runs_as_json(compare_runs(load(places[0]), load(places[1]))))
        return
    with request_report(formats, to, open_, json) as request:
        from gdbench.report.inputs import read_inputs
        from gdbench.report.output_folder import output_folder
        from gdbench.report.sweep_comparison import build_comparison, combine_inputs

        request.write(
            combine_inputs(*(read_inputs([place]) for place in places)),
            output_folder("compare", places, outputs),
            build_comparison,
        )


def _find_sweep_places(a: str, b: str, outputs: Path) -> tuple[Path, Path]:
    """The folders of two sweeps; ``UsageError`` that names --settings where a word is a run."""
    from gdbench.results.run_lookup import has_run
    from gdbench.results.sweep_lookup import SweepNotFound

    try:
        return find_place(a, outputs), find_place(b, outputs)
    except SweepNotFound:
        run = next((word for word in (a, b) if has_run(word, outputs)), None)
        if run is None:
            raise
        command = shlex.join(["python", "-m", "gdbench", "compare", a, b, "--settings"])
        raise UsageError(
            f"{run} is a run, and compare reports on sweeps. What differs between two runs is told by: {command}"
        ) from None


def _print_differences(a: str, b: str, outputs: Path, json: bool) -> None:
    from gdbench.analysis.sweep_diff import diff_sweeps
    from gdbench.report.diff_text import list_sweep_diff, sweep_diff_as_json
    from gdbench.report.escaping import escape_control_codes
    from gdbench.report.json_format import dump_json

    found = diff_sweeps(a, b, outputs)
    typer.echo(
        dump_json(sweep_diff_as_json(found))
        if json
        else escape_control_codes("\n".join(list_sweep_diff(found)), lines=True)
    )
