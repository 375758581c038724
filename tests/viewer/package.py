"""Packages that tests need in a browser, each fetched once with npm."""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

#: Fixed, so that the test changes with this project only.
_NAME, _VERSION = "@ohif/app", "3.13.2"

#: The package has 50 MB.
_SECONDS = 300


def viewer() -> Path:
    """Folder of the prebuilt OHIF application; the test is skipped where it can be neither found nor fetched."""
    return fetched(_NAME, _VERSION) / "dist"


def fetched(name: str, version: str) -> Path:
    """Folder of a package's files; the test is skipped where it can be neither found nor fetched."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dicomnode-tests"
    target = cache / f"{name.lstrip('@').replace('/', '-')}-{version}"
    if not target.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=cache) as folder:
            _fetch(Path(folder), name, version)
            # Whoever else has put it there meanwhile put the same there.
            if not target.is_dir():
                (Path(folder) / "package").rename(target)
    return target


def _fetch(folder: Path, name: str, version: str) -> None:
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip(f"npm, which fetches {name}, is not installed; Debian package npm")
    try:
        subprocess.run(
            [npm, "pack", "--silent", f"{name}@{version}"],
            cwd=folder, capture_output=True, text=True, timeout=_SECONDS, check=True,
        )  # fmt: skip
    except subprocess.CalledProcessError as error:
        pytest.skip(f"npm cannot fetch {name} {version}; is there a network? {error.stderr.strip()[-500:]}")
    except subprocess.TimeoutExpired:
        pytest.skip(f"npm did not fetch {name} {version} within {_SECONDS} s; is there a network?")
    (archive,) = folder.glob("*.tgz")
    with tarfile.open(archive) as packed:
        packed.extractall(folder, filter="data")
