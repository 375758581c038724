"""Immutable files under the store's folder, durable before anyone is told that they exist."""

from __future__ import annotations

import errno
import hashlib
import os
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from dicomnode.domain.errors import CannotUnderstand, OutOfResources
from dicomnode.domain.uid import LONGEST_UID, is_uid

_OUT_OF_RESOURCES = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.EFBIG}
)
_PART = ".part"

_KINDS = ("incoming", "studies", "results", "notices", "priors")


class Files:
    """The store's folders.

    `incoming/` takes what is still being received, `studies/<study>/` what has arrived, `results/<study>/` what
    this node made, `priors/<study>/` what was fetched of earlier studies. All lie on one file system, so that a link
    or rename is atomic. `notices/<study>/` has what is told beside results, by whichever process; since another may be
    writing there at any time, only what has lain there for a while is swept.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        # What comes by the thousand is named by text: pathlib interns every part of every name it ever saw.
        self._name = str(folder)
        self.incoming = folder / "incoming"
        with mapped_errors():
            # The mode goes to the last folder alone, so that of the store is made by itself.
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            for part in _KINDS:
                (folder / part).mkdir(mode=0o700, exist_ok=True)

    def keep_arrival(self, study_instance_uid: str, sop_instance_uid: str, digest: str, source: Path | str) -> str:
        """Give the finished file `source` its final name, durably; the name relative to the store.

        It has its old name still if this fails.

        Kept under `<sop_instance_uid>.<digest>`, so that the same content is one file however often it comes
        and different content under one UID is two.

        Raises
        ------
        OutOfResources
            If the disk cannot take it.
        CannotUnderstand
            If what is to become its name is not a UID, whoever says so; nothing is written then.
        """
        return self._move("studies", study_instance_uid, sop_instance_uid, digest, source)

    def holds_arrival(self, study_instance_uid: str, sop_instance_uid: str, digest: str) -> bool:
        """Whether `keep_arrival` has kept this content and it is still there."""
        return self.has(f"studies/{study_instance_uid}/{sop_instance_uid}.{digest}")

    def keep_result(self, study_instance_uid: str, sop_instance_uid: str, data: bytes) -> tuple[str, str]:
        """Write a result durably; its name relative to the store and its SHA-256."""
        digest = hashlib.sha256(data).hexdigest()
        return self._write("results", study_instance_uid, sop_instance_uid, digest, data), digest

    def keep_notice(self, study_instance_uid: str, sop_instance_uid: str, data: bytes) -> tuple[str, str]:
        """As `keep_result`, for what is told beside results."""
        digest = hashlib.sha256(data).hexdigest()
        return self._write("notices", study_instance_uid, sop_instance_uid, digest, data), digest

    def keep_prior(self, study_instance_uid: str, sop_instance_uid: str, digest: str, source: Path | str) -> str:
        """Keep the finished file `source` of an earlier study; as `keep_arrival`."""
        return self._move("priors", study_instance_uid, sop_instance_uid, digest, source)

    def path(self, relative: str) -> Path:
        """Where a kept file lies.

        Raises
        ------
        ValueError
            If that is outside the store: somebody has been at the database.
        """
        _require_inside(relative)
        return self.folder / relative

    def has(self, relative: str) -> bool:
        """Whether a kept file is there.

        Raises
        ------
        ValueError
            As `path`.
        """
        _require_inside(relative)
        return os.path.isfile(f"{self._name}/{relative}")

    def lying(self) -> Iterator[Path]:
        """Every file below the store's folders, whatever it is."""
        for part in _KINDS:
            for folder, _folders, names in os.walk(self.folder / part):
                yield from (Path(folder) / name for name in names)

    def remove(self, paths: Collection[str]) -> dict[str, str]:
        """Remove kept files durably, and folders in which nothing is left; what is not there is no fault.

        Returns
        -------
        dict
            Those that may not be removed, whoever has seen to that, and why.

        Raises
        ------
        OutOfResources
            The disk fails or is read-only.
        """
        denied = {}
        with mapped_errors():
            folders = {self.path(path).parent for path in paths}
            for path in paths:
                try:
                    self.path(path).unlink(missing_ok=True)
                except (PermissionError, IsADirectoryError, NotADirectoryError) as error:
                    denied[path] = error.strerror or str(error)
            for folder in folders:
                with suppress(OSError):
                    folder.rmdir()
                sync(folder if folder.is_dir() else folder.parent)
        return denied

    def sweep(self, kind: str, known: Callable[[str], set[str]], since: float, until: float | None = None) -> list[str]:
        """Remove what a crash left behind: files of `kind` that no row names; what was removed.

        Only safe while nothing of that kind is being written, or with `until`. Sweeping `studies` clears `incoming`
        too.

        Parameters
        ----------
        known
            The files that rows name, by study.
        since
            Folders that did not change after this POSIX time are passed over: a crash leaves traces only where
            something was being written, and a store has many folders.
        until
            Files that changed after this POSIX time stay; None: all are looked at.
        """

        def left_behind(path: Path) -> bool:
            # Somebody who refuses objects until the store is ready writes and removes at this moment.
            with suppress(FileNotFoundError):
                return path.is_file() and (until is None or path.stat().st_mtime < until)
            return False

        left = [path for path in self.incoming.iterdir() if left_behind(path)] if kind == "studies" else []
        for folder in (self.folder / kind).iterdir():
            if folder.is_dir() and folder.stat().st_mtime >= since:
                rows = known(folder.name)
                left += [
                    path for path in folder.iterdir()
                    if str(path.relative_to(self.folder)) not in rows and left_behind(path)
                ]  # fmt: skip
        for path in left:
            path.unlink(missing_ok=True)
        return sorted(str(path.relative_to(self.folder)) for path in left)

    def _move(self, kind: str, study: str, instance: str, digest: str, source: Path | str) -> str:
        relative = _named(kind, study, instance, digest)
        folder, final = f"{self._name}/{kind}/{study}", f"{self._name}/{relative}"
        with mapped_errors():
            try:
                sync(source)
                _in_folder(folder, lambda: os.rename(source, final))
            except FileNotFoundError as error:
                if os.path.exists(source):
                    raise
                name = os.path.basename(source)
                raise CannotUnderstand(f"{name}: the received file is gone before it could be kept") from error
            sync(folder)
        return relative

    def _write(self, kind: str, study: str, instance: str, digest: str, data: bytes) -> str:
        relative = _named(kind, study, instance, digest)
        final = self.folder / relative
        part = final.parent / f".{final.name[:200]}.{os.getpid()}.{threading.get_ident()}{_PART}"
        with mapped_errors():
            try:
                part.unlink(missing_ok=True)
                _in_folder(final.parent, lambda: part.write_bytes(data))
                sync(part)
                part.rename(final)
            except BaseException:
                with suppress(OSError):
                    part.unlink(missing_ok=True)
                raise
            sync(final.parent)
        return relative


