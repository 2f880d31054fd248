"""The verb ``export``: a sweep copied to an experiment tracker."""

from __future__ import annotations

from typing import Annotated

import typer

from gdbench.cli.options import OUTPUTS, Json, Outputs, SweepName
from gdbench.errors import format_count
from gdbench.results.paths import expand_user

__all__ = ["export"]


def export(
    tracker: Annotated[str, typer.Argument(metavar="TRACKER", help="mlflow, wandb, trackio or tensorboard")],
    sweep: SweepName,
    uri: Annotated[
        str | None, typer.Option(help="mlflow: a server; wandb: online, or a server; trackio, tensorboard: a folder")
    ] = None,
    outputs: Outputs = OUTPUTS,
    json: Json = False,
) -> None:
    """Copy a finished sweep to a tracker: parameters, metrics, curves, statuses and report.

    Exports can be repeated and resumed: runs that the tracker has already are left as they are. Each tracker needs its
    extra, such as pip install -e '.[mlflow]', and reads its own environment variables: MLFLOW_TRACKING_URI, WANDB_MODE,
    TRACKIO_DIR. Without them everything stays on this machine.
    """
    from gdbench.report.diff_text import json_text
    from gdbench.results.catalog import find
    from gdbench.results.export import insist, send

    insist([tracker])
    place = str(expand_user(uri)) if uri and uri.startswith("~") else uri  # a server is no path
    sent = send(tracker, find(sweep, outputs), place)
    if json:
        counts = {"added": sent.added, "already_there": sent.there}
        typer.echo(json_text({"tracker": tracker, **counts, "look": sent.look}))
        return
    there = f", {sent.there} already there" if sent.there else ""
    typer.echo(f"{tracker}: {format_count(sent.added, 'run')} added{there}. Look: {sent.look}")
