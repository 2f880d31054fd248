"""The system's Chromium, headless and without a network, for tests of pages."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

__all__ = ["open_browser"]


@contextmanager
def open_browser(color_scheme: str) -> Iterator[Any]:
    """Playwright's context of a browser that prefers ``light`` or ``dark``; without Chromium the test is skipped."""
    place = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if place is None:
        pytest.skip("no Chromium is installed (Debian: apt-get install chromium)")
    api = pytest.importorskip("playwright.sync_api")
    quiet = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=place, args=quiet)
        yield started.new_context(offline=True, color_scheme=color_scheme)
        started.close()
