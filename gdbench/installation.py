"""The command that installs gdbench or one of its extras: from the checkout in use, else from the repository."""

from __future__ import annotations

from pathlib import Path

__all__ = ["install_command"]


def install_command(extra: str) -> str:
    """The shell command that adds an extra: ``pip install -e '/my/gdbench[mlflow]'``.

    gdbench is on no package index yet: in an editable checkout the command names its folder, elsewhere the repository
    by the URL that the package's metadata state.
    """
    checkout = Path(__file__).parents[1]
    if (checkout / "pyproject.toml").is_file():
        return f"pip install -e '{checkout}[{extra}]'"
    return f"pip install 'gdbench[{extra}] @ git+{_repository()}'"


def _repository() -> str:
    from importlib.metadata import PackageNotFoundError, metadata  # 13 ms, for a hint that is seldom given

    try:
        urls = metadata("gdbench").get_all("Project-URL") or []
    except PackageNotFoundError:  # a copied folder that nothing installed
        urls = []
    named: dict[str, str] = dict(url.split(", ", 1) for url in urls)
    return str(named.get("Repository", "REPOSITORY"))
