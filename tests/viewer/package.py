"""The prebuilt OHIF application, fetched once with npm."""

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
    """Folder of the application's files; the test is skipped where it can be neither found nor fetched."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dicomnode-tests"
    target = cache / f"ohif-app-{_VERSION}"
    if not target.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=cache) as folder:
            _fetch(Path(folder))
            # Whoever else has put it there meanwhile put the same there.
            if not target.is_dir():
                (Path(folder) / "package").rename(target)
    return target / "dist"


def _fetch(folder: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm, which fetches the OHIF viewer, is not installed; Debian package npm")
    try:
        subprocess.run(
            [npm, "pack", "--silent", f"{_NAME}@{_VERSION}"],
            cwd=folder, capture_output=True, text=True, timeout=_SECONDS, check=True,
        )  # fmt: skip
    except subprocess.CalledProcessError as error:
        pytest.skip(f"npm cannot fetch {_NAME} {_VERSION}; is there a network? {error.stderr.strip()[-500:]}")
    except subprocess.TimeoutExpired:
        pytest.skip(f"npm did not fetch {_NAME} {_VERSION} within {_SECONDS} s; is there a network?")
    (archive,) = folder.glob("*.tgz")
    with tarfile.open(archive) as packed:
        packed.extractall(folder, filter="data")
