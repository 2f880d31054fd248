"""Export to MLflow: a parent run per sweep and a child per run, in a local SQLite file or on a server."""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import socket
import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import mlflow
from mlflow.entities import Metric, Param, Run
from mlflow.tracking import MlflowClient
from sqlalchemy import make_url

from gdbench.errors import UsageError
from gdbench.results.export.payload import PROJECT, ExportResult, RunPayload, SweepPayload

__all__ = ["export"]

MAX_BATCH = {"metrics": 900, "params": 100}
"""MLflow's limits per call: 1000 entries in all, 100 of them parameters."""
MAX_LENGTH = 5000
"""Characters of a tag or parameter that every MLflow version accepts."""
WORKERS = 4
"""Concurrent runs sent to a server; a SQLite file has one writer."""
CONNECT_TIMEOUT_S = 5.0
SWEEP, RUN = "gdbench.sweep", "gdbench.run"
PARENT, NAME = "mlflow.parentRunId", "mlflow.runName"
KIND, MODELS = "mlflow.experimentKind", "custom_model_development"
"""Without this tag MLflow's page shows the experiment as one of language models, with an empty list of traces."""
RUNS_PAGE = "#/experiments/{}/runs?workflowType=machine_learning"
"""MLflow 3.17's page opens in its mode for language models unless the address has this parameter."""


def export(sweep: SweepPayload, uri: str | None) -> ExportResult:
    """Add missing runs to the experiment ``gdbench`` (or MLFLOW_EXPERIMENT_NAME), at ``uri`` or MLFLOW_TRACKING_URI.

    A child run that is not finished is from an interrupted export: it is deleted and sent again.
    """
    for quiet in ("mlflow", "alembic"):
        logging.getLogger(quiet).setLevel(logging.ERROR)
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")  # of seven, each waits twice as long as the last
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")  # two lines a run
    place = uri or mlflow.get_tracking_uri()
    _check_server(place)
    with _use_write_ahead_log(place):
        return _export_sweep(sweep, place)


def _export_sweep(sweep: SweepPayload, place: str) -> ExportResult:
    client = MlflowClient(tracking_uri=place)
    experiment = _find_or_create_experiment(client, os.environ.get("MLFLOW_EXPERIMENT_NAME", PROJECT))
    known = {run.data.tags[RUN]: run for run in _iterate_runs(client, experiment, sweep.id)}
    parent = known.get(sweep.id) or _create_parent_run(client, experiment, sweep)
    done = {key for key, run in known.items() if run.info.status != "RUNNING"}
    missing = [run for run in sweep.runs if run.id not in done]
    for run in missing:
        if run.id in known:
            client.delete_run(known[run.id].info.run_id)
    sending = partial(_export_run, client, experiment, parent.info.run_id, sweep.id)
    with ThreadPoolExecutor(WORKERS if place.startswith("http") else 1) as pool:
        for _ in pool.map(sending, missing):
            pass
    _export_files(client, parent.info.run_id, sweep.files)
    if missing or sweep.id not in done:
        client.set_terminated(parent.info.run_id)
    return ExportResult(len(missing), len(sweep.runs) - len(missing), _format_view_command(place, experiment))


def _format_view_command(place: str, experiment: str) -> str:
    """How to view the runs: the page's address, and for a file the command that serves it."""
    if place.startswith("http"):
        return f"{place.rstrip('/')}/{RUNS_PAGE.format(experiment)}"
    return f"mlflow ui --backend-store-uri {place}, then http://127.0.0.1:5000/{RUNS_PAGE.format(experiment)}"


def _check_server(place: str) -> None:
    """Raise ConnectionError where no server listens: MLflow itself would retry for minutes."""
    parts = urlsplit(place)
    if parts.scheme not in ("http", "https"):
        return
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        socket.create_connection((parts.hostname or "", port), timeout=CONNECT_TIMEOUT_S).close()
    except OSError as error:
        raise ConnectionError(f"{place} does not answer: {error.strerror or error}") from None


@contextmanager
def _use_write_ahead_log(place: str) -> Iterator[None]:
    """Context manager: create a new SQLite file in write-ahead mode.

    It needs one sync per commit instead of three, which saves a fifth of an export. Existing files keep their mode. At
    the end the log, which MLflow leaves open, is merged into the file, so that a copy of the file alone is complete.
    """
    file = make_url(place).database if place.startswith("sqlite") else None
    if not file:
        yield
        return
    if not Path(file).exists():
        _create_store(Path(file))
    try:
        yield
    finally:
        _execute_pragma(file, "wal_checkpoint(TRUNCATE)")


