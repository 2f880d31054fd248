"""Export to Weights & Biases: a run per run in one group; offline files for ``wandb sync``, or online."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import wandb

from gdbench.results.export.payload import PROJECT, ExportResult, RunPayload, SweepPayload

__all__ = ["export"]


def export(sweep: SweepPayload, uri: str | None) -> ExportResult:
    """Write offline runs below ``wandb/`` (or WANDB_DIR); WANDB_MODE=online, or a ``uri``, uploads instead.

    Offline, a run's folder appears when it is complete; online, finished runs are skipped.
    """
    mode = "online" if uri and uri != "offline" else os.environ.get("WANDB_MODE", "offline")
    server = uri if uri and uri.startswith("http") else None
    place = Path(os.environ.get("WANDB_DIR", ".")) / "wandb"
    project = os.environ.get("WANDB_PROJECT", PROJECT)
    there = (
        _find_finished_runs(project, sweep, server)
        if mode == "online"
        else {folder.name[-16:] for folder in place.glob("*run-*")}
    )
    missing = [run for run in sweep.runs if run.id not in there]
    place.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".making-", dir=place) as making:
        for run in missing:
            settings = {"silent": True, "console": "off", "base_url": server, "root_dir": making}
            _export_run(
                run, sweep, project, mode, {name: value for name, value in settings.items() if value is not None}
            )
            for made in Path(making).glob("wandb/*run-*"):
                shutil.move(made, place / made.name)
    look = f"wandb sync {place}/offline-run-*" if mode == "offline" else f"the project {project}, group {sweep.name}"
    return ExportResult(len(missing), len(sweep.runs) - len(missing), look)


def _find_finished_runs(project: str, sweep: SweepPayload, server: str | None) -> set[str]:
    """Identifiers of the runs of a sweep that are finished on the server."""
    api = wandb.Api(overrides={"base_url": server} if server else None)
    path = "/".join(part for part in (os.environ.get("WANDB_ENTITY") or api.default_entity, project) if part)
    try:
        return {run.id for run in api.runs(path, filters={"group": sweep.name}) if run.state == "finished"}
    except ValueError:  # no such project yet
        return set()


def _export_run(run: RunPayload, sweep: SweepPayload, project: str, mode: Any, settings: dict[str, Any]) -> None:
    config = {**run.params, "gdbench_sweep": sweep.name, "gdbench_tags": run.tags}
    session = wandb.init(
        project=project,
        id=run.id,
        name=run.name,
        group=sweep.name,
        tags=[run.tags["status"]],
        config=config,
        mode=mode,
        resume="allow",
        reinit="finish_previous",
        settings=wandb.Settings(**settings),
    )
    for step, numbers in run.curves.list_points():
        session.log(numbers, step=step)
    session.summary.update({**run.metrics, "status": run.tags["status"]})
    session.finish(exit_code=int(run.is_failed))
