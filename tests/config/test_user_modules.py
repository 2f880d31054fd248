"""What runs is what the files hold now, and what is recorded is what ran, however long the process lives."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import gdbench
from gdbench.config.user_modules import digest_source, import_from
from gdbench.engine.objective_factory import load_objective

STEEP = """
import torch
from gdbench.objectives import Objective
import {helper}

def steep():
    return Objective(fn=lambda x: {helper}.FACTOR * (x**2).sum(), start=torch.ones(2).double())
"""
WORDS = ("objective=steep", "steps=2", "timing=off", "name=mine", "-m")


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Outputs and the changes of sys.path and sys.modules are the test's own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", False)  # a stale .pyc is a part of what is tested


def folder_of(place: Path, factor: float) -> Path:
    """A configuration folder whose objective multiplies by a number that another module of it holds."""
    (place / "objective").mkdir(parents=True)
    (place / "helping.py").write_text(f"FACTOR = {factor}\n")
    (place / "steepness.py").write_text(STEEP.format(helper="helping"))
    (place / "objective" / "steep.yaml").write_text("_target_: steepness.steep\n")
    return place


def start_loss(runs: Any = None) -> float:
    """The loss at the start of the only run."""
    (loss,) = (gdbench.load() if runs is None else runs)["start_loss"]
    return float(loss)


def test_an_edit_of_a_configuration_folder_is_seen_in_the_same_process(
    command: Callable[..., Any], tmp_path: Path
) -> None:
    """Edited in the same second and to the same length, a helper of an objective makes its cell stale and runs."""
    mine = folder_of(tmp_path / "mine", 1.0)
    lines = []
    for factor in (1.0, 2.0, 2.0):
        (mine / "helping.py").write_text(f"FACTOR = {factor}\n")
        lines.append(command(*WORDS, "--config-dir", str(mine)).err)
        assert start_loss() == 2 * factor

    assert "1 cell: 1 stale (their source or data changed)." in lines[1]
    assert "1 cell: 1 done; nothing to run." in lines[2]


def test_two_folders_may_hold_modules_of_one_name(tmp_path: Path) -> None:
    """Each folder runs its own code, however often they take turns."""
    one, other = folder_of(tmp_path / "one", 1.0), folder_of(tmp_path / "other", 3.0)
    losses = [start_loss(gdbench.run("steep", config_dir=each, steps=1, timing="off")) for each in (one, other, one)]

    assert losses == [2.0, 6.0, 2.0]


def test_a_reloaded_module_is_another_function(tmp_path: Path) -> None:
    """After importlib.reload the cell runs again; without a reload, the edit has not happened, and nothing runs."""
    sys.path.insert(0, str(tmp_path))
    (tmp_path / "reloaded_helper.py").write_text("FACTOR = 1.0\n")
    (tmp_path / "reloaded.py").write_text(
        "import reloaded_helper\n\ndef loss(x):\n    return reloaded_helper.FACTOR * (x**2).sum()\n"
    )
    module = importlib.import_module("reloaded")
    try:
        losses, begun = [], []
        for number, reload in ((1.0, False), (20.0, False), (20.0, True)):
            (tmp_path / "reloaded_helper.py").write_text(f"FACTOR = {number}\n")
            if reload:
                importlib.reload(sys.modules["reloaded_helper"])
            runs = gdbench.run(module.loss, x0=[1.0, 1.0], lr=1e-3, steps=1, timing="off", name="mine")
            losses.append(start_loss(runs))
            begun.append(runs["started_at"][0])
    finally:
        for name in ("reloaded", "reloaded_helper"):
            sys.modules.pop(name, None)

    assert losses == [2.0, 2.0, 40.0]
    assert begun[0] == begun[1] != begun[2]


def test_autoreload_is_a_reload(tmp_path: Path) -> None:
    """What IPython's %autoreload has put into a module, at the same length too, is what runs and what is recorded."""
    autoreload = pytest.importorskip("IPython.extensions.autoreload")
    sys.path.insert(0, str(tmp_path))
    file, source = tmp_path / "autoreloaded.py", "def loss(x):\n    return {} * (x**2).sum()\n"
    file.write_text(source.format("1.0"))
    module = importlib.import_module("autoreloaded")
    try:
        first = gdbench.run(module.loss, x0=[1.0, 1.0], lr=1e-3, steps=1, timing="off", name="mine")
        file.write_text(source.format("20.0"))
        autoreload.superreload(module)
        second = gdbench.run(module.loss, x0=[1.0, 1.0], lr=1e-3, steps=1, timing="off", name="mine")
    finally:
        sys.modules.pop("autoreloaded", None)

    assert [start_loss(first), start_loss(second)] == [2.0, 40.0]
    assert first["cell_fingerprint"][0] != second["cell_fingerprint"][0]


