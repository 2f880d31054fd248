from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from gdbench.gate.timing.blocks import SharedStateError
from gdbench.gate.timing.controls import HostCounters
from gdbench.gate.timing.dual_import import ImportedTree, TorchStateSnapshot
from gdbench.gate.timing.worker import load_gdbench

Trees = Callable[..., tuple[ImportedTree, ImportedTree]]


@pytest.fixture
def trees(tmp_path: Path) -> Iterator[Trees]:
    """Makes two trees of these files: file name to the texts of base and of head."""
    before = set(sys.modules)

    def make(**files: tuple[str, str]) -> tuple[ImportedTree, ImportedTree]:
        roots = [tmp_path / "base", tmp_path / "head"]
        for side, root in enumerate(roots):
            root.mkdir()
            for name, texts in files.items():
                (root / f"{name}.py").write_text(texts[side].replace("OTHER", str(roots[1 - side])))
        base, head = (ImportedTree(root.name, root, [str(root)], roots) for root in roots)
        return base, head

    yield make
    assert not {name for name in set(sys.modules) - before if name.startswith("mine")}, "a tree left modules behind"


def test_each_tree_has_its_own_module_of_a_name(trees: Trees) -> None:
    """The same import gives another module in each tree, and none outside; returning to a tree gives its first one."""
    base, head = trees(mine=("SIDE = 'base'", "SIDE = 'head'"))
    modules = []
    for tree in (base, head, base):
        with tree.activate():
            import mine  # type: ignore[import-not-found]

            modules.append(mine)
            assert Path.cwd() == tree.root

    assert [module.SIDE for module in modules] == ["base", "head", "base"]
    assert modules[0] is modules[2]
    assert "mine" not in sys.modules


def test_what_is_imported_late_is_the_sides_own(trees: Trees) -> None:
    """A function that imports when called gets the module of its own tree, whichever side ran before."""
    step = "def step():\n    from mine_late import SIDE\n    return SIDE"
    base, head = trees(mine=(step, step), mine_late=("SIDE = 'base'", "SIDE = 'head'"))
    steps = []
    for tree in (base, head):
        with tree.activate():
            import mine

            steps.append(mine.step)
    said = []
    for turn in (1, 0, 1):
        with (base, head)[turn].activate():
            said.append(steps[turn]())

    assert said == ["head", "base", "head"]


def test_every_tree_has_its_own_gdbench(trees: Trees) -> None:
    """Two trees without a gdbench use the files of the installed one, but each has its own module objects."""
    import gdbench.config.spec as outside

    found = []
    for tree in trees():
        tree.load(load_gdbench)
        with tree.activate():
            import gdbench.config.spec

            found.append(gdbench.config.spec)

    assert len({id(module) for module in (*found, outside)}) == 3
    assert sys.modules["gdbench.config.spec"] is outside


def test_a_tree_that_reaches_into_the_other_is_refused(trees: Trees) -> None:
    """An import from the other tree raises, with the file."""
    base, _ = trees(mine=("import sys\nsys.path.insert(0, r'OTHER')\nimport mine_there", ""), mine_there=("", ""))
    (base.root / "mine_there.py").unlink()

    with pytest.raises(SharedStateError, match="base imported mine_there from the other side"), base.activate():
        import mine  # noqa: F401


def test_a_tree_may_lie_within_the_other(tmp_path: Path) -> None:
    """A worktree inside its repository is not a part of it."""
    inner = tmp_path / ".git" / "worktree"
    inner.mkdir(parents=True)
    for root, side in ((tmp_path, "outer"), (inner, "inner")):
        (root / "mine.py").write_text(f"SIDE = {side!r}")
    said = []
    for root in (tmp_path, inner):
        tree = ImportedTree(root.name, root, [str(root)], [tmp_path, inner])
        with tree.activate():
            import mine

            said.append(mine.SIDE)

    assert said == ["outer", "inner"]


def test_patching_torch_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A function of torch that a side replaces would be used by the other side too."""
    snapshot = TorchStateSnapshot()

    assert snapshot.describe_change() is None
    monkeypatch.setattr(torch.nn.functional, "relu", lambda x: x)
    assert snapshot.describe_change() == "torch.nn.functional.relu was replaced"


def test_host_counters_are_read() -> None:
    """Every counter has its growth, or None if it is not available here."""
    growth = HostCounters().read_growth()

    assert {"steal_ticks", "involuntary_switches", "throttled_periods", "load", "clock_step_s"} <= set(growth)
    assert growth["wall_s"] >= 0
    assert abs(growth["clock_step_s"] or 0) < 1
