"""Makes a folder of wheels from which the node installs without network and without compiler.

Run as `python release/wheelhouse.py FOLDER WHEEL`, by a Python of the minor version that the node is to run on, where
pip, wheel and what pyradiomics' build needs are installed (`make wheelhouse`).
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CONSTRAINTS = ROOT / "constraints.txt"
INSTALLER = Path(__file__).with_name("install.sh")

#: Holds the digest of what the other wheels were collected by.
_COLLECTED = ".collected"


def asked() -> str:
    """Digest of all that decides which wheels of others are needed."""
    told = (CONSTRAINTS.read_bytes(), (ROOT / "pyproject.toml").read_bytes(), sys.version.encode())
    return hashlib.sha256(b"\0".join(told)).hexdigest()


def collect(folder: Path, wheel: Path) -> None:
    """Put the wheels of all that the node needs into a folder; once for the same constraints.

    Parameters
    ----------
    wheel
        Of the node itself, whose metadata say what it needs.
    """
    stamp = folder / _COLLECTED
    if stamp.exists() and stamp.read_text() == asked():
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    # Its build has to see numpy and setuptools, which no metadata can tell pip (README). What pip has in its cache was
    # built for this machine alone.
    alone = ("--no-deps", "--no-build-isolation", "--no-cache-dir")
    _pip("wheel", *alone, "--wheel-dir", folder, "pyradiomics", build=_for_elsewhere())
    _pip("wheel", "--wheel-dir", folder, "--find-links", folder, wheel)
    # What installs the rest.
    _pip("wheel", "--no-deps", "--wheel-dir", folder, "pip")
    stamp.write_text(asked())


def finish(folder: Path, wheel: Path) -> None:
    """Add the node's own wheel, the installer, and the sums of everything."""
    for former in folder.glob("dicomnode_ai-*.whl"):
        former.unlink()
    for one in (wheel, CONSTRAINTS, INSTALLER):
        shutil.copy(one, folder)
    (folder / "PYTHON").write_text(f"{sys.version_info.major}.{sys.version_info.minor}\n")
    named = sorted(path for path in folder.iterdir() if path.name not in ("SHA256SUMS", _COLLECTED))
    sums = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in named]
    (folder / "SHA256SUMS").write_text("".join(sums))


def _for_elsewhere() -> dict[str, str]:
    """Variables of a build whose libraries neither name folders of this machine nor look for others there.

    A Python that was not made by the distribution has the linker write the folder of its own libraries into every
    extension, and the compiler the folder of the source.
    """
    return {"CFLAGS": "-g0", "LDSHARED": f"{sysconfig.get_config_var('CC')} -shared"}


def _pip(verb: str, *arguments: str | Path, build: Mapping[str, str] | None = None) -> None:
    command = [sys.executable, "-m", "pip", verb, "--quiet", "--constraint", str(CONSTRAINTS), *map(str, arguments)]
    subprocess.run(command, env={**os.environ, **(build or {})}, check=True)


if __name__ == "__main__":
    collect(Path(sys.argv[1]), Path(sys.argv[2]))
    finish(Path(sys.argv[1]), Path(sys.argv[2]))