def _create_store(file: Path) -> None:
    """Create a store's file atomically: MLflow cannot use one whose tables are incomplete.

    MLflow keeps its connections open, so that a copy without any takes the name.
    """
    with tempfile.TemporaryDirectory(prefix=f".{file.name}-", dir=file.parent) as scratch:
        made, copy = Path(scratch) / "made.db", Path(scratch) / "copy.db"
        MlflowClient(tracking_uri=f"sqlite:///{made}").search_experiments(max_results=1)  # makes the tables
        with closing(sqlite3.connect(made)) as opened:
            opened.execute("VACUUM INTO ?", (str(copy),))
        _execute_pragma(str(copy), "journal_mode = WAL")
        with contextlib.suppress(FileExistsError):  # another export was first, and as good
            os.link(copy, file)


def _execute_pragma(file: str, words: str) -> None:
    with closing(sqlite3.connect(file)) as opened:
        opened.execute(f"PRAGMA {words}").fetchall()


def _find_or_create_experiment(client: MlflowClient, name: str) -> str:
    found = client.get_experiment_by_name(name)
    if found and found.lifecycle_stage != "active":
        raise UsageError(f"the experiment {name} of MLflow is deleted: restore it, or set MLFLOW_EXPERIMENT_NAME.")
    if found is None:
        return str(client.create_experiment(name, tags={KIND: MODELS}))
    if KIND not in found.tags:  # somebody who chose another kind keeps it
        client.set_experiment_tag(found.experiment_id, KIND, MODELS)
    return str(found.experiment_id)


def _iterate_runs(client: MlflowClient, experiment: str, sweep: str) -> Iterator[Run]:
    """Runs of a sweep on the tracker, its parent run included."""
    token = None
    while True:
        page = client.search_runs([experiment], f"tags.`{SWEEP}` = '{sweep}'", max_results=1000, page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def _create_parent_run(client: MlflowClient, experiment: str, sweep: SweepPayload) -> Run:
    tags = {**_to_texts(sweep.tags), SWEEP: sweep.id, RUN: sweep.id}
    return client.create_run(experiment, tags=tags, run_name=sweep.name)


def _export_run(client: MlflowClient, experiment: str, parent: str, sweep: str, run: RunPayload) -> None:
    """Create one run, log it in as few calls as MLflow allows, and finish it."""
    tags = {**_to_texts(run.tags), PARENT: parent, SWEEP: sweep, RUN: run.id, NAME: run.name}
    made = client.create_run(experiment, tags=tags, run_name=run.name)
    at = made.info.start_time
    curves = [
        Metric(name, value, at, step) for step, point in run.curves.list_points() for name, value in point.items()
    ]
    entries: dict[str, list[Any]] = {
        "metrics": [*(Metric(name, value, at, 0) for name, value in run.metrics.items()), *curves],
        "params": [Param(name, value) for name, value in _to_texts(run.params).items()],
    }
    for batch in _iterate_batches(entries):
        client.log_batch(made.info.run_id, synchronous=True, **batch)
    client.set_terminated(made.info.run_id, "FAILED" if run.is_failed else "FINISHED")


def _iterate_batches(entries: dict[str, list[Any]]) -> Iterator[dict[str, list[Any]]]:
    """Batches within MAX_BATCH; parameters come with the first metrics."""
    for number in itertools.count():
        batch = {
            kind: some[number * MAX_BATCH[kind] : (number + 1) * MAX_BATCH[kind]] for kind, some in entries.items()
        }
        if not any(batch.values()):
            return
        yield batch


def _export_files(client: MlflowClient, parent: str, files: Sequence[Path]) -> None:
    """Upload artifacts that are missing; those of subfolders keep their folder."""
    there: dict[str, set[str]] = {}
    for file in files:
        place = file.parent.name if file.parent.name in ("tables", "figures") else None
        if str(place) not in there:
            there[str(place)] = {Path(artifact.path).name for artifact in client.list_artifacts(parent, place)}
        if file.name not in there[str(place)]:
            client.log_artifact(parent, str(file), place)


def _to_texts(values: dict[str, Any]) -> dict[str, str]:
    return {name: str(value)[:MAX_LENGTH] for name, value in values.items()}
