"""The values of an objective of two coordinates on a grid, for the report's contours."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from omegaconf import OmegaConf

from gdbench.build import locate
from gdbench.objectives import Objective

__all__ = ["landscape"]

OURS = "gdbench.objectives."
"""A report may be of somebody else's sweep: what its configuration names is called only if it is ours."""
SIDE = 61


def landscape(
    folders: list[Path], run: pd.Series, box: Mapping[str, tuple[float, float]]
) -> tuple[pd.DataFrame, pd.DataFrame] | None:
    """A grid of x, y, value over the box, and the minimisers, as x, y, of the objective of a run.

    None where its configuration was not kept, where it is not one of ours, or where a point is no vector of two.
    """
    objective = _objective(folders, run)
    if objective is None or not isinstance(objective.start_at(0), torch.Tensor) or objective.start_at(0).shape != (2,):  # type: ignore[union-attr]
        return None
    x, y = (np.linspace(*box[name], SIDE) for name in ("x", "y"))
    points = torch.from_numpy(np.dstack(np.meshgrid(x, y)).reshape(-1, 2))
    evaluate = objective.value if objective.laned else torch.vmap(objective.value)
    values = evaluate(points).numpy()
    grid = pd.DataFrame({"x": points[:, 0].numpy(), "y": points[:, 1].numpy(), "value": values})
    stars = pd.DataFrame([np.asarray(each) for each in objective.minimisers], columns=["x", "y"])
    return grid, stars


def _objective(folders: list[Path], run: pd.Series) -> Objective | None:
    kept = [
        folder / ".hydra" / f"cell-{run['cell']:05d}.yaml"
        for folder in folders
        if str(folder).endswith(str(run["sweep"]))
    ]
    file = next((each for each in kept if each.is_file()), None)
    if file is None:
        return None
    config = dict(OmegaConf.to_container(OmegaConf.load(file))["objective"])  # type: ignore[index, call-overload, arg-type]
    target = config.pop("_target_", None)
    if not isinstance(target, str) or not target.startswith(OURS):
        return None
    made: Objective = locate(target, "objective")(**config)
    return made.to(torch.float64, "cpu")
