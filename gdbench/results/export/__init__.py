"""Export of a finished sweep to an experiment tracker, once, by the process that ran it.

An adapter is a module of this package with one function, ``export(sweep, uri) -> ExportResult``. It adds the runs that
the tracker lacks, by ``RunPayload.id``, so that exports are idempotent and resumable. Adapters never run within timed
code; their exceptions become a warning.
"""

from __future__ import annotations

import importlib
import re
import shlex
import warnings
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from gdbench.errors import UsageError, did_you_mean, format_install_command
from gdbench.results.export.payload import ExportResult

__all__ = ["ExportFailed", "export_sweep", "export_to_all", "hide_secrets", "parse_trackers", "require_installed"]


REQUIRED_PACKAGES = {
    "mlflow": ("mlflow", "sqlalchemy"),
    "wandb": ("wandb",),
    "trackio": ("trackio",),
    "tensorboard": ("tensorboard",),
}
"""Packages that each tracker needs."""
TRACKERS = tuple(REQUIRED_PACKAGES)


PASSWORD = re.compile(r"(?<=://)([^/@:\s]*):\S+@|(?<=://)()[^/@\s]+@")
TOKEN = re.compile(r"([?&;][\w-]*(?:token|key|password|pwd|secret)=)[^&;\s]+", re.IGNORECASE)
"""Secrets of an address: ``scheme://user:password@host?token=...``, ``scheme://token@host``; a password may hold @."""


class ExportFailed(UserWarning):
    """A tracker did not accept a sweep; the sweep is complete on disk."""


def parse_trackers(config: Mapping[str, Any]) -> tuple[str, ...]:
    """Trackers named in a configuration; ``UsageError`` if one is unknown or not installed."""
    given = config["tracker"]
    names = given if isinstance(given, (list, tuple)) else str(given or "").split(",")
    found = tuple(str(name).strip() for name in names if str(name).strip())
    require_installed(found)
    return found


def require_installed(names: Sequence[str]) -> None:
    """Raise ``UsageError`` for a tracker that is unknown or not installed."""
    for name in names:
        if name not in TRACKERS:
            raise UsageError(
                f"tracker={name} is not known.{did_you_mean(name, TRACKERS)} Allowed: {', '.join(TRACKERS)};"
                " null for none."
            )
        if not all(find_spec(package) for package in REQUIRED_PACKAGES[name]):
            raise UsageError(f"tracker={name} is not installed: {format_install_command(name)}")


def export_sweep(name: str, folder: Path, uri: str | None = None) -> ExportResult:
    """Export a sweep to a tracker; ``UsageError`` with the command to repeat if that fails.

    Ctrl-C raises KeyboardInterrupt with that command.
    """
    from gdbench.results.export.build_payload import build_payload

    require_installed([name])
    sweep = build_payload(folder)
    adapter = importlib.import_module(f"gdbench.results.export.{name}")
    try:
        sent: ExportResult = adapter.export(sweep, uri)
    except UsageError:
        raise
    except KeyboardInterrupt as cut:
        raise KeyboardInterrupt(f"What {name} has taken stays. {_repeat_command(name, folder, uri)}") from cut
    except Exception as error:
        words = hide_secrets(" ".join(f"{type(error).__name__}: {error}".split()))[:200]
        raise UsageError(f"{name} did not take {folder} ({words}). {_repeat_command(name, folder, uri)}") from None
    return sent._replace(view_hint=hide_secrets(sent.view_hint))


def hide_secrets(text: str) -> str:
    """Text with *** for passwords and tokens in addresses."""
    return TOKEN.sub(r"\1***", PASSWORD.sub(lambda found: f"{found[1]}:***@" if found[1] is not None else "***@", text))


def export_to_all(names: Sequence[str], folder: Path) -> None:
    """Export a finished sweep to several trackers; a failure is a warning."""
    for name in names:
        try:
            export_sweep(name, folder)
        except UsageError as error:
            again = "" if "Try again" in str(error) else f" {_repeat_command(name, folder, None)}"
            warnings.warn(f"{error}{again}", ExportFailed, stacklevel=2)


def _repeat_command(name: str, folder: Path, uri: str | None) -> str:
    """Sentence with the command that continues an interrupted export."""
    place = ["--uri", hide_secrets(uri)] if uri else []
    words = ["python", "-m", "gdbench", "export", name, str(folder), *place]
    return f"Try again with: {shlex.join(words)}"
