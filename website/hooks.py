"""What MkDocs calls while it builds the site (``hooks`` in mkdocs.yml)."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

# MkDocs loads this file by its path, with this folder alone added to the places where modules are looked for.
sys.path.insert(0, str(Path(__file__).parent.parent))

from website.measuring import filled
from website.reference import navigation, pages
from website.typeset import mathml


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put the reference at the end of the navigation."""
    config.nav = [*(config.nav or []), navigation()]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made from the code."""
    for place, text in pages().items():
        files.append(File.generated(config, place, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Put the figures of the code where a page asks for them."""
    return filled(markdown) if page.file.src_uri == "measure.md" else markdown


def on_page_content(html: str, **_: Any) -> str:
    """Formulas in TeX become MathML, which browsers draw by themselves."""
    return mathml(html)
