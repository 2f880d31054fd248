"""Export to TensorBoard: a folder of event files per run, with curves, metrics and hyper-parameters."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch.utils.tensorboard import SummaryWriter
from torch.utils.tensorboard.summary import hparams

from gdbench.results.export.payload import ExportResult, RunPayload, SweepPayload

__all__ = ["export"]

DEFAULT_FOLDER = "outputs/tensorboard"
FLOAT32_MAX = 3.4028234663852886e38
"""TensorBoard's loader silently drops float64 scalars, so that they are written in float32."""


def export(sweep: SweepPayload, uri: str | None) -> ExportResult:
    """Write missing runs below the log folder ``uri``; a run's folder appears when it is complete."""
    logs = Path(uri or DEFAULT_FOLDER)
    place = logs / sweep.name.replace("/", "_")
    place.mkdir(parents=True, exist_ok=True)
    missing = [run for run in sweep.runs if not _make_run_folder(place, run).exists()]
    with tempfile.TemporaryDirectory(prefix=".making-", dir=logs) as making:
        for run in missing:
            made = Path(making) / run.id
            _write_events(run, made)
            shutil.move(made, _make_run_folder(place, run))
    return ExportResult(len(missing), len(sweep.runs) - len(missing), f"tensorboard --logdir {logs}")


def _make_run_folder(place: Path, run: RunPayload) -> Path:
    words = "".join(letter if letter.isalnum() or letter in "=.-+" else "_" for letter in run.name)
    return place / f"{words[:100]}_{run.id}"


def _write_events(run: RunPayload, folder: Path) -> None:
    with SummaryWriter(str(folder)) as writer:
        for step, numbers in run.curves.list_points():
            _add_scalars(writer, numbers, step)
        _add_scalars(writer, run.metrics, 0)
        beyond = {name: str(value) for name, value in run.metrics.items() if abs(value) > FLOAT32_MAX}
        for name, word in (*run.tags.items(), *beyond.items()):
            writer.add_text(name, word)
        params = {**_to_plain_values(run.params), "status": run.tags["status"]}
        for part in hparams(params, run.metrics):  # type: ignore[no-untyped-call]
            writer.file_writer.add_summary(part)


def _add_scalars(writer: SummaryWriter, numbers: Mapping[str, float], step: int) -> None:
    """Write the values that float32 can hold; others would be drawn as infinite."""
    for name, value in numbers.items():
        if abs(value) <= FLOAT32_MAX:
            writer.add_scalar(name, value, step, new_style=True)


def _to_plain_values(params: dict[str, Any]) -> dict[str, Any]:
    return {name: value if isinstance(value, (bool, int, float, str)) else str(value) for name, value in params.items()}
