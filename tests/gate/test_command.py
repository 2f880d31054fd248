"""The gate in a user's repository, end to end: findings, exit codes, usage errors, and a gate that is killed."""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pandas as pd
import pytest
from support.processes import Processes
from support.repositories import change, commit, findings, git, repository

ROOT = Path(__file__).parents[2]
FEW = """
defaults: {steps: 20, lr: 0.1, objective: quadratic}
series:
  - {optimizer: [sound, clone]}
"""


EXACT = ("--config-dir", "mine", "--time", "off")


def test_a_defect_is_found_and_named(gate: Callable[..., Any], tmp_path: Path) -> None:
    """Of two optimizers one now clones its gradient: the gate fails that one and names the added operation."""
    repository(tmp_path, FEW)
    change(tmp_path)
    done = gate(*EXACT)
    found = findings(tmp_path)

    assert done.code == 1, done.err
    assert {name: finding["verdict"] for name, finding in found.items()} == {"sound": "same", "clone": "worse"}
    assert re.search(r"ops per step: \d+ -> \d+ \(\+1 clone\)", found["clone"]["cause"])
    assert "FAILED (exit 1)" in done.out
    assert git(tmp_path, "worktree", "list").count("\n") == 0
    assert list((tmp_path / ".git" / "gdbench-gate").iterdir()) == []


@pytest.mark.slow
def test_every_defect_is_found_and_named(gate: Callable[..., Any], tmp_path: Path, monkeypatch: Any) -> None:
    """Of nine optimizers eight have a defect: the gate fails these, for the right cause, until they are accepted."""
    repository(tmp_path)
    change(tmp_path)
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    done = gate(*EXACT)
    found = findings(tmp_path)
    why = {name: finding["cause"] for name, finding in found.items()}

    assert done.code == 1, done.err
    assert {name for name, finding in found.items() if finding["fails"]} == set(found) - {"sound"}
    assert found["sound"]["verdict"] == "same"
    assert {found[name]["verdict"] for name in ("eps_in_root", "no_bias_correction")} == {"changed"}
    assert {found[name]["verdict"] for name in ("heavy_ball", "clone", "upcast", "graph_break")} == {"worse"}
    for name in ("eps_in_root", "no_bias_correction", "lr_more", "lr_less", "heavy_ball", "upcast"):
        assert "first differs at step 1" in why[name]
    assert re.search(r"ops per step: \d+ -> \d+ \(\+1 clone\)", why["clone"])
    assert "steps to 1e-1: never -> " in why["no_bias_correction"]
    assert "dtype of x: float32 -> float32 then float64" in why["upcast"]
    assert "unavailable (torch.compile: Unsupported: " in why["graph_break"]
    assert "exact   1 same" in done.out
    assert "FAILED (exit 1)" in done.out
    assert done.err.count("::error title=gate") == 8
    assert "**worse**" in (tmp_path / "summary.md").read_text()
    folder = (tmp_path / done.out.rpartition("report: ")[2].strip()).parent
    assert len(ElementTree.parse(folder / "gate.xml").findall(".//failure")) == 8
    assert pd.read_parquet(folder / "gate.parquet")["fails"].sum() == 8
    assert git(tmp_path, "worktree", "list").count("\n") == 0

    assert gate("accept", "*", "--reason", "meant").code == 0
    again = gate(*EXACT, "--only", "clone *", "--only", "eps*")

    assert again.code == 0
    assert {finding["forgiven"] for finding in findings(tmp_path).values()} == {"accepted: meant"}


@pytest.mark.slow
def test_a_harmless_commit_passes_and_nothing_is_left(gate: Callable[..., Any], tmp_path: Path) -> None:
    """On a clean main the base is the first parent; a commit that changes no number passes, also by a baseline."""
    repository(tmp_path, FEW)
    (tmp_path / "notes.txt").write_text("harmless")
    commit(tmp_path)
    done = gate(*EXACT)

    assert done.code == 0, done.err
    assert "(first parent) against your working tree" in done.out
    assert "exact   2 same" in done.out
    assert git(tmp_path, "status", "--porcelain") == ""
    assert list((tmp_path / ".git" / "gdbench-gate").iterdir()) == []

    recorded = gate("save-baseline", "--config-dir", "mine")
    lines = (tmp_path / "gate" / "baseline.csv").read_text().splitlines()
    change(tmp_path)
    worse = gate(*EXACT, "--baseline", "gate/baseline.csv")

    assert recorded.code == 0
    assert lines[1:] == sorted(lines[1:])
    assert worse.code == 1
    assert findings(tmp_path)["clone"]["verdict"] == "worse"
    assert findings(tmp_path)["sound"]["verdict"] == "same"


