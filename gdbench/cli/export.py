"""The verb ``export``: a sweep copied to an experiment tracker, or its times written for pytest-benchmark."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gdbench.cli.options import OUTPUTS, Json, Outputs, SweepName
from gdbench.errors import UsageError, did_you_mean, format_count
from gdbench.results.user_paths import expand_user

__all__ = ["export"]

PYTEST_BENCHMARK = "pytest-benchmark"


def _check_target(target: str) -> str:
    """The target itself; ``UsageError`` for an unknown one, also where the sweep is missing."""
    from gdbench.results.export import TRACKERS

    known = (*TRACKERS, PYTEST_BENCHMARK)
    if target not in known:
        raise UsageError(f"export {target} is not known.{did_you_mean(target, known)} Allowed: {', '.join(known)}.")
    return target


def export(
    tracker: Annotated[
        str,
        typer.Argument(
            metavar="TRACKER",
            help="mlflow, wandb, trackio, tensorboard or pytest-benchmark",
            callback=_check_target,
        ),
    ],
    sweep: SweepName,
    uri: Annotated[
        str | None,
        typer.Option(
            metavar="URI",
            help="mlflow: a server; wandb: online, or a server; trackio, tensorboard: a folder; pytest-benchmark: file",
        ),
    ] = None,
    outputs: Outputs = OUTPUTS,
    json: Json = False,
) -> None:
    """Copy a finished sweep to a tracker: parameters, metrics, curves, statuses and report.

    Exports can be repeated and resumed: runs that the tracker has already are left as they are. Each tracker needs its
    extra, such as pip install -c constraints.txt -e '.[mlflow]', and reads its own environment variables:
    MLFLOW_TRACKING_URI, WANDB_MODE, TRACKIO_DIR. Without them everything stays on this machine.

    pytest-benchmark writes the times of a timed sweep as JSON, for pytest-benchmark compare and its dashboards.
    """
    from gdbench.results.sweep_lookup import find_sweep

    place = str(expand_user(uri)) if uri and uri.startswith("~") else uri  # a server is no path
    if tracker == PYTEST_BENCHMARK:
        _write_benchmarks(find_sweep(sweep, outputs), Path(place or f"{PYTEST_BENCHMARK}.json"), json)
    else:
        _send(tracker, sweep, outputs, place, json)


def _send(tracker: str, sweep: str, outputs: Path, uri: str | None, json: bool) -> None:
    from gdbench.report.json_format import dump_json
    from gdbench.results.export import export_sweep, require_installed
    from gdbench.results.sweep_lookup import find_sweep

    require_installed([tracker])
    sent = export_sweep(tracker, find_sweep(sweep, outputs), uri)
    if json:
        counts = {"added": sent.added, "already_present": sent.already_present}
        typer.echo(dump_json({"tracker": tracker, **counts, "view_hint": sent.view_hint}))
        return
    there = f", {sent.already_present} already there" if sent.already_present else ""
    typer.echo(f"{tracker}: {format_count(sent.added, 'run')} added{there}. Look: {sent.view_hint}")


def _write_benchmarks(folder: Path, file: Path, json: bool) -> None:
    from gdbench.report.json_format import dump_json
    from gdbench.results.export.pytest_benchmark import write_benchmarks

    count = write_benchmarks(folder, file)
    if json:
        typer.echo(dump_json({"tracker": PYTEST_BENCHMARK, "benchmarks": count, "file": str(file)}))
        return
    typer.echo(f"{format_count(count, 'benchmark')}: {file}")
