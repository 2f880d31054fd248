"""The gate's time layer in a user's repository; ``gate calibrate`` measures its error rates."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from support.repositories import commit, repository  # noqa: E402

SUITE = """
series:
  - {objective: quadratic, optimizer: sound, lr: 0.1, steps: 50}
"""
SLOW = """
    def update(k, grad, state, x):
        for _ in range(5 if CHANGED else 0):
            hash(tuple(range(40)))
"""


def gate(folder: Path, *words: str) -> tuple[int, dict[str, dict[str, Any]]]:
    """The exit code of a gate, and its findings by layer."""
    command = [sys.executable, "-m", "gdbench", "gate", "--config-dir", "mine", "--quiet", *words]
    done = subprocess.run(command, cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT)})
    report = json.loads(max(folder.glob("outputs/gate/*/gate.json")).read_text())
    return done.returncode, {finding["layer"]: finding for finding in report["findings"]}


def test_a_slower_commit_fails_and_a_harmless_one_passes(tmp_path: Path) -> None:
    """Slower in Python alone: exact measures are the same, the time is not, and that is said."""
    repository(tmp_path, SUITE)
    own = tmp_path / "mine" / "own.py"
    own.write_text(own.read_text().replace("\n    def update(k, grad, state, x):\n", SLOW, 1))
    commit(tmp_path, "no slower yet")
    harmless = gate(tmp_path)
    own.write_text(own.read_text().replace("CHANGED = False", "CHANGED = True"))
    commit(tmp_path, "slower")
    slower = gate(tmp_path)
    words = [sys.executable, "-m", "gdbench", "gate", "bisect", "HEAD~2", "--config-dir", "mine", "--layer", "time"]
    done = subprocess.run(
        words, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True
    )

    assert harmless[0] == 0
    assert harmless[1]["time"]["verdict"] == "no slower"
    assert slower[0] == 1
    assert slower[1]["exact"]["verdict"] == "same"
    assert slower[1]["time"]["verdict"] == "slower"
    assert "ops per step: same" in slower[1]["time"]["cause"]
    assert done.stdout.splitlines()[0].endswith(" slower"), done.stderr