HELD = ("data", "closure", "start", "minimum")


@pytest.mark.slow
def test_a_data_file_that_changes_makes_its_cell_stale(tmp_path: Path) -> None:
    """Wherever an objective puts what it reads from a file, its cell runs again when the file has changed."""
    mine = folder_of(tmp_path / "mine", 1.0)
    (mine / "reading.py").write_text(
        "import torch\nfrom pathlib import Path\nfrom gdbench.objectives import Objective\n\n"
        "def reads(held):\n"
        "    read = torch.tensor(float((Path(__file__).parent / 'number.txt').read_text()))\n"
        "    given = {'start': torch.ones(2).double(), 'fn': lambda x, a=1.0: a * (x**2).sum()}\n"
        "    given |= {\n"
        "        'data': {'data': {'a': read}}, 'start': {'start': read * torch.ones(2)},\n"
        "        'closure': {'fn': lambda x: read * (x**2).sum()}, 'minimum': {'minimum': -float(read)},\n"
        "    }[held]\n"
        "    return Objective(**given)\n"
    )
    for held in HELD:
        (mine / "objective" / f"{held}.yaml").write_text(f"_target_: reading.reads\nheld: {held}\n")
    began = []
    for number in ("1.0", "2.0", "2.0"):
        (mine / "number.txt").write_text(number)
        runs = gdbench.sweep([*HELD, "steep"], config_dir=mine, steps=2, timing="off", name="mine")
        began.append(runs.set_index("objective")["started_at"])

    assert (began[0] != began[1]).to_dict() == {**dict.fromkeys(HELD, True), "steep": False}
    assert (began[1] == began[2]).all()


def test_what_is_recorded_is_what_ran(tmp_path: Path) -> None:
    """A source that is edited while its sweep runs is recorded as it was when it was imported, and is stale then."""
    mine = folder_of(tmp_path / "mine", 1.0)
    (mine / "steepness.py").write_text(
        "import torch\nfrom pathlib import Path\nfrom gdbench.objectives import Objective\nimport helping\n\n"
        "def fn(x):\n"
        "    (Path(__file__).parent / 'helping.py').write_text('FACTOR = 9.0\\n')\n"
        "    return helping.FACTOR * (x**2).sum()\n\n"
        "def steep():\n    return Objective(fn=fn, start=torch.ones(2).double())\n"
    )
    asked = {"config_dir": mine, "optimizer": ["gd", "momentum"], "steps": 2, "timing": "off", "name": "mine"}
    first = gdbench.sweep("steep", **asked)
    recorded = json.loads((Path(first.attrs["folder"]) / "environment.json").read_text())["sources"]["helping"]
    second = gdbench.sweep("steep", **asked)
    again = json.loads((Path(first.attrs["folder"]) / "environment_2.json").read_text())["sources"]["helping"]

    assert first["start_loss"].tolist() == [2.0, 2.0]
    assert second["start_loss"].tolist() == [18.0, 18.0]
    assert recorded == digest_source(b"FACTOR = 1.0\n")
    assert again == digest_source(b"FACTOR = 9.0\n")
    assert second.attrs["folder"] == first.attrs["folder"]


def test_a_users_own_import_of_the_module_is_left_alone(tmp_path: Path) -> None:
    """A module that was imported before stays what it was, and can be reloaded afterwards."""
    mine = folder_of(tmp_path / "mine", 1.0)
    sys.path.insert(0, str(mine))
    module = importlib.import_module("helping")
    try:
        module.FACTOR = 5.0  # of this process alone: a cell runs what its files say
        runs = gdbench.run("steep", config_dir=mine, steps=1, timing="off")

        assert start_loss(runs) == 2.0
        assert sys.modules["helping"] is module
        assert importlib.reload(module).FACTOR == 1.0
        assert "steepness" not in sys.modules
    finally:
        sys.modules.pop("helping", None)


