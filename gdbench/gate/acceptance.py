"""Changes that were meant: each is recorded with its numbers and a reason, in a file that is committed with them."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from gdbench.errors import UsageError
from gdbench.gate.exact_measures import ABSENT, EVERYWHERE, HERE
from gdbench.results.atomic import write_text

__all__ = ["PLACE", "Acceptance", "accept", "acceptances", "recorded_changes"]

PLACE = Path("gate/accepted.csv")
"""Within the repository."""
COLUMNS = ["series", "measure", "base", "head", "fingerprint", "against", "date", "reason"]
NOTHING = "-"
"""What stands for a number that is not there: a target that was never reached, a base without numbers."""
ROUNDING = 1e-6
"""How far a final loss may lie from the recorded one on another fingerprint, as a share of the run's first loss."""

Changes = Mapping[str, tuple[str, str]]
"""By measure: from what to what, as text."""


@dataclass(frozen=True)
class Acceptance:
    """A change of a series that was meant, number by number.

    It forgives these numbers and no others, and none at all where the base's file holds it already. What depends on
    the machine is compared by equality on the fingerprint on which it was seen; on another one bits may change where
    they were accepted to change, with a final loss that is the recorded one but for rounding.
    """

    series: str
    changes: Changes
    fingerprint: str
    against: str
    """The baseline whose numbers these changes begin at, by its digest; empty for a revision."""
    date: str
    reason: str

    def covers(self, series: str, finding: Mapping[str, Any], fingerprint: str, against: str) -> bool:
        """Whether all that a finding has changed is recorded here; ``finding`` holds verdict, base and numbers."""
        if (series, against) != (self.series, self.against):
            return False
        changes = recorded_changes(finding)
        elsewhere = fingerprint != self.fingerprint
        return bool(changes) and all(
            self._permits_here_only(name, pair, finding)
            if elsewhere and name in HERE
            else self.changes.get(name) == pair
            for name, pair in changes.items()
        )

    def _permits_here_only(self, name: str, pair: tuple[str, str], finding: Mapping[str, Any]) -> bool:
        """Whether a number of another machine fits what was recorded on this one."""
        if name == "trajectory":
            return name in self.changes
        before, now = (_number(text) for text in pair)
        meant = _number(self.changes[name][1]) if name in self.changes else before
        start: float | None = finding["numbers"].get("start_loss")
        if now is None or meant is None or start is None:
            return now == meant
        return abs(now - meant) <= ROUNDING * max(abs(start), abs(meant))

    @property
    def words(self) -> list[str]:
        """Its numbers, as in ``ops per step 15 -> 16``."""
        return [f"{name} {base} -> {head}" for name, (base, head) in self.changes.items()]

    @property
    def rows(self) -> list[list[str]]:
        """Its lines in the file."""
        rest = [self.fingerprint, self.against, self.date, self.reason]
        return [[self.series, name, *pair, *rest] for name, pair in self.changes.items()]


def judged_changes(finding: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Every measure that is judged and differs, from what to what; a finding holds verdict, base and numbers.

    Where nothing was compared the verdict itself is one of them.
    """
    before, now, verdict = finding["base"], finding["numbers"], finding["verdict"]
    absent = verdict in ABSENT
    names = [name for name in (*EVERYWHERE, *HERE) if absent or (name in before and name in now)]
    changes = {name: (before.get(name), now.get(name)) for name in names}
    if absent:
        changes["verdict"] = (None, verdict)
    return {name: pair for name, pair in changes.items() if pair[0] != pair[1]}


def recorded_changes(finding: Mapping[str, Any]) -> Changes:
    """All that is judged and differs in a finding, as the file writes it."""
    return {name: (_text(pair[0]), _text(pair[1])) for name, pair in judged_changes(finding).items()}


def _text(value: Any) -> str:
    """A number or a word, such that equal ones are written alike."""
    if value is None:
        return NOTHING
    return value if isinstance(value, str) else json.dumps(value)


def _number(text: str) -> float | None:
    return None if text == NOTHING else float(text)


def acceptances(root: Path) -> list[Acceptance]:
    """What a tree has accepted."""
    file = root / PLACE
    if not file.is_file():
        return []
    try:
        table = pd.read_csv(file, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise UsageError(
            f"{file} cannot be read ({' '.join(str(error).split())}): gdbench gate accept writes it."
        ) from None
    if list(table.columns) != COLUMNS:
        raise UsageError(
            f"{file} does not record which numbers were accepted (its columns are not {', '.join(COLUMNS)}): remove it,"
            " and accept what is still meant with gdbench gate accept."
        )
    found: dict[tuple[str, ...], dict[str, tuple[str, str]]] = {}
    for row in table.itertuples(index=False):
        series, measure, base, head, *rest = map(str, row)
        found.setdefault((series, *rest), {})[measure] = (base, head)
    return [Acceptance(series, changes, *rest) for (series, *rest), changes in found.items()]


def accept(
    root: Path, findings: Iterable[Mapping[str, Any]], fingerprint: str, against: str, reason: str
) -> list[Acceptance]:
    """Record findings as meant; returns what was recorded. Sorted by series, so that changes merge.

    An acceptance takes the place of an earlier one of its series, fingerprint and baseline.
    """
    today = datetime.date.today().isoformat()
    new = [
        Acceptance(str(finding["series"]), recorded_changes(finding), fingerprint, against, today, reason)
        for finding in findings
    ]
    known = {(one.series, one.fingerprint, one.against): one for one in [*acceptances(root), *new]}
    (root / PLACE).parent.mkdir(exist_ok=True)
    table = pd.DataFrame([row for key in sorted(known) for row in known[key].rows], columns=COLUMNS)
    write_text(root / PLACE, table.to_csv(index=False, lineterminator="\n"))
    return new
