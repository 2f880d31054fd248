"""``keep=best``: the weights of each run's selected step, as safetensors in the sweep's folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from torch import Tensor, nn

import gdbench
from gdbench import Training

safetensors = pytest.importorskip("safetensors.torch")

INPUTS = torch.randn(96, 6, generator=torch.Generator().manual_seed(0))
TARGETS = INPUTS[:, :3].argmax(1)


class Tied(nn.Module):
    """A network with tied weights, a frozen layer, BatchNorm and Dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.inside, self.again = nn.Linear(6, 6), nn.Linear(6, 6)
        self.again.weight = self.inside.weight
        self.frozen = nn.Linear(6, 6).requires_grad_(False)
        self.layers = nn.Sequential(nn.BatchNorm1d(6), nn.ReLU(), nn.Dropout(0.2), nn.Linear(6, 3))

    def forward(self, x: Tensor) -> Tensor:
        """The scores of three classes."""
        scores: Tensor = self.layers(self.frozen(self.again(self.inside(x))))
        return scores


def workload(**more: Any) -> Training:
    """A small workload with held-out and test data."""
    data = {"train": (INPUTS[:64], TARGETS[:64]), "held_out": (INPUTS[64:80], TARGETS[64:80])}
    return Training(**{"module": Tied, **data, "test": (INPUTS[80:], TARGETS[80:]), "batch": 16, **more})


pytestmark = pytest.mark.usefixtures("own_folder")


def run(training: Training, **settings: Any) -> pd.DataFrame:
    """The runs of some steps of Adam with a large learning rate, judged at every second."""
    given = {"optimizer": "adam", "lr": 0.1, "steps": 20, "judge_every": 2, "timing": "off", "keep": "best"}
    return gdbench.run(training, **given | settings)


@pytest.mark.parametrize("average", ["none", "ema"])
@pytest.mark.parametrize("impl", ["torch", "manual"])
def test_loaded_weights_have_the_metrics_of_the_selected_step(impl: str, average: str) -> None:
    """A module with the loaded state has, to the bit in the module's own mode, the best held-out and the test loss."""
    runs = run(workload(), impl=impl, average=average, seed=[0, 1, 5])
    tolerance = 0.0 if impl == "torch" else 1e-6
    for row in runs.to_dict("records"):
        module = Tied()
        module.load_state_dict(safetensors.load_file(Path(runs.attrs["folder"], row["weights"])))
        module.eval()
        for split, part in (("best.held_out", slice(64, 80)), ("selected.test", slice(80, 96))):
            with torch.no_grad():
                loss = float(nn.functional.cross_entropy(module(INPUTS[part]), TARGETS[part]))
            assert loss == pytest.approx(row[f"{split}.loss"], rel=tolerance, abs=0)

    assert runs["weights"].nunique() == 3
    assert set(runs["lanes"]) == ({1} if impl == "torch" else {3})


def test_runs_that_select_nothing_have_no_file() -> None:
    """A run whose held-out loss is never finite has no weights, and one without ``keep`` writes no file."""
    nothing = run(workload(selection="lost", metrics={"lost": lambda outputs, targets: outputs.sum() * torch.nan}))
    plain = run(workload(), keep=None)

    assert nothing["weights"].isna().all()
    assert plain["weights"].isna().all()
    assert not Path(plain.attrs["folder"], "weights").exists()


SETTINGS = ("objective=digits_mlp", "optimizer=adam", "lr=0.01", "steps=6", "seed=0,1", "timing=off", "outputs=out")


@pytest.mark.slow
def test_a_resumed_sweep_keeps_its_files(command: Callable[..., Any]) -> None:
    """A cell that is done stays with its files; one that lacks a file runs again, and writes the same bytes."""

    def read_files() -> dict[str, tuple[int, bytes]]:
        done = command(*SETTINGS, "name=best", "keep=best", "--quiet")
        assert done.code == 0, done.err
        files = Path("out").glob("*/*_best/weights/*")
        return {file.name: (file.stat().st_mtime_ns, file.read_bytes()) for file in files}

    first = read_files()
    again = read_files()
    (folder,) = Path("out").glob("*/*_best")
    (folder / "weights" / next(iter(first))).unlink()
    mended = read_files()

    assert len(first) == 2
    assert again == first
    assert {name: data for name, (_, data) in mended.items()} == {name: data for name, (_, data) in first.items()}
    assert sorted(gdbench.load(folder)["weights"]) == sorted(f"weights/{name}" for name in first)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["optimizer=gd", "keep=best"], "keep=best is for training workloads, whose held-out data select a step."),
        (["objective=digits_mlp", "keep=last"], "keep=last is not known."),
    ],
    ids=str,
)
def test_wrong_settings_are_one_line(command: Callable[..., Any], words: list[str], message: str) -> None:
    """A function and an unknown word end with code 2."""
    done = command("timing=off", *words)

    assert (done.code, done.err.count("\n")) == (2, 1), done.err
    assert message in done.err


def test_held_out_data_are_needed() -> None:
    """Nothing selects a step without them."""
    with pytest.raises(gdbench.UsageError, match=r"keep=best needs Training\(held_out=...\)"):
        run(workload(held_out=None))


def test_a_missing_package_is_named(command: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Without safetensors one line says how to install it, before anything runs."""
    monkeypatch.setattr("gdbench.sweeps.weight_files.find_spec", lambda name: None)
    done = command(*SETTINGS, "keep=best")

    assert (done.code, done.err.count("\n")) == (2, 1), done.err
    assert "keep=best writes safetensors, which is not installed: pip install" in done.err
