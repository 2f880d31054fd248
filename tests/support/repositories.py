"""A user's repository, made from nothing: one folder with optimizers of their own, and the series that gate them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from gdbench.engine.git import read_git

OWN = """
import torch
from gdbench.optimizers import first_order

print("what a user's code prints is no answer")
CHANGED = False


def adam(lr, inside=False, biased=False, rounds=None, factor=1.0):
    def update(k, grad, state, x):
        mean, square = 0.9 * state[0] + 0.1 * grad, 0.999 * state[1] + 0.001 * grad * grad
        top, low = (mean, square) if biased else (mean / (1 - 0.9 ** (k + 1)), square / (1 - 0.999 ** (k + 1)))
        below = (low + 1e-8).sqrt() if inside else low.sqrt() + 1e-8
        return x - factor * lr * top / below, (mean, square)

    return first_order(lambda x: (torch.zeros_like(x), torch.zeros_like(x)), update)


def sound(lr):
    return adam(lr)


def eps_in_root(lr):
    return adam(lr, inside=CHANGED)


def no_bias_correction(lr):
    return adam(lr, biased=CHANGED)


def lr_more(lr):
    return adam(lr, factor=1.01 if CHANGED else 1.0)


def lr_less(lr):
    return adam(lr, factor=0.99 if CHANGED else 1.0)


def heavy_ball(lr):
    def update(k, grad, buffer, x):
        after = 0.9 * buffer + grad
        return x - lr * (buffer if CHANGED else after), after

    return first_order(torch.zeros_like, update)


def clone(lr):
    def update(k, grad, state, x):
        grad = grad.clone() if CHANGED else grad
        return x - lr * grad, state

    return first_order(lambda x: (), update)


def upcast(lr):
    def update(k, grad, state, x):
        return x - torch.tensor([lr], dtype=torch.float64 if CHANGED else x.dtype) * grad, state

    return first_order(lambda x: (), update)


def graph_break(lr):
    def update(k, grad, state, x):
        if CHANGED:
            torch._dynamo.graph_break()
        return x - lr * grad, state

    return first_order(lambda x: (), update)
"""

NAMES = (
    *("sound", "eps_in_root", "no_bias_correction", "lr_more", "lr_less"),
    *("heavy_ball", "clone", "upcast", "graph_break"),
)

SUITE = """
defaults: {steps: 120}
series:
  - {objective: rosenbrock, optimizer: [sound, eps_in_root, no_bias_correction], lr: 0.1, dtype: float64}
  - {objective: quadratic, objective.rotated: false, optimizer: [lr_more, lr_less, heavy_ball, clone, upcast], lr: 0.1}
  - {objective: quadratic, objective.rotated: false, optimizer: graph_break, impl: compiled, lr: 0.3}
"""


def git(folder: Path, *words: str) -> str:
    """What a git command prints, also where the tests themselves run in a hook; without git the test is skipped."""
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    identity = ("-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "init.defaultBranch=main")
    return read_git(folder, *identity, *words)


def commit(folder: Path, message: str = "a change") -> str:
    """Commit all that there is; returns the commit."""
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--allow-empty", "--message", message)
    return git(folder, "rev-parse", "HEAD")


def repository(folder: Path, suite: str = SUITE) -> Path:
    """A repository with one commit on main: optimizers, and a suite."""
    mine = folder / "mine"
    for name in ("optimizer", "gate"):
        (mine / name).mkdir(parents=True)
    (mine / "own.py").write_text(OWN)
    for name in NAMES:
        (mine / "optimizer" / f"{name}.yaml").write_text(
            f"# My {name}\nmanual: {{_target_: own.{name}}}\ntorch: null\ndefault_lr: 0.1\n"
        )
    (mine / "gate" / "default.yaml").write_text(suite)
    git(folder, "init", "--quiet")
    commit(folder, "the beginning")
    return folder


def change(folder: Path) -> None:
    """Put its defect into every optimizer but ``sound``."""
    own = folder / "mine" / "own.py"
    own.write_text(own.read_text().replace("CHANGED = False", "CHANGED = True"))


def findings(folder: Path) -> dict[str, dict[str, Any]]:
    """The latest report of a repository, by optimizer."""
    told = json.loads(max(folder.glob("outputs/gate/*/gate.json")).read_text())
    return {finding["series"].split()[0]: finding for finding in told["findings"]}
