"""Accepted changes: each is recorded with its numbers and a reason, in a file that is committed with the change."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from gdbench.errors import UsageError, to_one_line
from gdbench.gate.exact_measures import ABSENT, EVERYWHERE, HERE
from gdbench.results.atomic import write_text

__all__ = ["FILE", "Acceptance", "format_changes", "load_acceptances", "record_acceptances"]

FILE = Path("gate/accepted.csv")
"""Within the repository."""
COLUMNS = ["series", "measure", "base", "head", "fingerprint", "against", "date", "reason"]
NULL = "-"
"""Text of a number that is not there: a target that was never reached, a base without numbers."""
ROUNDING = 1e-6
"""How far a final loss may lie from the recorded one on another fingerprint, as a share of the run's first loss."""

Changes = Mapping[str, tuple[str, str]]
"""By measure: the base's value and the head's, as text."""


@dataclass(frozen=True)
class Acceptance:
    """An accepted change of a series, number by number.

    It forgives these numbers and no others, and none at all if the base's file holds it already. Measures that depend
    on the machine are compared by equality on the fingerprint on which they were recorded; on another one bits may
    change if they were accepted to change, with a final loss that is the recorded one up to rounding.
    """

    series: str
    changes: Changes
    fingerprint: str
    against: str
    """Digest of the baseline to which the changes refer; empty for a revision."""
    date: str
    reason: str

    def covers(self, series: str, finding: Mapping[str, Any], fingerprint: str, against: str) -> bool:
        """Whether every change of a finding is recorded here; ``finding`` holds verdict, base and numbers."""
        if (series, against) != (self.series, self.against):
            return False
        changes = format_changes(finding)
        is_elsewhere = fingerprint != self.fingerprint
        return bool(changes) and all(
            self._permits_elsewhere(name, pair, finding)
            if is_elsewhere and name in HERE
            else self.changes.get(name) == pair
            for name, pair in changes.items()
        )

    def _permits_elsewhere(self, name: str, pair: tuple[str, str], finding: Mapping[str, Any]) -> bool:
        """Whether a number of another machine agrees with the one recorded on this machine."""
        if name == "trajectory":
            return name in self.changes
        before, now = (_parse_number(text) for text in pair)
        accepted = _parse_number(self.changes[name][1]) if name in self.changes else before
        start: float | None = finding["numbers"].get("start_loss")
        if now is None or accepted is None or start is None:
            return now == accepted
        return abs(now - accepted) <= ROUNDING * max(abs(start), abs(accepted))

    @property
    def lines(self) -> list[str]:
        """One line per change, as in ``ops per step 15 -> 16``."""
        return [f"{name} {base} -> {head}" for name, (base, head) in self.changes.items()]

    @property
    def rows(self) -> list[list[str]]:
        """Its rows in the file."""
        rest = [self.fingerprint, self.against, self.date, self.reason]
        return [[self.series, name, *pair, *rest] for name, pair in self.changes.items()]


def format_changes(finding: Mapping[str, Any]) -> Changes:
    """Every measure of a finding that differs, as the file states it; a finding holds verdict, base and numbers.

    If nothing was compared the verdict itself is one of them.
    """
    before, now, verdict = finding["base"], finding["numbers"], finding["verdict"]
    is_absent = verdict in ABSENT
    names = [name for name in (*EVERYWHERE, *HERE) if is_absent or (name in before and name in now)]
    changes = {name: (before.get(name), now.get(name)) for name in names}
    if is_absent:
        changes["verdict"] = (None, verdict)
    return {name: (_format(old), _format(new)) for name, (old, new) in changes.items() if old != new}


def _format(value: Any) -> str:
    """A number or a word, such that equal ones have equal texts."""
    if value is None:
        return NULL
    return value if isinstance(value, str) else json.dumps(value)


def _parse_number(text: str) -> float | None:
    return None if text == NULL else float(text)


def load_acceptances(root: Path) -> list[Acceptance]:
    """The acceptances of a tree."""
    file = root / FILE
    if not file.is_file():
        return []
    try:
        table = pd.read_csv(file, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise UsageError(f"{file} cannot be read ({to_one_line(error)}): gdbench gate accept writes it.") from None
    if list(table.columns) != COLUMNS:
        raise UsageError(
            f"{file} does not record which numbers were accepted (its columns are not {', '.join(COLUMNS)}): remove it,"
            " and accept what is still intended with gdbench gate accept."
        )
    groups: dict[tuple[str, ...], dict[str, tuple[str, str]]] = {}
    for row in table.itertuples(index=False):
        series, measure, base, head, *rest = map(str, row)
        groups.setdefault((series, *rest), {})[measure] = (base, head)
    return [Acceptance(series, changes, *rest) for (series, *rest), changes in groups.items()]


def record_acceptances(
    root: Path, findings: Iterable[Mapping[str, Any]], fingerprint: str, against: str, reason: str
) -> list[Acceptance]:
    """Record findings as accepted and return the new acceptances. Rows are sorted by series, so that changes merge.

    An acceptance replaces an earlier one of its series, fingerprint and baseline.
    """
    today = datetime.date.today().isoformat()
    new = [
        Acceptance(str(finding["series"]), format_changes(finding), fingerprint, against, today, reason)
        for finding in findings
    ]
    by_key = {(one.series, one.fingerprint, one.against): one for one in [*load_acceptances(root), *new]}
    (root / FILE).parent.mkdir(exist_ok=True)
    table = pd.DataFrame([row for key in sorted(by_key) for row in by_key[key].rows], columns=COLUMNS)
    write_text(root / FILE, table.to_csv(index=False, lineterminator="\n"))
    return new
