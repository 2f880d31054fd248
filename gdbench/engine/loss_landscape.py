"""Loss landscape: values of an objective of two coordinates on a grid, for the report's contours."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from gdbench.config.trust import list_shipped_targets, read_configuration
from gdbench.engine.factory_import import locate
from gdbench.errors import UsageError
from gdbench.objectives.base import Objective
from gdbench.results.load import SkippedFile

__all__ = ["compute_function_landscape", "compute_landscape"]

SIDE = 61
NO_STARS = pd.DataFrame(columns=["x", "y"])


def compute_landscape(
    folders: list[Path], run: pd.Series, box: Mapping[str, tuple[float, float]]
) -> tuple[pd.DataFrame, pd.DataFrame] | None:
    """A grid of x, y, value over the box, and the minimisers, as x, y, of the objective of a run.

    None where its configuration was not kept, where it is not one of ours, or where a point is no vector of two.
    """
    objective = _load_objective(folders, run)
    if objective is None or not isinstance(objective.start_at(0), torch.Tensor) or objective.start_at(0).shape != (2,):  # type: ignore[union-attr]
        return None
    points = _make_grid(box)
    evaluate = objective.value if objective.laned else torch.vmap(objective.value)
    return _make_table(points, evaluate(points).numpy()), _list_minimisers(objective)


def compute_function_landscape(
    objective: Objective | Callable[[torch.Tensor], torch.Tensor], dtype: str, box: Mapping[str, tuple[float, float]]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """``compute_landscape`` of an objective of one's own, or of a function of a vector of two, called point by point.

    Raises UsageError where it cannot be called so.
    """
    points = _make_grid(box)
    value = objective.value if isinstance(objective, Objective) else objective
    name = getattr(objective, "__name__", type(objective).__name__)
    if not callable(value):
        raise UsageError(f"objective= must be a function or a gdbench.Objective, not {name}: it is drawn as contours.")
    try:
        with torch.no_grad():
            values = [float(value(point)) for point in points.to(getattr(torch, dtype))]
    except Exception as error:  # whatever a user's function raises
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise UsageError(
            f"objective={name} cannot be drawn: it was called with a vector of two {dtype} numbers ({reason})."
        ) from error
    return _make_table(points, np.array(values)), _list_minimisers(objective) if isinstance(
        objective, Objective
    ) else NO_STARS


def _make_grid(box: Mapping[str, tuple[float, float]]) -> torch.Tensor:
    """The points of a grid over the box."""
    x, y = (np.linspace(*box[name], SIDE) for name in ("x", "y"))
    return torch.from_numpy(np.dstack(np.meshgrid(x, y)).reshape(-1, 2))


def _make_table(points: torch.Tensor, values: npt.NDArray[Any]) -> pd.DataFrame:
    return pd.DataFrame({"x": points[:, 0].numpy(), "y": points[:, 1].numpy(), "value": values})


def _list_minimisers(objective: Objective) -> pd.DataFrame:
    return pd.DataFrame([np.asarray(minimiser) for minimiser in objective.minimisers], columns=["x", "y"])


def _load_objective(folders: list[Path], run: pd.Series) -> Objective | None:
    kept = [
        folder / ".hydra" / f"cell-{run['cell']:05d}.yaml"
        for folder in folders
        if str(folder).endswith(str(run["sweep"]))
    ]
    file = next((file for file in kept if file.is_file()), None)
    if file is None:
        return None
    try:
        config = read_configuration(file)["objective"]
        target = config.pop("_target_", None)
        # A report may be of somebody else's sweep: of what its files name, only what our own conf/ names is called.
        if target not in list_shipped_targets("objective") or not all(map(_is_plain, config.values())):
            return None
        objective: Objective = locate(target, "objective")(**config)
    except (UsageError, TypeError, ValueError) as error:  # the file is damaged, or of another version
        warnings.warn(f"{file}: no contours are drawn ({str(error).splitlines()[0]}).", SkippedFile, stacklevel=2)
        return None
    return objective.to(torch.float64, "cpu")


def _is_plain(value: Any) -> bool:
    """Whether an argument is a number, text, or a list of them."""
    return (
        value is None
        or isinstance(value, (bool, int, float, str))
        or (isinstance(value, list) and all(map(_is_plain, value)))
    )
