"""The time layer on real trees: a user's repository, two processes or one, and a few blocks of each."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from support.leftovers import list_children
from support.processes import Processes, Streams

from gdbench.gate.series import Series, SourceTree
from gdbench.gate.timing.calibration import calibrate
from gdbench.gate.timing.scheduler import compare_times
from gdbench.gate.timing.settings import TimingSettings
from gdbench.gate.timing.verdicts import TimeReport
from gdbench.gate.timing.worker import WORKER
from gdbench.report.gate import describe_calibration

ROOT = Path(__file__).parents[2]
FEW = TimingSettings(
    looks=(3,),
    alphas=(0.05,),
    confirmations=2,
    beta=0.2,
    family_alpha=0.1,
    max_quads=6,
    min_quads=2,
    warm_steps=3,
    null_series=1,
    rounds_per_process=9,
    control_zone=0.5,
    long_quads=2,
)
"""Enough to see a step that takes three times as long."""
METHOD = """
import torch
from gdbench.optimizers import first_order

def plain(lr):
    def update(k, grad, state, x):
        {more}
        return x - lr * grad, state
    return first_order(lambda x: (), update)
"""
YAML = "# Mine\nmanual: {_target_: my_method.plain}\ntorch: null\ndefault_lr: 0.1\n"
MORE = "for _ in range({count}): grad = grad + 0.0"
SERIES = Series(
    "plain manual rosenbrock float64",
    (("objective", "rosenbrock"), ("optimizer", "plain"), ("impl", "manual"), ("dtype", "float64"), ("lr", 1e-4)),
    d0=0.3,
    d1=0.9,
    code="mine",
)
Trees = Callable[[str, str], tuple[SourceTree, SourceTree]]


@pytest.fixture
def trees(tmp_path: Path) -> Trees:
    """Makes the two trees of a user whose optimizer has these extra lines in base and in head."""

    def make(*lines: str) -> tuple[SourceTree, SourceTree]:
        sides = []
        for label, more in zip(("base", "head"), lines, strict=True):
            folder = tmp_path / label / "mine" / "optimizer"
            folder.mkdir(parents=True)
            (folder.parent / "my_method.py").write_text(METHOD.format(more=more))
            (folder / "plain.yaml").write_text(
                "# Mine\nmanual: {_target_: my_method.plain}\ntorch: null\ndefault_lr: 0.1\n"
            )
            sides.append(SourceTree(tmp_path / label, label))
        return sides[0], sides[1]

    return make


def workers() -> list[str]:
    """The living worker processes that this one has started."""
    return [line for line in list_children() if str(WORKER) in line]


def list_verdicts(report: TimeReport) -> dict[str, str]:
    """The verdict of each series, or why there is none."""
    return {**{timing.name: timing.verdict for timing in report.series}, **report.unmeasured}


@pytest.mark.slow
def test_a_users_slower_optimizer_is_found_and_nothing_else(trees: Trees) -> None:
    """The same module in both trees: head's does more work, which is slower and confirmed; gd is unchanged."""
    base, head = trees("pass", MORE.format(count=100))
    same = replace(SERIES, name="gd", settings=(("objective", "rosenbrock"), ("optimizer", "gd"), ("lr", 1e-4)))
    lacking = replace(SERIES, name="none", settings=(*SERIES.settings, ("impl", "torch")))
    off = replace(SERIES, name="off", policy="off")
    words: list[str] = []
    report = compare_times(
        [SERIES, same, lacking, off], base, head, FEW, lambda text, share: words.append(text), detectable={}
    )
    slower = report.series[0]

    assert list_verdicts(report) == {SERIES.name: "slower", "gd": "no slower", "none": report.unmeasured["none"]}
    assert "has no torch implementation" in report.unmeasured["none"]
    assert slower.confirmed
    assert slower.ratio > 1.5
    assert slower.head_s > 1.3 * slower.base_s
    assert report.mode == "one process"
    assert [timing.name for timing in report.nulls] == [SERIES.name]
    assert {timing.name for timing in report.controls} == {"overhead", "memory"}
    assert report.contaminated is None
    assert len(report.counters) == 3 + FEW.confirmations
    assert words[0] == "composing"
    assert words[-1].startswith("confirming 1 slower")
    assert not list(base.root.rglob("__pycache__")), "a tree is the user's"
    assert not workers()


@pytest.mark.slow
def test_sides_that_change_torch_are_measured_apart(trees: Trees) -> None:
    """A base that replaces a function of torch gets a process of its own, and the report says why."""
    base, head = trees("pass", "pass")
    method = base.root / "mine" / "my_method.py"
    method.write_text(method.read_text() + "\ntorch.nn.functional.relu = lambda x: x\n")
    report = compare_times([SERIES], base, head, replace(FEW, null_series=0, looks=(2,)), detectable={})

    assert report.mode == "two processes: torch.nn.functional.relu was replaced"
    assert list_verdicts(report) in ({SERIES.name: "no slower"}, {SERIES.name: "faster"}, {SERIES.name: "undecided"})


@pytest.mark.slow
def test_a_worker_whose_gate_was_killed_ends_and_clears_up(processes: Processes, tmp_path: Path) -> None:
    """Without a gate at the other end of its pipes a worker ends and removes the folder of bytecode."""
    cache = tmp_path / "cache"
    cache.mkdir()
    tree = {"label": "head", "root": str(ROOT), "path": [str(ROOT)]}
    request = {"do": "open_trees", "trees": [tree], "settings": asdict(FEW), "cache": str(cache)}
    asked = Streams(json.dumps(request) + "\n")
    done = processes.start_python("-P", WORKER, cwd=tmp_path, streams=asked).communicate()

    assert done.code == 0, done.err
    assert set(json.loads(done.out)["answer"]) == {"torch", "python", "cpu", "cores", "capability"}
    assert not cache.exists()


@pytest.mark.slow
def test_the_calibration_on_a_real_tree(trees: Trees) -> None:
    """Head against itself gives no alarm; an injected slowdown is detected, and its size measured beside it."""
    _, head = trees("pass", "pass")
    result = calibrate([SERIES], head, rounds=FEW.looks[0] + FEW.confirmations, sizes=(3.0,), settings=FEW)

    assert (result.comparisons, result.false_alarms, result.rounds) == (1, 0, 5)
    assert [(one.requested, one.comparisons, one.slower) for one in result.injected] == [(3.0, 1, 1)]
    assert 1.0 < result.injected[0].size < 6.0
    assert set(result.detectable_slowdown) == {SERIES.name}
    assert result.fingerprint["python"] == ".".join(map(str, sys.version_info[:3]))
    assert "0 false alarms" in describe_calibration(result)[0]
