"""Files of a sweep with the weights of its runs, as safetensors: data alone, which run nothing when they are read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from gdbench.errors import UsageError, format_install_command
from gdbench.results.atomic import explain_write_errors, replace_atomically
from gdbench.results.load import load
from gdbench.sweeps.job import Job

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["check_weight_files", "find_cells_without_files", "write_weight_files"]

FOLDER = "weights"


def check_weight_files(jobs: Sequence[Job]) -> None:
    """Raise UsageError where cells keep their weights and safetensors is not installed."""
    if any(job.spec.keep for job in jobs) and find_spec("safetensors") is None:
        raise UsageError(f"keep=best writes safetensors, which is not installed: {format_install_command('weights')}")


def write_weight_files(
    folder: Path, weights: Mapping[int, Mapping[str, Tensor]], run_ids: npt.NDArray[np.bytes_]
) -> npt.NDArray[Any]:
    """Write the weights of runs, by their row, and return the path of every run's file in the folder; None without."""
    paths: npt.NDArray[Any] = np.full(len(run_ids), None, dtype=object)
    if not weights:
        return paths
    from safetensors.torch import save_file

    with explain_write_errors(folder):
        (folder / FOLDER).mkdir(exist_ok=True)
        for row, state in weights.items():
            paths[row] = f"{FOLDER}/{run_ids[row].decode()}.safetensors"
            with replace_atomically(folder / paths[row]) as beside:
                save_file({name: leaf.contiguous() for name, leaf in state.items()}, beside)
    return paths


def find_cells_without_files(folder: Path) -> set[int]:
    """The cells of a sweep whose rows name a file of weights that is gone."""
    runs = load(folder, columns=["cell", "weights"]).dropna(subset=["weights"])
    there = [(folder / str(path)).is_file() for path in runs["weights"]]
    return set(runs["cell"][[not found for found in there]].astype(int))
