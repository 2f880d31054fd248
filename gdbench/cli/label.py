"""The verb ``sweeps label``: name, tags and note of a sweep."""

from __future__ import annotations

import fnmatch
from dataclasses import asdict, replace
from typing import Annotated

import typer

from gdbench.cli.options import OUTPUTS, Json, Outputs, SweepName

__all__ = ["label"]


def label(
    sweep: SweepName,
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="one word that stands for the folder; '' for none")
    ] = None,
    tag: Annotated[list[str] | None, typer.Option(metavar="TAG", help="tags to add, with commas between")] = None,
    untag: Annotated[list[str] | None, typer.Option(metavar="TAG", help="tags to remove; '*' for all")] = None,
    note: Annotated[
        str | None, typer.Option(metavar="TEXT", help="any text, replaces the former note; '' for none")
    ] = None,
    outputs: Outputs = OUTPUTS,
    json: Json = False,
) -> None:
    """Set and print the name, tags and note of a sweep.

    Without options nothing is changed. The name can be used in place of the folder; sweeps tag=TAG finds all
    sweeps with a tag.
    """
    from gdbench.report.escaping import escape_control_codes
    from gdbench.report.json_format import dump_json
    from gdbench.results.labels import Labels, check_label, read_labels, update_labels
    from gdbench.results.sweep_lookup import find_sweep

    folder = find_sweep(sweep, outputs)
    new_name = check_label("name", name) if name else name
    added = [check_label("tag", word) for word in _split(tag)]
    removed = _split(untag)

    def update(held: Labels) -> Labels:
        left = [word for word in held.tags if not any(fnmatch.fnmatchcase(word, pattern) for pattern in removed)]
        return Labels(
            name=held.name if new_name is None else new_name,
            tags=(*left, *added),
            note=held.note if note is None else note,
        )

    nothing = name is None and note is None and not added and not removed
    new = read_labels(folder) if nothing else update_labels(folder, update)
    if json:
        typer.echo(dump_json({"folder": str(folder), **asdict(replace(new, tags=tuple(sorted(set(new.tags)))))}))
        return
    words = [
        f"name {new.name}" if new.name else "no name set",
        f"tags {' '.join(sorted(set(new.tags)))}" if new.tags else "no tags",
        f"note: {new.note}" if new.note else "no note",
    ]
    typer.echo(escape_control_codes(f"{folder}: {', '.join(words)}", lines=True))


def _split(words: list[str] | None) -> list[str]:
    """The words between the commas."""
    return [part.strip() for word in words or [] for part in word.split(",") if part.strip()]
