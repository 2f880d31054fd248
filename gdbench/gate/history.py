"""Measures along the commits of a branch: stored as Parquet, one file per report, and searched for change points."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from gdbench.engine.git import read_git
from gdbench.errors import UsageError
from gdbench.results.atomic import replace_atomically

__all__ = ["COLUMNS", "MIN_COMMITS", "add_report", "find_change_points", "find_exact_changes", "find_otava"]
__all__ += ["find_time_changes", "load_history"]

COLUMNS = ("commit", "when", "subject", "fingerprint", "series", "measure", "value", "text")
"""One row per measure: a number in ``value``, or a word (a status, the digest of a trajectory) in ``text``."""
RATIO = "step_time_ratio"
"""The only noisy measure: step time over that of the frozen loop in the same run."""
MIN_AFTER = 6
"""Commits from a change on before it is reported: change points near the end are unreliable."""
MIN_COMMITS = 2 * MIN_AFTER
"""Commits before times are searched at all."""
P_VALUE, MAGNITUDE = "0.001", "0.05"
CHANGE_COLUMNS = ("series", "measure", "fingerprint", "after", "commit", "subject", "base", "head")


def add_report(folder: Path, top: Path, report: Mapping[str, Any]) -> Path:
    """Store the measures of a report for its commit; returns the file. Raises UsageError if it has no commit."""
    commit = report.get("commit")
    if not commit:
        raise UsageError(
            "the latest report is of a tree with changes that are not committed: its numbers have no commit."
        )
    rows = list(_list_measures(report))
    if not rows:
        raise UsageError("the latest report measured nothing: there is no number to store.")
    when, subject = read_git(top, "show", "--no-patch", "--format=%cI%n%s", commit).split("\n", 1)
    shared = {"commit": commit, "when": pd.Timestamp(when).tz_convert("UTC"), "subject": subject}
    shared["fingerprint"] = report["fingerprint"]
    table = pd.DataFrame([{**shared, **row} for row in rows], columns=list(COLUMNS))
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{commit[:12]}-{uuid.uuid4().hex[:8]}.parquet"
    with replace_atomically(file) as beside:
        table.to_parquet(beside)
    return file


def _list_measures(report: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for finding in report["findings"]:
        numbers, series = finding["numbers"], finding["series"]
        if finding["layer"] == "time":
            if numbers.get(RATIO):
                yield {"series": series, "measure": RATIO, "value": numbers[RATIO], "text": None}
            continue
        for measure, value in numbers.items():
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            cells = {"value": float(value), "text": None} if is_number else {"value": None, "text": value}
            yield {"series": series, "measure": measure, **cells}


def load_history(folder: Path) -> pd.DataFrame:
    """All rows in the order of the commits; of several reports on one commit and fingerprint the latest counts."""
    files = sorted(folder.glob("*.parquet"), key=lambda file: file.stat().st_mtime)
    if not files:
        raise UsageError(f"{folder} holds no history: add the latest report with python -m gdbench gate history --add.")
    table = pd.concat([pd.read_parquet(file) for file in files], ignore_index=True)
    keys = ["commit", "fingerprint", "series", "measure"]
    return table.drop_duplicates(keys, keep="last").sort_values("when", kind="stable").reset_index(drop=True)


def find_change_points(history: pd.DataFrame) -> pd.DataFrame:
    """Changes of exact measures, and of times if Otava is installed."""
    changes = [find_exact_changes(history)]
    if find_otava():
        changes.append(find_time_changes(history))
    return pd.concat(changes, ignore_index=True)


def find_exact_changes(history: pd.DataFrame) -> pd.DataFrame:
    """Every change of a measure other than time: its commit, and the last one measured before."""
    exact = history[history["measure"] != RATIO]
    changes = []
    for (series, measure, fingerprint), group in exact.groupby(["series", "measure", "fingerprint"], sort=False):
        values = group["text"].where(group["text"].notna(), group["value"]).tolist()
        commits, subjects = group["commit"].tolist(), group["subject"].tolist()
        for at in range(1, len(values)):
            if values[at] != values[at - 1] and not (pd.isna(values[at]) and pd.isna(values[at - 1])):
                where = (commits[at - 1], commits[at], subjects[at])
                changes.append((series, measure, fingerprint, *where, values[at - 1], values[at]))
    return pd.DataFrame(changes, columns=list(CHANGE_COLUMNS))


def find_otava() -> Path | None:
    """Apache Otava's command: beside this interpreter, or on the path (``pipx install apache-otava``)."""
    beside = Path(sys.executable).with_name("otava")
    program = str(beside) if beside.is_file() else shutil.which("otava")
    return Path(program) if program else None


def find_time_changes(history: pd.DataFrame) -> pd.DataFrame:
    """Change points of the time ratios by Otava's e-divisive means, p <= 0.001 and at least 5%.

    A point is reported once ``MIN_AFTER`` commits from it on are known. It names a range of commits, not one.
    """
    program = find_otava()
    assert program, "Otava is not installed"
    times = history[history["measure"] == RATIO]
    keyed = times.groupby(["series", "fingerprint"], sort=False)
    groups = [(key, group) for key, group in keyed if len(group) >= MIN_COMMITS]
    with tempfile.TemporaryDirectory() as folder:
        for number, (_, group) in enumerate(groups):
            group.rename(columns={"when": "time"})[["time", "commit", "value"]].assign(
                time=lambda table: table["time"].map(pd.Timestamp.isoformat)
            ).to_csv(Path(folder) / f"s{number}.csv", index=False)
        points = _run_otava(program, Path(folder), len(groups))
    changes = []
    for number, ((series, fingerprint), group) in enumerate(groups):
        for point in points.get(f"s{number}", []):
            at = point["changes"][0]["index"]
            if len(group) - at >= MIN_AFTER:
                before, after = group.iloc[at - 1], group.iloc[at]
                means = [float(point["changes"][0][name]) for name in ("mean_before", "mean_after")]
                where = (before["commit"], after["commit"], after["subject"])
                changes.append((series, RATIO, fingerprint, *where, *means))
    return pd.DataFrame(changes, columns=list(CHANGE_COLUMNS))


def _run_otava(program: Path, folder: Path, count: int) -> dict[str, Any]:
    """Otava's change points in the files ``s0.csv`` ... of a folder."""
    if not count:
        return {}
    names = [f"s{number}" for number in range(count)]
    tests = {
        name: {
            "type": "csv",
            "file": str(folder / f"{name}.csv"),
            "time_column": "time",
            "attributes": ["commit"],
            "metrics": {"value": {"column": "value", "direction": -1}},
        }
        for name in names
    }
    config = folder / "otava.yaml"
    config.write_text(json.dumps({"tests": tests}))  # which is YAML too
    settings = ["-P", P_VALUE, "-M", MAGNITUDE, "--since", "1970-01-02", "--output", "json"]
    words = [str(program), "analyze", *names, "--config-file", str(config), *settings]
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode:
        raise UsageError(f"{program} failed: {' '.join(done.stderr.split())[-300:]}")
    answers = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return {name: points for answer in answers for name, points in answer.items()}
