"""The verb ``reproduce``: repeat a run and compare every deterministic column."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from gdbench.cli.options import OUTPUTS, Json, Outputs

if TYPE_CHECKING:
    from gdbench.sweeps.reproduce import Reproduction

__all__ = ["list_lines", "reproduce"]

PARTS = ("results", "configuration", "sources", "data", "environment")
"""Where a repetition may differ from the run."""


def reproduce(
    run: Annotated[str, typer.Argument(metavar="RUN", help="the first digits of a run_id")],
    outputs: Outputs = OUTPUTS,
    trust: Annotated[bool, typer.Option("--trust", help="run the code that somebody else's sweep names")] = False,
    json: Json = False,
) -> int:
    """Repeat a run, untimed, and check that every deterministic column is the same; exit code 1 if one differs.

    Where one differs, print what else has changed: settings, source files, data, torch, threads, machine, determinism.
    Code that neither gdbench ships nor you ran on this machine is listed, and runs only with --trust.
    """
    from gdbench.report.json_format import dump_json
    from gdbench.results.run_lookup import find_run, find_sweep_of_run
    from gdbench.sweeps.reproduce import reproduce as repeat_run

    row = find_run(run, outputs)
    repeat = repeat_run(find_sweep_of_run(outputs, row), row, trust)
    typer.echo(dump_json(_as_dict(repeat)) if json else "\n".join(list_lines(repeat)))
    return 0 if repeat.same else 1


def _as_dict(repeat: Reproduction) -> dict[str, Any]:
    from gdbench.report.diff_text import differences_as_json

    return {
        "same": repeat.same,
        "columns": repeat.columns,
        "trace_points": repeat.points,
        "first_step": repeat.first_step,
        "deterministic": repeat.steady,
        **{part: differences_as_json(getattr(repeat, part)) for part in PARTS},
    }


def list_lines(repeat: Reproduction) -> list[str]:
    """The lines to print: the verdict first, then everything that differs."""
    from gdbench.report.diff_text import list_differences

    points = f" and {repeat.points} trace points" if repeat.points else ""
    if repeat.same:
        again = " it fails again;" if repeat.fails else ""
        verdict = f"Reproduced:{again} {repeat.columns} deterministic columns{points} are identical."
    else:
        step = "" if repeat.first_step is None else f"; the trajectory first differs at step {repeat.first_step}"
        verdict = f"Not reproduced: {len(repeat.results)} of {repeat.columns} deterministic columns differ{step}."
    return [
        verdict,
        *list_differences("Results, then -> now", repeat.results),
        *list_differences("Changed settings", repeat.configuration),
        *list_differences("Changed source files (digests)", repeat.sources),
        *list_differences("Changed data (digests)", repeat.data),
        *list_differences("Changed environment", repeat.environment),
        *_explain(repeat),
    ]


def _explain(repeat: Reproduction) -> list[str]:
    """What is known of a difference that no recorded value explains."""
    if not repeat.steady:
        return ["Two repetitions on this machine differ from each other: the run is not deterministic."]
    if repeat.stale and not repeat.sources:
        return ["Its source, data, torch or device has changed (cell_fingerprint)."]
    if repeat.same or repeat.configuration or repeat.sources or repeat.data or repeat.environment:
        return []
    return ["No recorded difference explains this; the run is deterministic on this machine."]
