"""Archive sweeps in one zip file with SHA256SUMS (the format of ``sha256sum -c``), restore them, remove sweeps."""

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
from gdbench.results.temporary_paths import make_temporary_path, remove_leftovers

__all__ = ["describe_folder", "pack_sweeps", "remove_sweep", "unpack_sweeps"]

CHECKSUM_FILE = "SHA256SUMS"
COMPRESSED_SUFFIXES = (".parquet", ".png", ".zip")
"""Files that are already compressed are stored as they are."""
LOCK_FILES = ("lock", "labels.lock")
"""Files of ``.hydra/`` that are meaningful only while a process holds them."""
CHUNK_BYTES = 2**20
ALWAYS_ALLOWED_BYTES = 2**26
"""Uncompressed size that is accepted at any compression ratio."""
MAX_EXPANSION = 50
"""Largest accepted compression ratio: archives of gdbench have about 1.5, text alone up to 20."""
ARCHIVE_ERRORS = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError)
"""Exceptions of zipfile for archives that are truncated, modified, or of an unsupported kind."""
OWN_PREFIXES = (
    *(f"{name}.parquet" for name in TABLES), "environment", "gdbench", "folder", "labels.json", ".hydra/", "parts/",
    "report", "figures/", "tables/", "weights/", ".launcher/",
)  # fmt: skip
"""Prefixes of the names of files that gdbench writes into a sweep's folder."""


def _iterate_files(folder: Path) -> Iterator[Path]:
    """Files of a sweep, without links and locks, sorted."""
    for file in sorted(folder.rglob("*")):
        if file.is_file() and not file.is_symlink() and not (file.parent.name == ".hydra" and file.name in LOCK_FILES):
            yield file


# ------------------------------------------------------------------------------------------------------------ packing


def pack_sweeps(folders: Sequence[Path], file: Path, outputs: Path) -> int:
    """Write an archive atomically; returns the number of files in it."""
    if file.exists():
        raise UsageError(f"{file} exists: choose another name with --to, or remove it.")
    names = {_compute_archive_path(folder, outputs): folder for folder in folders}
    beside = make_temporary_path(file.parent, "archive", file.name)
    sums = []
    try:
        remove_leftovers(file.parent, "archive")
        with zipfile.ZipFile(beside, "x") as zipped:
            for name, folder in names.items():
                for source in _iterate_files(folder):
                    inside = f"{name}/{source.relative_to(folder).as_posix()}"
                    sums.append(f"{_add_file(zipped, source, inside)}  {inside}\n")
            zipped.writestr(CHECKSUM_FILE, "".join(sums))
        beside.replace(file)
    except OSError as error:
        raise UsageError(f"{file} cannot be written ({error.strerror or error}); nothing was changed.") from None
    finally:
        with contextlib.suppress(OSError):  # a file system that is read-only refuses even to remove nothing
            beside.unlink()
    return len(sums)


def _compute_archive_path(folder: Path, outputs: Path) -> str:
    """Path of a sweep inside an archive: relative to ``outputs``, else its parent's name and its own."""
    whole = folder.resolve()
    if whole.is_relative_to(outputs.resolve()) and whole != outputs.resolve():
        return whole.relative_to(outputs.resolve()).as_posix()
    return f"{whole.parent.name}/{whole.name}"


def _add_file(zipped: zipfile.ZipFile, file: Path, inside: str) -> str:
    """Add a file; returns the SHA-256 of the bytes that were packed."""
    info = zipfile.ZipInfo.from_file(file, inside, strict_timestamps=False)
    info.compress_type = zipfile.ZIP_STORED if file.suffix in COMPRESSED_SUFFIXES else zipfile.ZIP_DEFLATED
    digest = hashlib.sha256()
    with file.open("rb") as source, zipped.open(info, "w", force_zip64=True) as target:
        while chunk := source.read(CHUNK_BYTES):
            digest.update(chunk)
            target.write(chunk)
    return digest.hexdigest()


# ---------------------------------------------------------------------------------------------------------- unpacking


def unpack_sweeps(file: Path, outputs: Path) -> list[Path]:
    """Extract to a hidden folder, verify every hash, then move the sweeps into place; returns their folders."""
    try:
        with zipfile.ZipFile(file) as zipped:
            sums = _read_checksums(zipped, file)
            try:
                outputs.mkdir(parents=True, exist_ok=True)
                remove_leftovers(outputs, "unarchive")
                with _scratch_folder(outputs) as beside:
                    for inside, digest in sums.items():
                        _extract_file(zipped, inside, digest, beside, file)
                    return _place_sweeps(beside, outputs)
            except OSError as error:
                reason = error.strerror or error
                raise UsageError(f"{outputs} cannot be written ({reason}); nothing was unpacked.") from None
    except OSError as error:
        raise UsageError(f"{file} cannot be read ({error.strerror or error}).") from None
    except ARCHIVE_ERRORS as error:
        raise UsageError(f"{file} is no archive of gdbench, or is damaged ({error}); nothing was unpacked.") from None


