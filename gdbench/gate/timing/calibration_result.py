"""The figures of a self-test, and where they are kept for the comparisons that follow on the same machine."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from scipy import stats

from gdbench.errors import format_count
from gdbench.report.number_format import interval
from gdbench.results.atomic import replace_atomically
from gdbench.results.user_paths import find_cache_folder

__all__ = ["Injected", "SelfTest", "share_interval", "stored"]


@dataclass(frozen=True)
class Injected:
    """Trials with a slowdown of one size, in all series."""

    wanted: float
    size: float
    """The mean true size, by long blocks in the same rounds: a fraction."""
    error: float
    """The standard error of that mean, over the trials' series."""
    trials: int
    slower: int
    """Trials that found head slower, and found it again."""

    @property
    def interval(self) -> tuple[float, float]:
        """The 95% Clopper-Pearson interval of the share that was found."""
        return share_interval(self.slower, self.trials)


@dataclass(frozen=True)
class SelfTest:
    """The figures of a machine."""

    fingerprint: Mapping[str, Any]
    comparisons: int
    """Of head against head."""
    suspected: int
    """Of them, slower before confirmation."""
    alarms: int
    """Of them, slower and confirmed: false alarms."""
    undecided: int
    injected: tuple[Injected, ...]
    found_from: Mapping[str, float]
    """By series, the smallest slowdown that is found with power 0.95: a fraction."""
    s: Mapping[str, float]
    """By series, the standard deviation of a replicate."""
    rounds: int
    seconds: float

    @property
    def rate_below(self) -> float:
        """The upper end of the 95% interval of the rate of false alarms: 3 / n where there was none."""
        return share_interval(self.alarms, self.comparisons, one_sided=True)[1]

    @property
    def lines(self) -> list[str]:
        """All of it in words."""
        alarms = (
            f"{format_count(self.comparisons, 'comparison')} of head with itself:"
            f" {format_count(self.alarms, 'false alarm')}, a rate of at most"
            f" {self.rate_below:.2%} with 95% confidence ({self.suspected} before confirmation,"
            f" {self.undecided} undecided)"
        )
        told = [alarms]
        for each in self.injected:
            low, high = each.interval
            size, below, above = (100 * (each.size + error) for error in (0.0, -each.error, each.error))
            true = interval(size, below, above, unit="%", decimals=1, sign="+")
            told.append(
                f"{each.wanted:+.0%} put in (true size {true}): slower in"
                f" {each.slower} of {each.trials} [{low:.0%}, {high:.0%}]"
            )
        worst = max(self.found_from, key=self.found_from.__getitem__, default="")
        middle = statistics.median(self.found_from.values()) if self.found_from else math.nan
        if worst:
            told.append(
                f"slowdowns are found with power 0.95 from {middle:.1%} (median over series), from"
                f" {self.found_from[worst]:.1%} in {worst}"
            )
        return [*told, f"{format_count(self.rounds, 'round')} in {self.seconds:.0f} s"]

    def store(self, folder: Path | None = None) -> Path:
        """Keep it for later comparisons on this machine; returns the file."""
        file = _file(self.fingerprint, folder)
        file.parent.mkdir(parents=True, exist_ok=True)
        with replace_atomically(file) as beside:
            beside.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")
        return file


def stored(fingerprint: Mapping[str, Any], folder: Path | None = None) -> Mapping[str, float]:
    """What the last self-test on this machine, with this torch, found slowdowns from; nothing where there was none."""
    try:
        told = json.loads(_file(fingerprint, folder).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    found: Mapping[str, float] = told["found_from"]
    return found


def _file(fingerprint: Mapping[str, Any], folder: Path | None) -> Path:
    words = "-".join(str(each) for _, each in sorted(fingerprint.items()))
    return (
        folder or find_cache_folder()
    ) / f"self-test-{''.join(c if c.isalnum() or c in '.-' else '_' for c in words)}.json"


def share_interval(found: int, trials: int, one_sided: bool = False) -> tuple[float, float]:
    """The 95% Clopper-Pearson interval of a share; ``one_sided`` puts all 5% above."""
    if not trials:
        return 0.0, 1.0
    tail = 0.05 if one_sided else 0.025
    low = float(stats.beta.ppf(tail, found, trials - found + 1)) if found else 0.0
    high = float(stats.beta.ppf(1 - tail, found + 1, trials - found)) if found < trials else 1.0
    return low, high