def test_a_module_that_was_edited_after_its_import_is_not_recorded_as_the_edit(tmp_path: Path) -> None:
    """A module outside of the folder that is older than its file has a digest of its own, until it is reloaded."""
    sys.path.insert(0, str(tmp_path))
    place = folder_of(tmp_path / "mine", 1.0)
    (place / "helping.py").rename(tmp_path / "outside.py")
    (place / "steepness.py").write_text(STEEP.format(helper="outside"))
    module = importlib.import_module("outside")
    try:
        (tmp_path / "outside.py").write_text("FACTOR = 20.0\n")
        recorded, losses = [], []
        for _ in range(2):
            runs = gdbench.run("steep", config_dir=place, steps=1, lr=1e-3, timing="off", name="mine")
            environments = sorted(Path(runs.attrs["folder"]).glob("environment*.json"), key=lambda file: len(file.name))
            recorded.append(json.loads(environments[-1].read_text())["sources"]["outside"])
            losses.append(start_loss(runs))
            importlib.reload(module)
    finally:
        sys.modules.pop("outside", None)

    assert losses == [2.0, 40.0]
    assert recorded[0] not in {digest_source(f"FACTOR = {factor}\n".encode()) for factor in (1.0, 20.0)}
    assert recorded[1] == digest_source(b"FACTOR = 20.0\n")


def test_packages_and_installed_modules_keep_their_names(tmp_path: Path) -> None:
    """A package of a folder is imported with its submodules; a folder cannot replace what is installed."""
    for name, number in (("one", 1), ("other", 2)):
        place = tmp_path / name / "inner"
        place.mkdir(parents=True)
        (place / "__init__.py").write_text("from inner.deep import NUMBER\n")
        (place / "deep.py").write_text(f"NUMBER = {number}\n")
        (place.parent / "json.py").write_text("raise RuntimeError\n")
        (place.parent / "numpy.py").write_text("raise RuntimeError\n")
    numbers = []
    for name in ("one", "other", "one"):
        with import_from(str(tmp_path / name)):
            numbers.append(importlib.import_module("inner").NUMBER)
            numbers.append(importlib.import_module("inner.deep").NUMBER)
            assert importlib.import_module("json") is json
            assert hasattr(importlib.import_module("numpy"), "ndarray")

    assert numbers == [1, 1, 2, 2, 1, 1]
    assert "inner" not in sys.modules


def test_arguments_that_python_takes_for_equal_make_objectives_of_their_own() -> None:
    """1, 1.0 and true are equal and have one hash; an objective is made for each, as is one for a list."""
    made = [load_objective(question_of("gdbench.objectives.quadratic", n=2, smoothness=value)) for value in (1, 1.0, 1)]

    assert made[0] is made[2]
    assert made[0] is not made[1]


def question_of(target: str, **arguments: Any) -> Any:
    """A question about an objective."""
    from dataclasses import replace

    from support.folding import folded

    (job,) = folded("timing=off")
    return replace(job.spec, objective_config={"_target_": target, **arguments})


def test_what_an_import_sets_in_torch_holds_for_the_cells_that_name_it(tmp_path: Path) -> None:
    """A module that sets the default dtype when it is imported does so for its own cells, and for no others."""
    mine = folder_of(tmp_path / "mine", 1.0)
    for name, line in (("exact", "torch.set_default_dtype(torch.float64)"), ("rounded", "")):
        (mine / f"{name}.py").write_text(
            f"import torch\nfrom gdbench.objectives import Objective\n{line}\n"
            f"def {name}():\n"
            "    return Objective(fn=lambda x: (x**2).sum() * torch.tensor(1.1).double(), start=torch.ones(2))\n"
        )
        (mine / "objective" / f"{name}.yaml").write_text(f"_target_: {name}.{name}\n")
    for names in (["exact", "rounded"], ["rounded", "exact"]):
        runs = gdbench.sweep(names, config_dir=mine, dtype="float64", steps=1, timing="off")

        losses = runs.groupby("objective")["start_loss"].first().to_dict()
        assert losses == {"exact": 2.2, "rounded": 2 * float(torch.tensor(1.1))}
    assert torch.get_default_dtype() == torch.float32
