"""TensorBoard: a folder of event files for each run, with its curves, its numbers and its hyper-parameters."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch.utils.tensorboard import SummaryWriter
from torch.utils.tensorboard.summary import hparams

from gdbench.results.export.payload import Sent, Tracked, TrackedSweep

__all__ = ["send"]

PLACE = "outputs/tensorboard"
FLOAT32_MAX = 3.4028234663852886e38
"""TensorBoard's own loader drops scalars of double precision without a word, so they are written in float32."""


def send(sweep: TrackedSweep, uri: str | None) -> Sent:
    """Write what is missing below the log folder ``uri``; a run's folder appears when it is whole."""
    logs = Path(uri or PLACE)
    place = logs / sweep.name.replace("/", "_")
    place.mkdir(parents=True, exist_ok=True)
    missing = [run for run in sweep.runs if not _folder(place, run).exists()]
    with tempfile.TemporaryDirectory(prefix=".making-", dir=logs) as making:
        for run in missing:
            made = Path(making) / run.id
            _write(run, made)
            shutil.move(made, _folder(place, run))
    return Sent(len(missing), len(sweep.runs) - len(missing), f"tensorboard --logdir {logs}")


def _folder(place: Path, run: Tracked) -> Path:
    words = "".join(letter if letter.isalnum() or letter in "=.-+" else "_" for letter in run.name)
    return place / f"{words[:100]}_{run.id}"


def _write(run: Tracked, folder: Path) -> None:
    with SummaryWriter(str(folder)) as writer:
        for step, numbers in run.curves.points():
            _add_scalars(writer, numbers, step)
        _add_scalars(writer, run.metrics, 0)
        beyond = {name: str(value) for name, value in run.metrics.items() if abs(value) > FLOAT32_MAX}
        for name, word in (*run.tags.items(), *beyond.items()):
            writer.add_text(name, word)
        told = {**_plain(run.params), "status": run.tags["status"]}
        for part in hparams(told, run.metrics):  # type: ignore[no-untyped-call]
            writer.file_writer.add_summary(part)


def _add_scalars(writer: SummaryWriter, numbers: Mapping[str, float], step: int) -> None:
    """Write the numbers that float32 can hold; one beyond it would be drawn as infinite."""
    for name, value in numbers.items():
        if abs(value) <= FLOAT32_MAX:
            writer.add_scalar(name, value, step, new_style=True)


def _plain(params: dict[str, Any]) -> dict[str, Any]:
    """Hyper-parameters as TensorBoard takes them."""
    return {name: value if isinstance(value, (bool, int, float, str)) else str(value) for name, value in params.items()}
