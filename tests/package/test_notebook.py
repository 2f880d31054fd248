"""Every number that the notebook printed, digit for digit in float32, through the real runner.

The manual loop prints x after its step and y before it; the loop with torch.optim.SGD prints both before the step.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pandas as pd
import pytest
import torch
from nbclient import NotebookClient
from support.folding import folded

import gdbench
from gdbench.engine.build import build_cell

IMPLS = ("manual", "torch")
FILE = Path(__file__).parents[2] / "docs" / "notebook.ipynb"
STEPS = range(0, 100, 10)

# cell 16: x after the step, y before it
MANUAL_X = (
    8.399999618530273,
    2.687194585800171,
    2.073786973953247,
    2.007922649383545,
    2.0008506774902344,
    2.000091075897217,
    2.0000100135803223,
    2.0000011920928955,
    2.000000476837158,
    2.000000476837158,
)
MANUAL_Y = (
    64.0,
    0.7378695011138916,
    0.008507047779858112,
    9.807794413063675e-05,
    1.1307065506116487e-06,
    1.2987811714992858e-08,
    1.5370460459962487e-10,
    2.0463630789890885e-12,
    2.2737367544323206e-13,
    2.2737367544323206e-13,
)
# cell 18: x and y before the step
SGD_X = (
    10.0,
    3.751619338989258,
    3.0807044506073,
    3.0086655616760254,
    3.0009303092956543,
    3.0000996589660645,
    3.0000107288360596,
    3.0000011920928955,
    3.000000476837158,
    3.000000476837158,
)
SGD_Y = (
    49.0,
    0.5649316310882568,
    0.0065132081508636475,
    7.50919571146369e-05,
    8.65475385580794e-07,
    9.93190951703582e-09,
    1.1510792319313623e-10,
    1.4210854715202004e-12,
    2.2737367544323206e-13,
    2.2737367544323206e-13,
)


def trace(outputs: Path, objective: str, impl: str, lr: float = 0.1, steps: int = 100, **more: Any) -> pd.DataFrame:
    """Every step of one run of gradient descent, by the real runner; its index is the step."""
    runs = gdbench.sweep(
        objective, impl=impl, lr=lr, steps=steps, trace="full", timing="off", outputs=outputs, device="cpu", **more
    )
    return gdbench.load(runs.attrs["folder"], "traces").query(f"run_id == {runs['run_id'][0]!r}").set_index("step")


def gradient(objective: str) -> torch.Tensor:
    """The gradient at the start, by the way that every run takes to it."""
    (job,) = folded(f"objective={objective}", "device=cpu")
    cell = build_cell(job.spec)
    return cell.oracle(laned=False).grad(cell.start(0), 0)[1]


def test_the_first_gradient() -> None:
    """Cell 3: the gradient of 10 x^2 at 1 is 20."""
    assert gradient("notebook_square").tolist() == [20.0]


def test_the_gradient_of_the_logarithms() -> None:
    """Cell 4: the gradient of sum(log x) at 1 ... 12 is 1, 0.5, 0.3333 ..., in float64."""
    found = gradient("notebook_log")
    printed = [1.0, 0.5, 0.3333, 0.25, 0.2, 0.1667, 0.1429, 0.125, 0.1111, 0.1, 0.0909, 0.0833]

    assert found.dtype == torch.float64
    assert [round(each, 4) for each in found.tolist()] == printed
    assert found.tolist() == [1 / k for k in range(1, 13)]


def test_the_gradient_of_the_matrix() -> None:
    """Cell 8: the gradient of sum(x^2) on the 3x4 matrix is 2 ... 24, row by row."""
    assert gradient("notebook_matrix").tolist() == [[2.0, 4, 6, 8], [10, 12, 14, 16], [18, 20, 22, 24]]


@pytest.mark.parametrize("impl", IMPLS)
def test_one_step_on_the_matrix(tmp_path: Path, impl: str) -> None:
    """Cells 7 to 15: f is 650, and one step of 0.001 leads to 0.998 ... 11.976 in float32."""
    printed = [0.998, 1.996, 2.994, 3.992, 4.99, 5.988, 6.986, 7.984, 8.982, 9.98, 10.978, 11.976]
    steps = trace(tmp_path, "notebook_matrix", impl, lr=0.001, steps=1)

    assert steps["loss"][0] == 650.0
    assert np.asarray(steps["x"][1], np.float32).tolist() == np.asarray(printed, np.float32).tolist()


@pytest.mark.parametrize("impl", IMPLS)
def test_the_loop_by_hand(tmp_path: Path, impl: str) -> None:
    """Cell 16: x after and y before steps 0, 10, ..., 90 of the descent on (x - 2)^2."""
    steps = trace(tmp_path, "notebook_manual", impl)

    assert tuple(float(steps["x"][k + 1][0]) for k in STEPS) == MANUAL_X
    assert tuple(float(steps["loss"][k]) for k in STEPS) == MANUAL_Y


@pytest.mark.parametrize("impl", IMPLS)
def test_the_loop_with_sgd(tmp_path: Path, impl: str) -> None:
    """Cell 18: x and y before steps 0, 10, ..., 90 of the descent on (x - 3)^2."""
    steps = trace(tmp_path, "notebook_sgd", impl)

    assert tuple(float(steps["x"][k][0]) for k in STEPS) == SGD_X
    assert tuple(float(steps["loss"][k]) for k in STEPS) == SGD_Y


def test_the_digits_hold_in_lanes(tmp_path: Path) -> None:
    """The same numbers come out of a lane between others."""
    runs = gdbench.sweep(lr=[0.01, 0.1, 0.3], trace="full", timing="off", outputs=tmp_path, device="cpu")
    traces = gdbench.load(runs.attrs["folder"], "traces")
    lane = traces[traces["run_id"] == runs["run_id"][1]].set_index("step")

    assert runs["lanes"].tolist() == [3, 3, 3]
    assert tuple(float(lane["x"][k + 1][0]) for k in STEPS) == MANUAL_X
    assert tuple(float(lane["loss"][k]) for k in STEPS) == MANUAL_Y


@pytest.mark.parametrize("impl", IMPLS)
def test_the_experiment_prints_them_all(command: Any, impl: str) -> None:
    """python -m gdbench -m experiment=notebook holds the notebook's loops among its runs."""
    assert command("-m", "experiment=notebook", "device=cpu", f"impl={impl}", "timing=off", "--quiet").code == 0
    runs, traces = gdbench.load(), gdbench.load(table="traces")
    for name, xs, ys, after in (("manual", MANUAL_X, MANUAL_Y, 1), ("sgd", SGD_X, SGD_Y, 0)):
        row = runs[(runs["objective"] == f"notebook_{name}") & (runs["lr"] == 0.1)].iloc[0]
        steps = traces[traces["run_id"] == row["run_id"]].set_index("step")

        assert tuple(float(steps["x"][k + after][0]) for k in STEPS) == xs
        assert tuple(float(steps["loss"][k]) for k in STEPS) == ys


