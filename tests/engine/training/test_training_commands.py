"""A folder of one's own from the command line: module, loader with augmentation, optimizer classes, groups."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import gdbench

CODE = """
import torch
from gdbench import Training
from torch import nn
from torch.utils.data import DataLoader, Dataset

INPUTS = torch.randn(80, 6, generator=torch.Generator().manual_seed(0))
TARGETS = INPUTS[:, :3].argmax(1)


class Augmented(Dataset):
    def __len__(self):
        return 64

    def __getitem__(self, i):
        return INPUTS[i] + 0.1 * torch.randn(6), TARGETS[i]


def my_workload(batch=16, drop=False):
    return Training(
        module=lambda: nn.Sequential(nn.Linear(6, 12), nn.BatchNorm1d(12), nn.ReLU(), nn.Linear(12, 3)),
        train=lambda generator: DataLoader(Augmented(), batch, shuffle=True, drop_last=drop, generator=generator),
        held_out=(INPUTS[64:], TARGETS[64:]),
        metrics={"accuracy": lambda outputs, targets: (outputs.argmax(1) == targets).float().mean()},
    )


class Signed(torch.optim.Optimizer):
    \"\"\"Signs for the groups that ask for them, as packages' Muon has use_muon.\"\"\"

    def __init__(self, params, lr=0.01):
        super().__init__(params, {"lr": lr, "use_sign": False})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for leaf in group["params"]:
                leaf.sub_(group["lr"] * (leaf.grad.sign() if group["use_sign"] else leaf.grad))


class Curved(torch.optim.Optimizer):
    \"\"\"Gradients divided by the sum of a row of the Hessian.\"\"\"

    def __init__(self, params, lr=0.01):
        super().__init__(params, {"lr": lr})

    def step(self, closure=None):
        leaves = self.param_groups[0]["params"]
        rows = torch.autograd.grad([leaf.grad for leaf in leaves], leaves, [torch.ones_like(x) for x in leaves])
        with torch.no_grad():
            for leaf, row in zip(leaves, rows):
                leaf.sub_(self.param_groups[0]["lr"] * leaf.grad / (1 + row.abs()))
"""
FILES = {
    "my_code.py": CODE,
    "objective/mine.yaml": "# mine\n_target_: my_code.my_workload\nbatch: 16\ndrop: false\n",
    "optimizer/signed.yaml": "# signs\nmanual: null\ntorch: {_target_: my_code.Signed}\ndefault_lr: 0.01\n"
    "groups: {matrix: {use_sign: true}, 'name:^1': {lr_scale: 0.1}}\n",
    "optimizer/curved.yaml": "# curvature\nmanual: null\n"
    "torch: {_target_: my_code.Curved, _create_graph_: true}\ndefault_lr: 0.01\n",
}
SETTINGS = ("objective=mine", "impl=torch", "steps=24", "lr=null", "device=cpu", "timing=off", "outputs=out")


@pytest.fixture
def run(command: Callable[..., Any], tmp_path: Path) -> Callable[..., Any]:
    """Carries out a command line with the folder of files."""
    for name, text in FILES.items():
        path = tmp_path / "mine" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return lambda *words: command("--config-dir", "mine", "-m", *SETTINGS, "--quiet", *words)


def test_a_folder_of_ones_own_trains(run: Callable[..., Any], tmp_path: Path) -> None:
    """Own module, own loader, own optimizers with groups from YAML: seeds differ, and everything repeats."""
    done = [run("optimizer=adamw,signed,curved", "seed=0,1", f"name={name}") for name in ("a", "b")]
    assert [one.code for one in done] == [0, 0], done[0].err
    first, again = (
        gdbench.load(next((tmp_path / "out").rglob(f"*_{name}"))).sort_values(["optimizer", "seed"]) for name in "ab"
    )

    assert set(first["status"]) == {"budget"}, first["error"].tolist()
    assert first["final_loss"].tolist() == again["final_loss"].tolist()
    assert first["final_loss"].nunique() == 6
    assert first["deterministic"].all()
    assert (first["final_loss"] < first["start_loss"]).all()
    counts = first.groupby("optimizer")["gradient_evals"].first()
    assert counts.to_dict() == {"adamw": 24, "curved": 72, "signed": 24}


@pytest.mark.slow
@pytest.mark.parametrize(
    "launcher",
    ["joblib hydra.launcher.n_jobs=1", "submitit_local"],
)
def test_a_launcher_trains_the_same(run: Callable[..., Any], tmp_path: Path, launcher: str) -> None:
    """Cells of training that a launcher runs have the metrics that they have in this process, lanes included."""
    words = ("optimizer=adam", "impl=manual,torch", "seed=0,1")
    done = [run(*words, "name=here"), run(*words, *f"hydra/launcher={launcher}".split(), "name=there")]
    here, there = (gdbench.load(next((tmp_path / "out").rglob(f"*_{name}"))) for name in ("here", "there"))

    assert [one.code for one in done] == [0, 0], done[1].err
    for name in ("final_loss", "status", "lanes", "selected_step"):
        assert here.sort_values("run_id")[name].tolist() == there.sort_values("run_id")[name].tolist()


def test_groups_are_given_on_the_command_line(run: Callable[..., Any], tmp_path: Path) -> None:
    """A mapping, or its text where a key has signs that the grammar lacks, is in the row as text."""
    for groups in ("{no_decay:{weight_decay:0.1}}", '"{name:^3: {lr_scale: 0.5}}"'):
        done = run("optimizer=adamw", f"optimizer.groups={groups}")
        assert done.code == 0, done.err
    runs = [gdbench.load(file.parent) for file in (tmp_path / "out").rglob("runs.parquet")]

    assert {row["optimizer.groups"].iloc[0] for row in runs} == {
        '{"no_decay": {"weight_decay": 0.1}}',
        "{name:^3: {lr_scale: 0.5}}",
    }


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["optimizer=adamw", "optimizer.groups={embedding:{lr:1}}"], "embedding matches none of the 6 parameters"),
        (["optimizer=adamw", "optimizer.groups={bias:{weight_dacay:1}}"], "groups.bias.weight_dacay is not an option"),
        (["optimizer=adamw", "optimizer.groups={bias:{weight_decay:much}}"], "groups.bias.weight_decay=much must be"),
        (["optimizer=adamw", "optimizer.groups={no_decay:{lr:1},bias:{lr:2}}"], "no_decay and bias both match"),
        (["optimizer=adamw", "objective.batch=99", "objective.drop=true"], "the loader gives no batch"),
    ],
    ids=str,
)
def test_a_mistake_is_answered_in_one_line(run: Callable[..., Any], words: list[str], message: str) -> None:
    """A wrong rule, option or loader ends with code 2, before anything runs."""
    done = run(*words)

    assert (done.code, done.err.count("\n")) == (2, 1), done.err
    assert message in done.err
