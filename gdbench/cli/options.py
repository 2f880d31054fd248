"""Options and arguments that several verbs share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gdbench.results.user_paths import PATH

__all__ = ["OUTPUTS", "ConfigDir", "Json", "Outputs", "SweepName", "SweepNames"]

OUTPUTS = Path("outputs")

Outputs = Annotated[Path, typer.Option(help="the folder that holds the sweeps", **PATH)]
Json = Annotated[bool, typer.Option("--json", help="print the result as JSON")]
ConfigDir = Annotated[Path | None, typer.Option(help="a folder with objectives and optimizers of your own", **PATH)]
SweepName = Annotated[
    str, typer.Argument(metavar="SWEEP", help="the folder of a sweep, its name, or the start of its date and time")
]
SweepNames = Annotated[
    list[str], typer.Argument(metavar="SWEEP", help="sweeps: folders or names, as sweeps lists them")
]
