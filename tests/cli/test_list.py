"""The verb ``list`` with a name: what is known of one objective or optimizer, and names by their parts."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.tiers import representatives

from gdbench.config.schema import IMPLS

ROOT = Path(__file__).parents[2]


def list_names(group: str) -> list[str]:
    """The shipped options of a group."""
    return sorted(path.stem for path in ROOT.glob(f"conf/{group}/*.yaml"))


def read_entry(command: Callable[..., Any], *words: str) -> dict[str, Any]:
    """What ``list ... --json`` says of one name."""
    done = command("list", *words, "--json")
    assert (done.code, done.err) == (0, "")
    entry = json.loads(done.out)
    assert isinstance(entry, dict)
    return entry


@pytest.mark.parametrize("name", representatives(list_names("objective"), ["rosenbrock", "digits_mlp"]))
def test_every_objective_says_what_it_is(command: Callable[..., Any], name: str) -> None:
    """An objective's entry has its dimension, start, minimum, dtype and settings, as they stand in its file."""
    entry = read_entry(command, "objectives", name)
    file = (ROOT / "conf" / "objective" / f"{name}.yaml").read_text()

    assert entry["name"] == name
    assert entry["dimension"] >= 1
    assert entry["start"]
    assert entry["minimum"] == "unknown" or entry["minimum_kind"] in ("exact", "computed", "lower_bound")
    assert set(entry["settings"]) == {f"objective.{key}" for key in re.findall(r"^([a-z]\w*):", file, re.MULTILINE)}


@pytest.mark.parametrize("name", representatives(list_names("optimizer"), ["adam", "lbfgs"]))
def test_every_optimizer_says_what_carries_it_out(command: Callable[..., Any], name: str) -> None:
    """An optimizer's entry has its default lr, its settings, and every implementation with a function or a reason."""
    entry = read_entry(command, "optimizers", name)
    implementations = entry["implementations"]

    assert list(implementations) == [impl for impl in IMPLS if impl != "auto"]
    assert any(not text.startswith("unavailable: ") for text in implementations.values())
    assert all(re.fullmatch(r"unavailable: .{10,}|[\w.()]+", text) for text in implementations.values())
    assert entry["default_lr"] is None or entry["default_lr"] > 0


def test_an_entry_is_what_a_run_uses(command: Callable[..., Any]) -> None:
    """The implementations of an entry are those of the rows of runs, which add whether they are solo or in lanes."""
    entry = read_entry(command, "optimizers", "adam")
    command("optimizer=adam", "impl=manual,foreach,capturable", "device=cpu", "timing=off", "steps=2", "lr=0.1")
    rows = json.loads(command("show", "--json").out)
    implementations = {row["impl"]: str(row["implementation"]).partition(",")[0] for row in rows}

    assert implementations["manual"] == entry["implementations"]["manual"]
    assert implementations["foreach"] == entry["implementations"]["foreach"]
    assert entry["implementations"]["capturable"].startswith("unavailable: ")


def test_an_entry_is_printed_as_lines(command: Callable[..., Any]) -> None:
    """The printed entry begins with the description; settings stand as they are typed."""
    lines = command("list", "objectives", "rosenbrock").out.splitlines()

    assert lines[0].startswith("rosenbrock: Rosenbrock: curved valley")
    assert ["objective.n", "2"] in [line.split() for line in lines]
    assert ["dimension", "2"] in [line.split() for line in lines]


def test_a_part_of_names_selects(command: Callable[..., Any]) -> None:
    """A text that is no name lists those that contain it: objectives, optimizers, columns and problems of CUTEst."""
    for kind, part in (("objectives", "bbob_f2"), ("optimizers", "Adam"), ("columns", "gap")):
        names = [row["name"] for row in json.loads(command("list", kind, part, "--json").out)]
        everything = [row["name"] for row in json.loads(command("list", kind, "--json").out)]
        assert names == [name for name in everything if part.lower() in name]
        assert len(names) > 1


def test_an_entry_of_a_users_own_is_built_from_its_folder(command: Callable[..., Any], own: Path) -> None:
    """With --config-dir an own objective and an own optimizer are described as shipped ones are."""
    objective = read_entry(command, "objectives", "bowl", "--config-dir", str(own))
    optimizer = read_entry(command, "optimizers", "sign", "--config-dir", str(own))

    assert (objective["dimension"], objective["settings"]["objective.steepness"]) == (3, "1.0")
    assert optimizer["implementations"]["manual"] == "own_things.sign"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ("objectives", "rosenbrok"),
            "no name contains this. Did you mean rosenbrock? All: python -m gdbench",
        ),
        (("optimizers", "zzz"), "list optimizers zzz: no name contains this. All: python -m gdbench list optimizers"),
        (("columns", "setps"), "no name contains this. Did you mean"),
    ],
)
def test_a_name_that_is_not_there_is_one_line(
    command: Callable[..., Any], words: tuple[str, ...], message: str
) -> None:
    """A text in no name is refused with what it may mean, and where all names stand."""
    done = command("list", *words)

    assert (done.code, done.out) == (2, "")
    assert message in done.err
    assert done.err.count("\n") == 1
