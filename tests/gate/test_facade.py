from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from gdbench.gate import facade
from gdbench.gate.baseline import FROZEN_NAMES
from gdbench.gate.exact_measures import EVERYWHERE
from gdbench.gate.probe import find_facade
from gdbench.gate.timing.dual_import import ImportedTree

GATE = Path(facade.__file__).parent
Side = Callable[..., Any]
REQUEST = (["objective=quadratic", "optimizer=gd"], ["lr=0.1", "steps=5"])


@pytest.fixture
def side(tmp_path: Path) -> Side:
    """Activates a tree whose gdbench has these files: path to text."""

    @contextmanager
    def activate(**files: str) -> Iterator[None]:
        for name, text in {"__init__": "", **files}.items():
            file = tmp_path / "gdbench" / f"{name.replace('__in__', '/')}.py"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        tree = ImportedTree("base", tmp_path, [str(tmp_path)], [])
        with tree.activate():
            yield

    return activate


def test_a_run_by_the_facade_alone() -> None:
    """Compose, parse, build, run, descend: five steps are seen, and columns have the frozen names."""
    (composed,) = facade.compose([REQUEST])
    assert isinstance(composed, dict)
    built = facade.build(facade.parse(composed))
    columns = facade.run(built)
    solo = built.seeded_solo()
    losses: list[float] = []
    facade.descend(solo, solo.start(), range(solo.steps), look=lambda x, loss: losses.append(loss))

    assert set(columns) >= {"status", "final_loss", "hit_1e-06", "steps_to_settle"}
    assert len(losses) == 5
    assert losses[0] == columns["start_loss"]


def test_a_baseline_knows_every_column_that_was_renamed() -> None:
    """A compared column of an experiment's table is read by the name that the gate has for it."""
    renamed = {column: name for name, column in facade.COLUMNS.items() if name != column}

    assert {column: name for column, name in renamed.items() if name in EVERYWHERE} == FROZEN_NAMES


def test_what_cannot_be_composed_is_answered_by_its_error() -> None:
    """The other requests are still composed, in their order."""
    wrong, right = facade.compose([([], ["objective=nowhere"]), REQUEST])

    assert isinstance(wrong, Exception)
    assert isinstance(right, dict)


def test_a_side_with_another_version_of_the_facade_is_refused(side: Side) -> None:
    """Its names may have other meanings: it raises."""
    with side(gate__in____init__="", gate__in__facade="VERSION = 2"), pytest.raises(ImportError, match="version 2"):
        find_facade()


@pytest.mark.parametrize("files", [{}, {"gate__in____init__": ""}])
def test_a_side_of_before_the_facade_is_refused(side: Side, files: dict[str, str]) -> None:
    """A base that is older than the facade cannot be used: the reason says so."""
    with side(**files), pytest.raises(ImportError, match=r"has no gdbench\.gate\.facade.* older"):
        find_facade()


def test_a_facade_that_cannot_be_imported_is_not_taken_for_a_missing_one(side: Side) -> None:
    """A broken import behind a side's facade is reported as such, and not taken for a missing facade."""
    broken = {"gate__in____init__": "", "gate__in__facade": "import a_package_that_is_gone"}
    with side(**broken), pytest.raises(ModuleNotFoundError, match="a_package_that_is_gone"):
        find_facade()


def imports(file: Path) -> set[str]:
    """The modules of gdbench that a file imports."""
    nodes = list(ast.walk(ast.parse(file.read_text())))
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {str(node.module) for node in nodes if isinstance(node, ast.ImportFrom)}
    return {name for name in names if name.startswith("gdbench")}


def test_a_side_is_used_through_its_facade_alone() -> None:
    """The probe imports no module of gdbench, and the workload only the gate's."""
    workload = imports(GATE / "timing" / "workload.py")

    assert not imports(GATE / "probe.py")
    assert not {name for name in workload if not name.startswith("gdbench.gate.")}
