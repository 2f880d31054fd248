"""Sweeps in one file: a zip that holds their folders and SHA256SUMS, which ``sha256sum -c`` understands too."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from gdbench.errors import UsageError, format_count
from gdbench.results.folder_layout import is_sweep
from gdbench.results.parquet_files import TABLES
from gdbench.results.temporary_paths import remove_leftovers, scratch_path

__all__ = ["described", "pack", "removed", "unpack"]

SUMS = "SHA256SUMS"
STORED = (".parquet", ".png", ".zip")
"""Files that are compressed already."""
LEFT_OUT = ("lock", "labels.lock")
"""Files that mean something while a process holds them."""
CHUNK = 2**20
SMALL = 2**26
MOST_GROWTH = 50
"""An archive of ours grows about 1.5 times, as tables lie in it as they are; text alone up to some 20 times."""
DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError)
"""What zipfile raises where an archive is cut off, changed, or of a kind that gdbench never writes."""
OWN = (
    *(f"{name}.parquet" for name in TABLES), "environment", "gdbench", "folder", "labels.json", ".hydra/", "parts/",
    "report", "figures/", "tables/", ".launcher/",
)  # fmt: skip
"""How the names of files in a sweep's folder begin that gdbench makes."""


def _files(folder: Path) -> Iterator[Path]:
    """All files of a sweep, links and locks left out."""
    for file in sorted(folder.rglob("*")):
        if file.is_file() and not file.is_symlink() and not (file.parent.name == ".hydra" and file.name in LEFT_OUT):
            yield file


# ------------------------------------------------------------------------------------------------------------ packing


def pack(folders: Sequence[Path], file: Path, outputs: Path) -> int:
    """Write an archive, whole or not at all; returns how many files it holds."""
    if file.exists():
        raise UsageError(f"{file} is there already: choose another name by --to, or remove it.")
    names = {_within(folder, outputs): folder for folder in folders}
    beside = scratch_path(file.parent, "archive", file.name)
    sums = []
    try:
        remove_leftovers(file.parent, "archive")
        with zipfile.ZipFile(beside, "x") as zipped:
            for name, folder in names.items():
                for each in _files(folder):
                    inside = f"{name}/{each.relative_to(folder).as_posix()}"
                    sums.append(f"{_put(zipped, each, inside)}  {inside}\n")
            zipped.writestr(SUMS, "".join(sums))
        beside.replace(file)
    except OSError as error:
        raise UsageError(f"{file} cannot be written ({error.strerror or error}); nothing was changed.") from None
    finally:
        with contextlib.suppress(OSError):  # a file system that is read-only refuses even to remove nothing
            beside.unlink()
    return len(sums)


def _within(folder: Path, outputs: Path) -> str:
    """Where a sweep shall lie among others: as it does here, or else below its own parent's name."""
    whole = folder.resolve()
    if whole.is_relative_to(outputs.resolve()) and whole != outputs.resolve():
        return whole.relative_to(outputs.resolve()).as_posix()
    return f"{whole.parent.name}/{whole.name}"


def _put(zipped: zipfile.ZipFile, file: Path, inside: str) -> str:
    """Add a file; returns its SHA-256, of the very bytes that were packed."""
    told = zipfile.ZipInfo.from_file(file, inside, strict_timestamps=False)
    told.compress_type = zipfile.ZIP_STORED if file.suffix in STORED else zipfile.ZIP_DEFLATED
    digest = hashlib.sha256()
    with file.open("rb") as source, zipped.open(told, "w", force_zip64=True) as target:
        while chunk := source.read(CHUNK):
            digest.update(chunk)
            target.write(chunk)
    return digest.hexdigest()


# ---------------------------------------------------------------------------------------------------------- unpacking


def unpack(file: Path, outputs: Path) -> list[Path]:
    """Unpack beside, check every hash, and only then move the folders to their places; returns these."""
    try:
        with zipfile.ZipFile(file) as zipped:
            sums = _sums(zipped, file)
            try:
                outputs.mkdir(parents=True, exist_ok=True)
                remove_leftovers(outputs, "unarchive")
                with _scratch_folder(outputs) as beside:
                    for inside, digest in sums.items():
                        _take(zipped, inside, digest, beside, file)
                    return _moved(beside, outputs)
            except OSError as error:
                reason = error.strerror or error
                raise UsageError(f"{outputs} cannot be written ({reason}); nothing was unpacked.") from None
    except OSError as error:
        raise UsageError(f"{file} cannot be read ({error.strerror or error}).") from None
    except DAMAGED as error:
        raise UsageError(f"{file} is no archive of gdbench, or is damaged ({error}); nothing was unpacked.") from None


