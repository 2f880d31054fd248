"""The trackers that a sweep can be exported to."""

from __future__ import annotations

__all__ = ["TRACKERS"]


TRACKERS = ("mlflow", "wandb", "trackio", "tensorboard")
"""What a finished sweep can be copied to (``gdbench.results.export``)."""