def test_the_logarithms_end_honestly(tmp_path: Path) -> None:
    """sum(log x) has no minimum: no gap, no hit and no target are claimed, whatever the descent does."""
    runs = gdbench.sweep("notebook_log", lr=[0.01, 0.1, 10.0], timing="off", outputs=tmp_path, device="cpu")
    hits = [name for name in runs if name.startswith("hit_")]

    assert set(runs["minimum_kind"]) == {"unknown"}
    assert runs[[*hits, "final_gap", "steps_to_target"]].isna().all(axis=None)
    assert "target" not in set(runs["status"])
    assert runs["status"].iloc[2] == "nonfinite"


# ------------------------------------------------------------------------------------- the notebook, retold


@pytest.fixture(scope="module")
def kept() -> Any:
    """The notebook as it lies in the repository."""
    return nbformat.read(FILE, as_version=4)


def shown(notebook: Any) -> list[list[tuple[str, str]]]:
    """What each cell of code shows: texts as they are, pictures by their kind."""
    return [
        [each for output in cell.outputs for each in _parts(output)]
        for cell in notebook.cells
        if cell.cell_type == "code"
    ]


def _parts(output: Any) -> list[tuple[str, str]]:
    if output.output_type == "stream":
        return [(output.name, output.text)]
    return [(kind, "" if kind.startswith("image/") else text) for kind, text in sorted(output.data.items())]


@pytest.mark.slow
def test_the_retold_notebook_runs_and_shows_what_is_kept(
    kept: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Executed anew, every cell prints the same digits and tables, and draws where a picture is kept."""
    monkeypatch.setenv("PYTHONPATH", str(FILE.parent.parent))
    monkeypatch.setenv("JUPYTER_PLATFORM_DIRS", "1")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    again = kept.copy()
    NotebookClient(again, timeout=300, kernel_name="python3").execute()

    assert shown(again) == shown(nbformat.read(FILE, as_version=4))


def test_the_retold_notebook_tells_the_notebooks_numbers(kept: Any) -> None:
    """It prints both loops and the gradients digit for digit, has five pictures, and is small."""
    text = "".join(part for cell in shown(kept) for kind, part in cell if kind == "stdout")
    for x, y in ((MANUAL_X, MANUAL_Y), (SGD_X, SGD_Y)):
        assert "".join(f"x = {x[k]} | y = {y[k]} | step = {step}\n" for k, step in enumerate(STEPS)) in text
    assert text.startswith(
        "20.0\n[1.     0.5    0.3333 0.25   0.2    0.1667 0.1429 0.125  0.1111 0.1\n 0.0909 0.0833]\n"
    )
    assert "650.0\n[[ 0.998  1.996  2.994  3.992]" in text
    assert sum(kind == "image/svg+xml" for cell in shown(kept) for kind, _ in cell) == 5
    assert FILE.stat().st_size < 300_000