@contextlib.contextmanager
def _scratch_folder(outputs: Path) -> Iterator[Path]:
    """A hidden folder among the sweeps, removed at the end."""
    beside = scratch_path(outputs, "unarchive")
    beside.mkdir()
    try:
        yield beside
    finally:
        shutil.rmtree(beside)


def _sums(zipped: zipfile.ZipFile, file: Path) -> dict[str, str]:
    """The hash of each file, by its name; ``UsageError`` unless these are the files that the archive holds."""
    try:
        lines = zipped.read(SUMS).decode().splitlines()
    except (KeyError, UnicodeDecodeError):
        raise UsageError(f"{file} is no archive of gdbench: it holds no {SUMS}.") from None
    sums = {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
    _check_size(zipped, file)
    strange = {SUMS, *sums} ^ set(zipped.namelist())
    unsafe = [name for name in sums if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts]
    for name in sorted(strange) + unsafe:
        raise UsageError(f"{file} is not as it was packed: {name} does not belong to it; nothing was unpacked.")
    return sums


def _check_size(zipped: zipfile.ZipFile, file: Path) -> None:
    """``UsageError`` where an archive would grow beyond all reason: it may be a stranger's, made to fill the disk."""
    packed, whole = file.stat().st_size, sum(member.file_size for member in zipped.infolist())
    if whole > max(SMALL, MOST_GROWTH * packed):
        raise UsageError(
            f"{file} would unpack {packed:,} bytes into {whole:,}: more than {MOST_GROWTH} times is not taken; nothing"
            " was unpacked."
        )


def _take(zipped: zipfile.ZipFile, inside: str, digest: str, beside: Path, file: Path) -> None:
    place = beside / inside
    place.parent.mkdir(parents=True, exist_ok=True)
    found = hashlib.sha256()
    with zipped.open(inside) as source, place.open("wb") as target:
        while chunk := source.read(CHUNK):
            found.update(chunk)
            target.write(chunk)
    if found.hexdigest() != digest:
        raise UsageError(f"{file} is not as it was packed: {inside} has another hash; nothing was unpacked.")


def _moved(beside: Path, outputs: Path) -> list[Path]:
    found = sorted({each for each in beside.rglob("*") if each.is_dir() and is_sweep(each)})
    places = [outputs / each.relative_to(beside) for each in found]
    taken = [place for place in places if place.exists()]
    if taken:
        raise UsageError(f"{taken[0]} is there already: remove or move it first; nothing was unpacked.")
    for each, place in zip(found, places, strict=True):
        place.parent.mkdir(parents=True, exist_ok=True)
        each.rename(place)
    return places


# ----------------------------------------------------------------------------------------------------------- removing


def described(folder: Path) -> str:
    """A sweep's folder, its size, and what of it gdbench did not make."""
    files = list(_files(folder))
    foreign = [each for each in files if not each.relative_to(folder).as_posix().startswith(OWN)]
    size = sum(each.stat().st_size for each in files) / 1e6
    own = f", {len(foreign)} of them not made by gdbench ({foreign[0].relative_to(folder)} first)" if foreign else ""
    return f"{folder}: {format_count(len(files), 'file')}, {size:.1f} MB{own}"


def removed(folder: Path) -> None:
    """Remove a sweep: out of sight at once, so that one that is half removed is never taken for another."""
    if folder.is_symlink():
        raise UsageError(f"{folder} is a link: remove it, or the folder that it leads to, by hand.")
    hidden = scratch_path(folder.parent, "removed", folder.name)
    try:
        remove_leftovers(folder.parent, "removed")
        folder.rename(hidden)
        shutil.rmtree(hidden)
        with contextlib.suppress(OSError):  # the folder of the day, unless there are others
            folder.parent.rmdir()
    except OSError as error:
        left = hidden if hidden.exists() else folder
        raise UsageError(f"{left} cannot be removed ({error.strerror or error}).") from None