@pytest.mark.slow
def test_what_is_no_longer_there_never_passes(gate: Callable[..., Any], tmp_path: Path) -> None:
    """A removed optimizer and a series removed from the suite are missing, a new one passes; together: exit 4."""
    repository(tmp_path, FEW)
    suite = tmp_path / "mine" / "gate" / "default.yaml"
    suite.write_text(FEW.replace("[sound, clone]", "[sound, late]") + "  - {optimizer: upcast, label: gone}\n")
    own = tmp_path / "mine" / "own.py"
    own.write_text(own.read_text().replace("def upcast", "def renamed") + "\n\ndef late(lr):\n    return sound(lr)\n")
    yaml = (tmp_path / "mine" / "optimizer" / "sound.yaml").read_text()
    (tmp_path / "mine" / "optimizer" / "late.yaml").write_text(yaml.replace("sound", "late"))
    done = gate(*EXACT)
    found = findings(tmp_path)

    assert done.code == 4, done.err
    assert {name: finding["verdict"] for name, finding in found.items()} == {
        "sound": "same",
        "late": "new",
        "upcast": "missing",
        "clone": "missing",
    }
    assert "own.upcast cannot be imported" in found["upcast"]["cause"]
    assert found["clone"]["cause"] == "the base's suite holds it, yours does not"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--allow"], 2, "No such option"),
        (["--time", "of"], 2, "Did you mean off"),
        (["--suite", "defalt"], 2, "Did you mean default"),
        (["--only", "nothing"], 2, "fits none of 2 series"),
        (["--base", "nowhere"], 2, "names no commit"),
        (["--base", "HEAD"], 4, "nothing to compare"),
        (["--base-python", "mine/own.py"], 2, "is no program"),
        (["--baseline", "mine/own.py"], 2, "cannot be read"),
        (["accept", "*", "--reason", "so"], 2, "holds no report"),
        (["--config-dir", ".."], 2, "must lie in the repository"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_mistakes_are_one_line(
    gate: Callable[..., Any], tmp_path: Path, words: list[str], code: int, said: str
) -> None:
    """A comparison that is not possible is refused in one line, with its exit code, before anything runs."""
    repository(tmp_path, FEW)
    done = gate(*([] if words[0] == "accept" else EXACT), *words)

    assert done.code == code
    assert said in done.err
    assert done.err.count("\n") == 1


def inside(folder: Path) -> list[int]:
    """Processes whose current directory is inside a folder."""
    found = []
    for place in Path("/proc").glob("[0-9]*/cwd"):
        try:
            if place.readlink().is_relative_to(folder):
                found.append(int(place.parent.name))
        except OSError:  # it has ended, or is not ours
            continue
    return found


def timing() -> list[int]:
    """Worker processes of the time layer."""
    return [pid for pid in inside(Path("/")) if b"timing/worker.py" in command_line(pid)]


def command_line(pid: int) -> bytes:
    """The command line of a process; empty once it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/cwd").exists(), reason="looks for processes in /proc")
@pytest.mark.parametrize(
    ("kind", "stage"),
    [
        (signal.SIGKILL, "the worktree is made"),
        (signal.SIGKILL, "both sides run"),
        (signal.SIGINT, "both sides run"),
        (signal.SIGKILL, "times are taken"),
        (signal.SIGINT, "times are taken"),
    ],
    ids=str,
)
def test_a_killed_gate_leaves_nothing(processes: Processes, tmp_path: Path, kind: signal.Signals, stage: str) -> None:
    """No worktree, no process and no report is left a moment later."""
    repository(tmp_path, FEW)
    change(tmp_path)
    words = ["-m", "gdbench", "gate", "--config-dir", "mine", "--only", "sound *"]
    earlier = timing()
    killed = processes.fork(*words, cwd=tmp_path)
    place = tmp_path / ".git" / "gdbench-gate"
    # the gate, its keeper and both probes; or the keeper alone
    begun = {
        "the worktree is made": lambda: place.exists() and any(place.iterdir()),
        "both sides run": lambda: len(inside(tmp_path)) >= 4,
        "times are taken": lambda: set(timing()) - set(earlier),
    }
    wait_until(begun[stage])
    killed.send_signal(kind)
    done = killed.communicate()

    assert processes.wait_for_all() == []
    assert not list(place.iterdir())
    assert done.code == {signal.SIGKILL: -9, signal.SIGINT: 130}[kind]
    assert "Traceback" not in done.err
    assert git(tmp_path, "worktree", "list").count("\n") == 0
    assert not (tmp_path / "outputs").exists()


def wait_until(true: Callable[[], Any]) -> None:
    """Wait until the condition is true, for a minute at most."""
    for _ in range(1200):
        if true():
            return
        time.sleep(0.05)
    raise AssertionError("it did not come")
