"""The verbs ``sweeps archive``, ``restore`` and ``rm``: sweeps packed, unpacked and removed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from gdbench.cli.options import OUTPUTS, Json, Outputs, SweepNames
from gdbench.errors import UsageError, format_count
from gdbench.results.user_paths import PATH

__all__ = ["archive", "restore", "rm"]


def archive(
    sweeps: SweepNames,
    to: Annotated[Path | None, typer.Option(help="the file; default: the sweep's name, in this folder", **PATH)] = None,
    outputs: Outputs = OUTPUTS,
    json: Json = False,
) -> None:
    """Pack sweeps into one zip file, with the hash of each file in it."""
    from gdbench.report.json_format import dump_json
    from gdbench.results.archive import pack_sweeps

    folders = _find_idle(sweeps, outputs, "archive")
    if to is None and len(folders) > 1:
        raise UsageError("sweeps archive of several sweeps needs the name of the file: --to FILE.zip.")
    file = to or Path(f"{folders[0].resolve().parent.name}_{folders[0].resolve().name}.zip")
    count = pack_sweeps(folders, file, outputs)
    size = file.stat().st_size
    if json:
        typer.echo(dump_json({"archive": str(file), "files": count, "bytes": size}))
        return
    typer.echo(
        f"{file}: {format_count(count, 'file')}, {size:,} bytes. Unpack with: python -m gdbench sweeps restore {file}"
    )


def restore(
    file: Annotated[Path, typer.Argument(help="a zip file that sweeps archive wrote", **{**PATH, "metavar": "FILE"})],
    outputs: Outputs = OUTPUTS,
    json: Json = False,
) -> None:
    """Unpack an archive: verifies every hash, never overwrites."""
    from gdbench.report.json_format import dump_json
    from gdbench.results.archive import unpack_sweeps

    folders = [str(folder) for folder in unpack_sweeps(file, outputs)]
    typer.echo(dump_json({"restored": folders}) if json else "\n".join(folders))


def rm(
    sweeps: SweepNames,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="do not ask for confirmation")] = False,
    outputs: Outputs = OUTPUTS,
    json: Json = False,
) -> int:
    """Remove sweeps for good: their folders with all files."""
    from gdbench.report.json_format import dump_json
    from gdbench.results.archive import describe_folder, remove_sweep

    folders = _find_idle(sweeps, outputs, "remove")
    descriptions = [describe_folder(folder) for folder in folders]
    if not yes and not _confirm(descriptions):
        typer.echo("Nothing was removed.", err=True)
        return 1
    for folder, description in zip(folders, descriptions, strict=True):
        remove_sweep(folder)
        if not json:
            typer.echo(f"Removed {description}")
    if json:
        typer.echo(dump_json({"removed": [str(folder) for folder in folders]}))
    return 0


def _confirm(descriptions: list[str]) -> bool:
    """Whether the user agrees to remove these sweeps; ``UsageError`` where nobody can answer."""
    if not sys.stdin.isatty():
        raise UsageError("sweeps rm asks before it removes, and standard input is no terminal: add --yes.")
    for description in descriptions:
        typer.echo(description, err=True)
    return typer.confirm(f"Remove {'them' if len(descriptions) > 1 else 'it'} for good?", err=True)


def _find_idle(sweeps: list[str], outputs: Path, purpose: str) -> list[Path]:
    """The folders of sweeps, each once; ``UsageError`` while a process writes to one."""
    from gdbench.results.sweep_lookup import check_idle, find_sweep

    folders = list(dict.fromkeys(find_sweep(sweep, outputs) for sweep in sweeps))
    for folder in folders:
        check_idle(folder, purpose)
    return folders