@contextlib.contextmanager
def _scratch_folder(outputs: Path) -> Iterator[Path]:
    """Context manager: a hidden folder among the sweeps, removed at the end."""
    beside = make_temporary_path(outputs, "unarchive")
    beside.mkdir()
    try:
        yield beside
    finally:
        shutil.rmtree(beside)


def _read_checksums(zipped: zipfile.ZipFile, file: Path) -> dict[str, str]:
    """SHA-256 by file name; ``UsageError`` unless the names are exactly the safe members of the archive."""
    try:
        lines = zipped.read(CHECKSUM_FILE).decode().splitlines()
    except (KeyError, UnicodeDecodeError):
        raise UsageError(f"{file} is no archive of gdbench: it holds no {CHECKSUM_FILE}.") from None
    sums = {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
    _check_size(zipped, file)
    strange = {CHECKSUM_FILE, *sums} ^ set(zipped.namelist())
    unsafe = [name for name in sums if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts]
    for name in sorted(strange) + unsafe:
        raise UsageError(f"{file} is not as it was packed: {name} does not belong to it; nothing was unpacked.")
    return sums


def _check_size(zipped: zipfile.ZipFile, file: Path) -> None:
    """Raise ``UsageError`` for an archive that would expand beyond MAX_EXPANSION: it may be a zip bomb."""
    packed, whole = file.stat().st_size, sum(member.file_size for member in zipped.infolist())
    if whole > max(ALWAYS_ALLOWED_BYTES, MAX_EXPANSION * packed):
        raise UsageError(
            f"{file} would unpack {packed:,} bytes into {whole:,}: more than {MAX_EXPANSION} times is not taken;"
            " nothing was unpacked."
        )


def _extract_file(zipped: zipfile.ZipFile, inside: str, digest: str, beside: Path, file: Path) -> None:
    place = beside / inside
    place.parent.mkdir(parents=True, exist_ok=True)
    found = hashlib.sha256()
    with zipped.open(inside) as source, place.open("wb") as target:
        while chunk := source.read(CHUNK_BYTES):
            found.update(chunk)
            target.write(chunk)
    if found.hexdigest() != digest:
        raise UsageError(f"{file} is not as it was packed: {inside} has another hash; nothing was unpacked.")


def _place_sweeps(beside: Path, outputs: Path) -> list[Path]:
    """Move extracted sweeps to ``outputs``; ``UsageError`` if one of them exists there."""
    found = sorted({place for place in beside.rglob("*") if place.is_dir() and is_sweep(place)})
    places = [outputs / folder.relative_to(beside) for folder in found]
    taken = [place for place in places if place.exists()]
    if taken:
        raise UsageError(f"{taken[0]} exists: remove or move it first; nothing was unpacked.")
    for folder, place in zip(found, places, strict=True):
        place.parent.mkdir(parents=True, exist_ok=True)
        folder.rename(place)
    return places


# ----------------------------------------------------------------------------------------------------------- removing


def describe_folder(folder: Path) -> str:
    """One line: a sweep's folder, number of files, size, and files that gdbench did not write."""
    files = list(_iterate_files(folder))
    foreign = [file for file in files if not file.relative_to(folder).as_posix().startswith(OWN_PREFIXES)]
    size = sum(file.stat().st_size for file in files) / 1e6
    own = f", {len(foreign)} of them not made by gdbench ({foreign[0].relative_to(folder)} first)" if foreign else ""
    return f"{folder}: {format_count(len(files), 'file')}, {size:.1f} MB{own}"


def remove_sweep(folder: Path) -> None:
    """Remove a sweep: rename it to a hidden name first, so that a half-removed one is never read."""
    if folder.is_symlink():
        raise UsageError(f"{folder} is a link: remove it, or the folder that it leads to, by hand.")
    hidden = make_temporary_path(folder.parent, "removed", folder.name)
    try:
        remove_leftovers(folder.parent, "removed")
        folder.rename(hidden)
        shutil.rmtree(hidden)
        with contextlib.suppress(OSError):  # the folder of the day, unless there are others
            folder.parent.rmdir()
    except OSError as error:
        left = hidden if hidden.exists() else folder
        raise UsageError(f"{left} cannot be removed ({error.strerror or error}).") from None
