"""What the gate saw on each commit of a branch: kept as Parquet, one file a report, and searched for change points."""

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

__all__ = [
    "COLUMNS",
    "LEAST_SEARCHED",
    "add",
    "change_points",
    "exact_changes",
    "load_history",
    "otava",
    "time_changes",
]

COLUMNS = ("commit", "when", "subject", "fingerprint", "series", "measure", "value", "text")
"""One row a measure: a number in ``value``, or a word (a status, the digest of a trajectory) in ``text``."""
RATIO = "step_time_ratio"
"""The measure that is noisy: the step time over that of the frozen loop of its run."""
LEAST_AFTER = 6
"""So many commits from a change on must be known before it is told: the last few decide little."""
LEAST_SEARCHED = 2 * LEAST_AFTER
"""Commits from which on times are searched at all."""
P_VALUE, MAGNITUDE = "0.001", "0.05"
FOUND = ("series", "measure", "fingerprint", "after", "commit", "subject", "base", "head")


def add(folder: Path, top: Path, report: Mapping[str, Any]) -> Path:
    """Keep what a report says of the commit that it was made on; raises UsageError where it was made on none."""
    commit = report.get("commit")
    if not commit:
        raise UsageError(
            "the latest report is of a tree with changes that are not committed: its numbers have no commit."
        )
    rows = list(_measures(report))
    if not rows:
        raise UsageError("the latest report measured nothing: there is no number to keep.")
    when, subject = read_git(top, "show", "--no-patch", "--format=%cI%n%s", commit).split("\n", 1)
    shared = {"commit": commit, "when": pd.Timestamp(when).tz_convert("UTC"), "subject": subject}
    shared["fingerprint"] = report["fingerprint"]
    table = pd.DataFrame([{**shared, **row} for row in rows], columns=list(COLUMNS))
    folder.mkdir(parents=True, exist_ok=True)
    made = folder / f".{uuid.uuid4().hex[:8]}"
    table.to_parquet(made)
    return made.rename(folder / f"{commit[:12]}-{uuid.uuid4().hex[:8]}.parquet")


def _measures(report: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for finding in report["findings"]:
        numbers, series = finding["numbers"], finding["series"]
        if finding["layer"] == "time":
            if numbers.get(RATIO):
                yield {"series": series, "measure": RATIO, "value": numbers[RATIO], "text": None}
            continue
        for measure, value in numbers.items():
            number = isinstance(value, int | float) and not isinstance(value, bool)
            kept = {"value": float(value), "text": None} if number else {"value": None, "text": value}
            yield {"series": series, "measure": measure, **kept}


def load_history(folder: Path) -> pd.DataFrame:
    """All rows, in the order of the commits; of several reports on one commit and fingerprint the latest counts."""
    files = sorted(folder.glob("*.parquet"), key=lambda file: file.stat().st_mtime)
    if not files:
        raise UsageError(f"{folder} holds no history: add the latest report with python -m gdbench gate history --add.")
    whole = pd.concat([pd.read_parquet(file) for file in files], ignore_index=True)
    keys = ["commit", "fingerprint", "series", "measure"]
    return whole.drop_duplicates(keys, keep="last").sort_values("when", kind="stable").reset_index(drop=True)


def change_points(history: pd.DataFrame) -> pd.DataFrame:
    """Where exact measures changed, and where times did, as far as Otava is there to tell."""
    found = [exact_changes(history)]
    if otava():
        found.append(time_changes(history))
    return pd.concat(found, ignore_index=True)


def exact_changes(history: pd.DataFrame) -> pd.DataFrame:
    """Every change of a measure that is no time: the commit at which it was seen, and the last one before."""
    exact = history[history["measure"] != RATIO]
    found = []
    for (series, measure, fingerprint), group in exact.groupby(["series", "measure", "fingerprint"], sort=False):
        values = group["text"].where(group["text"].notna(), group["value"]).tolist()
        commits, subjects = group["commit"].tolist(), group["subject"].tolist()
        for at in range(1, len(values)):
            if values[at] != values[at - 1] and not (pd.isna(values[at]) and pd.isna(values[at - 1])):
                where = (commits[at - 1], commits[at], subjects[at])
                found.append((series, measure, fingerprint, *where, values[at - 1], values[at]))
    return pd.DataFrame(found, columns=list(FOUND))


def otava() -> Path | None:
    """Apache Otava's command: beside this interpreter, or on the path, as ``pipx install apache-otava`` puts it."""
    beside = Path(sys.executable).with_name("otava")
    found = str(beside) if beside.is_file() else shutil.which("otava")
    return Path(found) if found else None


def time_changes(history: pd.DataFrame) -> pd.DataFrame:
    """Change points of the time ratios by Otava's e-divisive means, p <= 0.001 and at least 5%.

    A point is told once ``LEAST_AFTER`` commits from it on are known. It names a range of commits, not one.
    """
    program = otava()
    assert program, "Otava is not installed"
    times = history[history["measure"] == RATIO]
    groups = [each for each in times.groupby(["series", "fingerprint"], sort=False) if len(each[1]) >= LEAST_SEARCHED]
    with tempfile.TemporaryDirectory() as place:
        for number, (_, group) in enumerate(groups):
            group.rename(columns={"when": "time"})[["time", "commit", "value"]].assign(
                time=lambda table: table["time"].map(pd.Timestamp.isoformat)
            ).to_csv(Path(place) / f"s{number}.csv", index=False)
        told = _analysed(program, Path(place), len(groups))
    found = []
    for number, ((series, fingerprint), group) in enumerate(groups):
        for point in told.get(f"s{number}", []):
            at = point["changes"][0]["index"]
            if len(group) - at >= LEAST_AFTER:
                before, after = group.iloc[at - 1], group.iloc[at]
                means = [float(point["changes"][0][name]) for name in ("mean_before", "mean_after")]
                where = (before["commit"], after["commit"], after["subject"])
                found.append((series, RATIO, fingerprint, *where, *means))
    return pd.DataFrame(found, columns=list(FOUND))


def _analysed(program: Path, place: Path, count: int) -> dict[str, Any]:
    """Otava's answer about the files ``s0.csv`` ... in a folder."""
    if not count:
        return {}
    names = [f"s{number}" for number in range(count)]
    tests = {
        name: {
            "type": "csv",
            "file": str(place / f"{name}.csv"),
            "time_column": "time",
            "attributes": ["commit"],
            "metrics": {"value": {"column": "value", "direction": -1}},
        }
        for name in names
    }
    config = place / "otava.yaml"
    config.write_text(json.dumps({"tests": tests}))  # which is YAML too
    settings = ["-P", P_VALUE, "-M", MAGNITUDE, "--since", "1970-01-02", "--output", "json"]
    words = [str(program), "analyze", *names, "--config-file", str(config), *settings]
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode:
        raise UsageError(f"{program} failed: {' '.join(done.stderr.split())[-300:]}")
    answers = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return {name: points for answer in answers for name, points in answer.items()}
