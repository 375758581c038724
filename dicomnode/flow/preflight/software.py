"""Tests what this program stands on: Python, the packages it was tested with, and decoders."""

from __future__ import annotations

import platform
import re
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from pydicom.uid import UID

from dicomnode import __version__
from dicomnode.config import shipped
from dicomnode.flow.verdict import Check, Verdict
from dicomnode.receive.contexts import PREFERENCE, readable

_DISTRIBUTION = "dicomnode-ai"

#: How a requirement begins (PEP 508), and a line of a constraints file.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_PINNED = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;#]+)", re.MULTILINE)


def software(constraints: Path | None = None) -> Iterator[Check]:
    """Python, packages, and which compressed images can be read.

    Parameters
    ----------
    constraints
        The file of versions that were tested; the shipped one when None.
    """
    found = f"dicomnode {__version__}, Python {platform.python_version()}, {platform.platform(terse=True)}"
    yield Check(subject="software", verdict=Verdict.OK, found=found)
    yield _packages(constraints or shipped("constraints.txt"))
    yield _decoders()


def _packages(constraints: Path) -> Check:
    subject = "packages"
    tested = {_plain(name): pin for name, pin in _PINNED.findall(_read(constraints))}
    missing, other, count = [], [], 0
    for name in _needed():
        try:
            have = version(name)
        except PackageNotFoundError:
            missing.append(name)
            continue
        count += 1
        pin = tested.get(_plain(name), have)
        # A local part, as of a build for one CUDA, is the same release.
        if have.split("+")[0] != pin.split("+")[0]:
            other.append(f"{name} {have} (tested: {pin})")
    remedy = f"install with -c {constraints}"
    if missing:
        return Check(subject=subject, verdict=Verdict.FAIL, found=f"missing: {', '.join(missing)}", remedy=remedy)
    if other:
        return Check(subject=subject, verdict=Verdict.WARN, found=", ".join(other), remedy=remedy)
    how = "in the versions that were tested" if tested else "not compared, since constraints.txt was not shipped"
    return Check(subject=subject, verdict=Verdict.OK, found=f"{count} packages, {how}")


def _needed() -> Iterator[str]:
    """Names of what this program needs here, without extras; none where it was not installed as a package."""
    try:
        lines = requires(_DISTRIBUTION) or []
    except PackageNotFoundError:
        return
    for line in lines:
        name = _NAME.match(line)
        # onnxruntime goes by another name where it brings CUDA, and one of both is there.
        if name and "extra ==" not in line and not name[0].startswith("onnxruntime"):
            yield name[0]


def _plain(name: str) -> str:
    """A name in the form in which names are compared (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""


def _decoders() -> Check:
    compressed = [syntax for syntax in PREFERENCE if UID(syntax).is_compressed and UID(syntax).is_encapsulated]
    lacking = [UID(syntax).name for syntax in compressed if not readable(UID(syntax))]
    if lacking:
        remedy = "install the decoders of pyproject.toml; until then such objects are not accepted"
        return Check(subject="decoders", verdict=Verdict.WARN, found=f"none for {', '.join(lacking)}", remedy=remedy)
    found = f"all {len(compressed)} compressed transfer syntaxes can be read"
    return Check(subject="decoders", verdict=Verdict.OK, found=found)
