"""Trackers that teams use already: a finished sweep is copied to them, once, from the process that ran it.

An adapter is a file of this folder with one function, ``send(sweep, uri) -> Sent``. It adds the runs that the tracker
has not got, told by ``Tracked.id``, so that a second time adds nothing and an interrupted one is gone on with. It
never runs inside of timed code, and what it raises costs a warning, not a result.
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

from gdbench.errors import UsageError, install_command, nearest
from gdbench.results.export.names import TRACKERS
from gdbench.results.export.tracked import Sent

__all__ = ["NotSent", "hide_secrets", "insist", "parse_trackers", "send", "send_all"]


NEEDS = {
    "mlflow": ("mlflow", "sqlalchemy"),
    "wandb": ("wandb",),
    "trackio": ("trackio",),
    "tensorboard": ("tensorboard",),
}
"""The packages of each extra that have to be there."""


PASSWORD = re.compile(r"(?<=://)([^/@:\s]*):[^/@\s]+@")
TOKEN = re.compile(r"([?&](?:token|key|api_key|password)=)[^&\s]+", re.IGNORECASE)
"""The secrets of an address: ``scheme://user:password@host?token=...``."""


class NotSent(UserWarning):
    """A tracker did not take a sweep; the sweep is whole."""


def parse_trackers(config: Mapping[str, Any]) -> tuple[str, ...]:
    """The trackers that a configuration names. ``UsageError`` where one cannot be had."""
    given = config["tracker"]
    names = given if isinstance(given, (list, tuple)) else str(given or "").split(",")
    found = tuple(str(name).strip() for name in names if str(name).strip())
    insist(found)
    return found


def insist(names: Sequence[str]) -> None:
    """``UsageError`` in one line for a tracker that is not known, or whose package is not installed."""
    for name in names:
        if name not in TRACKERS:
            raise UsageError(
                f"tracker={name} is not known.{nearest(name, TRACKERS)} Allowed: {', '.join(TRACKERS)}; null for none."
            )
        if not all(find_spec(package) for package in NEEDS[name]):
            raise UsageError(f"tracker={name} is not installed: {install_command(name)}")


def send(name: str, folder: Path, uri: str | None = None) -> Sent:
    """Copy a sweep to a tracker. Raises ``UsageError``, in one line, where that does not take it.

    Ctrl-C is a KeyboardInterrupt that says how to go on.
    """
    from gdbench.results.export.payload import read

    insist([name])
    sweep = read(folder)
    adapter = importlib.import_module(f"gdbench.results.export.{name}")
    try:
        sent: Sent = adapter.send(sweep, uri)
    except UsageError:
        raise
    except KeyboardInterrupt as cut:
        raise KeyboardInterrupt(f"What {name} has taken stays. {_again(name, folder, uri)}") from cut
    except Exception as error:
        words = hide_secrets(" ".join(f"{type(error).__name__}: {error}".split()))[:200]
        raise UsageError(f"{name} did not take {folder} ({words}). {_again(name, folder, uri)}") from None
    return sent._replace(look=hide_secrets(sent.look))


def hide_secrets(text: str) -> str:
    """A text with stars for the password of each address in it, and for the value of each token."""
    return TOKEN.sub(r"\1***", PASSWORD.sub(r"\1:***@", text))


def send_all(names: Sequence[str], folder: Path) -> None:
    """Copy a finished sweep to trackers; one that does not take it costs a warning."""
    for name in names:
        try:
            send(name, folder)
        except UsageError as error:
            again = "" if "Try again" in str(error) else f" {_again(name, folder, None)}"
            warnings.warn(f"{error}{again}", NotSent, stacklevel=2)


def _again(name: str, folder: Path, uri: str | None) -> str:
    """The command that goes on where an export stopped."""
    place = ["--uri", hide_secrets(uri)] if uri else []
    words = ["python", "-m", "gdbench", "export", name, str(folder), *place]
    return f"Try again with: {shlex.join(words)}"
