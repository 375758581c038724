"""Hashes the networks of models beside the requests that ask about them, and remembers what was found."""

from __future__ import annotations

import time
from collections.abc import Iterable
from concurrent.futures import Future
from pathlib import Path
from threading import Lock, Thread

from dicomnode.domain.model import ModelSpec
from dicomnode.flow.models.installed import Installed, described

#: What is said of files that are still being hashed.
CHECKING = "being checked"

#: Path, time and size of every file of a bundle.
_Stamp = tuple[tuple[str, int, int], ...]

#: Hashing networks takes seconds for each GiB: one bundle is hashed at a time, beside the requests, and what was found
#: is kept while no file of it changes.
_known: dict[Path, tuple[_Stamp, Future[Installed]]] = {}
_lock, _one_at_a_time = Lock(), Lock()

#: So long a request waits for all of them.
_PATIENCE_SECONDS = 2.0


def known_by_now(specs: Iterable[ModelSpec]) -> dict[str, Installed]:
    """Every bundle in words, by name; one whose files are still being hashed says so."""
    asked = [(spec, _asked(spec)) for spec in specs]
    ends = time.monotonic() + _PATIENCE_SECONDS
    told = {}
    for spec, one in asked:
        try:
            told[spec.name] = one.result(max(0.0, ends - time.monotonic()))
        except TimeoutError:
            told[spec.name] = described(spec, None, files=CHECKING)
    return told


def _asked(spec: ModelSpec) -> Future[Installed]:
    stamp = tuple(
        (str(path), path.stat().st_mtime_ns, path.stat().st_size)
        for path in sorted(spec.folder.rglob("*")) if path.is_file()
    )  # fmt: skip
    with _lock:
        known = _known.get(spec.folder)
        if known is None or known[0] != stamp:
            known = _known[spec.folder] = (stamp, Future())
            # It ends with the process, which may stop meanwhile.
            Thread(target=_look, args=(spec, known[1]), daemon=True).start()
        return known[1]


def _look(spec: ModelSpec, found: Future[Installed]) -> None:
    try:
        with _one_at_a_time:
            found.set_result(described(spec, None))
    except OSError as error:
        found.set_exception(error)