def _require_inside(relative: str) -> None:
    if relative.startswith("/") or ".." in relative.split("/"):
        raise ValueError(f"{relative[:LONGEST_UID]!r}: a row names a file outside the store")


def _named(kind: str, study: str, instance: str, digest: str) -> str:
    for uid in (study, instance):
        if not is_uid(uid):
            raise CannotUnderstand(f"{uid[: LONGEST_UID + 1]!r} is not a UID (PS3.5 9.1), so no file is named so")
    if not digest.isalnum():
        raise ValueError(f"{digest!r} is no digest")
    return f"{kind}/{study}/{instance}.{digest}"


def _in_folder(folder: Path | str, act: Callable[[], object]) -> None:
    """Act in a folder that may have to be made, or was empty and is removed at this moment."""
    if os.path.isdir(folder):
        with suppress(FileNotFoundError):
            act()
            return
    with suppress(FileExistsError):
        os.mkdir(folder, mode=0o700)
    sync(os.path.dirname(folder))
    act()


def is_kept(relative: str) -> bool:
    """Whether a name is one that a file is kept under, or gets when it is whole."""
    kind, *inside = relative.split("/")
    if len(inside) != 2:
        return False
    study, name = inside
    if name.startswith("."):
        name = name[1:].removesuffix(_PART)
    instance, _dot, digest = name.rpartition(".")
    return kind in _KINDS and is_uid(study) and is_uid(instance) and digest.isalnum()


def sync(path: Path | str) -> None:
    """Make a file, or the names in a folder, survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def mapped_errors() -> Iterator[None]:
    """Turn a full, failing or read-only disk into `OutOfResources`."""
    try:
        yield
    except OSError as error:
        if error.errno in _OUT_OF_RESOURCES:
            raise OutOfResources(f"store: {error.strerror}") from error
        raise
