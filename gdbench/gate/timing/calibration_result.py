"""Figures of a calibration, and the file in which they are saved for later comparisons on the same machine."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from scipy import stats

from gdbench.results.atomic import write_text
from gdbench.results.user_paths import find_cache_folder

__all__ = ["CalibrationResult", "InjectedSlowdown", "compute_share_interval", "load_detectable_slowdowns"]


@dataclass(frozen=True)
class InjectedSlowdown:
    """Comparisons with a slowdown of one size, over all series."""

    requested: float
    size: float
    """The mean true size, by long blocks in the same rounds: a fraction."""
    error: float
    """The standard error of that mean."""
    comparisons: int
    slower: int
    """Comparisons that found head slower and confirmed it."""

    @property
    def interval(self) -> tuple[float, float]:
        """95% Clopper-Pearson interval of the detected share."""
        return compute_share_interval(self.slower, self.comparisons)


@dataclass(frozen=True)
class CalibrationResult:
    """The figures of a machine."""

    fingerprint: Mapping[str, Any]
    comparisons: int
    """Of head against head."""
    suspected: int
    """Of them, slower before confirmation."""
    false_alarms: int
    """Of them, slower and confirmed."""
    undecided: int
    injected: tuple[InjectedSlowdown, ...]
    detectable_slowdown: Mapping[str, float]
    """By series, the smallest slowdown that is detected with power 0.95: a fraction."""
    sd: Mapping[str, float]
    """By series, the standard deviation of a replicate."""
    rounds: int
    seconds: float

    @property
    def max_false_alarm_rate(self) -> float:
        """Upper end of the one-sided 95% interval of the false-alarm rate: 3 / n if there was no alarm."""
        return compute_share_interval(self.false_alarms, self.comparisons, is_one_sided=True)[1]

    def save(self, folder: Path | None = None) -> Path:
        """Save for later comparisons on this machine; returns the file."""
        file = _locate_file(self.fingerprint, folder)
        file.parent.mkdir(parents=True, exist_ok=True)
        write_text(file, json.dumps(asdict(self), indent=1) + "\n")
        return file


def load_detectable_slowdowns(fingerprint: Mapping[str, Any], folder: Path | None = None) -> Mapping[str, float]:
    """Detectable slowdowns, by series, of the last calibration on this machine with this torch; empty if none."""
    try:
        saved = json.loads(_locate_file(fingerprint, folder).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    slowdowns: Mapping[str, float] = saved["detectable_slowdown"]
    return slowdowns


def _locate_file(fingerprint: Mapping[str, Any], folder: Path | None) -> Path:
    words = "-".join(str(value) for _, value in sorted(fingerprint.items()))
    safe = "".join(letter if letter.isalnum() or letter in ".-" else "_" for letter in words)
    return (folder or find_cache_folder()) / f"calibration-{safe}.json"


def compute_share_interval(count: int, trials: int, is_one_sided: bool = False) -> tuple[float, float]:
    """95% Clopper-Pearson interval of a share; ``is_one_sided`` puts all 5% above."""
    if not trials:
        return 0.0, 1.0
    tail = 0.05 if is_one_sided else 0.025
    low = float(stats.beta.ppf(tail, count, trials - count + 1)) if count else 0.0
    high = float(stats.beta.ppf(1 - tail, count + 1, trials - count)) if count < trials else 1.0
    return low, high
