"""Makes the sdist and, of what is in it, the wheel.

Run as `python release/distributions.py FOLDER` where setuptools is installed (`make dist`).
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

#: The hooks of PEP 517, called in a process of their own since they work in the current folder.
_SDIST = "import sys; from setuptools.build_meta import build_sdist; build_sdist(sys.argv[1])"
_WHEEL = "import sys; from setuptools.build_meta import build_wheel; build_wheel(sys.argv[1])"


def sources() -> list[str]:
    """Files of the source by their names below its folder: what git knows or would take.

    Never what lies there besides: setuptools puts into a package whatever an earlier build has left behind.
    """
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return sorted(name for name in listed.split("\0") if name and (ROOT / name).is_file())


def make(folder: Path) -> tuple[Path, Path]:
    """Write both into a folder, in place of former ones; their paths.

    Parameters
    ----------
    folder
        Where they go; made when absent.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for former in [*folder.glob("dicomnode_ai-*.tar.gz"), *folder.glob("dicomnode_ai-*.whl")]:
        former.unlink()
    with tempfile.TemporaryDirectory() as made:
        clean = Path(made) / "source"
        for name in sources():
            (clean / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, clean / name)
        _call(_SDIST, folder, clean)
        (sdist,) = folder.glob("dicomnode_ai-*.tar.gz")
        # Of the sdist and not of the source, so that the sdist is known to lack nothing.
        shutil.unpack_archive(sdist, made)
        _call(_WHEEL, folder, Path(made) / sdist.name.removesuffix(".tar.gz"))
    (wheel,) = folder.glob("dicomnode_ai-*.whl")
    return sdist, wheel


def _call(hook: str, folder: Path, source: Path) -> None:
    subprocess.run([sys.executable, "-c", hook, str(folder.resolve())], cwd=source, capture_output=True, check=True)


if __name__ == "__main__":
    for path in make(Path(sys.argv[1])):
        sys.stdout.write(f"{path}\n")
