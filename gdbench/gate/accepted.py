"""Changes that were meant: each is recorded with a reason, in a file that is committed with the change itself."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import pandas as pd

from gdbench.gate.files import replace_text
from gdbench.schema import UsageError

__all__ = ["PLACE", "Acceptance", "accept", "acceptances"]

PLACE = Path("gate/accepted.csv")
"""Within the repository."""


@dataclass(frozen=True)
class Acceptance:
    """A change of a series that was meant.

    It counts for the change that it travels with, and for no later one: not where the base's file holds it already, and
    not for other bits than those it was given for, on the fingerprint on which they were seen.
    """

    series: str
    trajectory: str
    fingerprint: str
    date: str
    reason: str

    def covers(self, trajectory: str | None, fingerprint: str) -> bool:
        """Whether these bits are those that were accepted, as far as this fingerprint can tell."""
        return fingerprint != self.fingerprint or (trajectory or "") == self.trajectory


COLUMNS = [each.name for each in fields(Acceptance)]


def acceptances(root: Path) -> dict[str, Acceptance]:
    """What a tree has accepted, by series."""
    file = root / PLACE
    if not file.is_file():
        return {}
    try:
        rows = pd.read_csv(file, dtype=str, keep_default_na=False)
        return {row["series"]: Acceptance(*row[COLUMNS]) for _, row in rows.iterrows()}
    except (ValueError, KeyError) as error:
        raise UsageError(f"{file} cannot be read ({error}): gdbench gate accept writes it.") from None


def accept(root: Path, rows: Iterable[Mapping[str, object]], fingerprint: str, reason: str) -> list[Acceptance]:
    """Record findings as meant; returns what was recorded. Sorted by series, so that changes merge."""
    today = datetime.date.today().isoformat()
    new = [Acceptance(str(row["series"]), str(row["trajectory"] or ""), fingerprint, today, reason) for row in rows]
    known = {**acceptances(root), **{each.series: each for each in new}}
    (root / PLACE).parent.mkdir(exist_ok=True)
    table = pd.DataFrame([asdict(known[name]) for name in sorted(known)])
    replace_text(root / PLACE, table.to_csv(index=False, lineterminator="\n"))
    return new
