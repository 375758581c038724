"""Makes the Debian package from the wheelhouse: a virtual environment in /opt/dicomnode, units, configuration.

Run as `python release/deb.py WHEELHOUSE FOLDER`, by a Python of the minor version that the package is to run on, with
pip (`make deb`); needs dpkg-deb, and neither root nor network.
"""

from __future__ import annotations

import argparse
import base64
import compileall
import csv
import gzip
import hashlib
import os
import py_compile
import re
import shutil
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from string import Template

ROOT = Path(__file__).resolve().parents[1]
DEBIAN = ROOT / "packaging" / "debian"
SCRIPTS = ("postinst", "prerm", "postrm")

#: Where the package puts itself; the units and the maintainer scripts name it, too.
PREFIX = Path("/opt/dicomnode")

MINOR = f"{sys.version_info.major}.{sys.version_info.minor}"
NEXT_MINOR = f"{sys.version_info.major}.{sys.version_info.minor + 1}"

#: Only this machine reaches a node that nobody has set up yet, so that it may run from the first moment.
_LOOPBACK = (
    'host = "127.0.0.1"         # this machine alone, until you write "0.0.0.0" or the address of one interface\n'
)

_FIRST = (
    "from pathlib import Path; import sys;"
    "from dicomnode.flow.first import Wishes, write_configuration;"
    "write_configuration(Path(sys.argv[1]), aet='DICOMNODE', port=11112, pacs=('PACS', '127.0.0.1', 104),"
    " store=Path('/var/lib/dicomnode'), wishes=Wishes(web_port=11180))"
)


def environment(folder: Path, wheelhouse: Path) -> None:
    """Make a virtual environment with everything in it, as installed, still with the paths of where it was made."""
    venv.EnvBuilder(symlinks=True).create(folder)
    # bytecode is made at the end, when every file is what it will be
    command = ["install", "--quiet", "--no-index", "--no-compile", "--no-warn-script-location"]
    command += ["--find-links", str(wheelhouse), "--constraint", str(wheelhouse / "constraints.txt"), "dicomnode-ai"]
    python = folder / "bin" / "python"
    subprocess.run([sys.executable, "-m", "pip", "--isolated", "--python", str(python), *command], check=True)


def configuration(folder: Path) -> str:
    """What `dicomnode init` writes, kept to this machine."""
    with tempfile.TemporaryDirectory() as made:
        path = Path(made) / "dicomnode.toml"
        # -I: what is installed there, and not the source that may be the current folder.
        subprocess.run([folder / "bin" / "python", "-IB", "-c", _FIRST, str(path)], check=True)
        written = path.read_text(encoding="utf-8").replace(str(folder), str(PREFIX))
    first, port, rest = written.partition("port = 11112\n")
    if not port:
        raise SystemExit("deb: the first configuration has no line of the port any more, after which the address goes")
    return first + port + _LOOPBACK + rest


def move(folder: Path) -> None:
    """Have it belong to `PREFIX` and to Debian's Python instead of where and by whom it was made."""
    scripts = folder / "bin"
    for path in sorted(scripts.iterdir()):
        if path.name.lower().startswith("activate") or path.is_symlink():
            path.unlink()
        else:
            _begin_with(path, f"#!{PREFIX}/bin/python")
    (scripts / "python").symlink_to(f"/usr/bin/python{MINOR}")
    for name in ("python3", f"python{MINOR}"):
        (scripts / name).symlink_to("python")
    told = f"home = /usr/bin\ninclude-system-site-packages = false\nversion = {MINOR}\n"
    (folder / "pyvenv.cfg").write_text(told)
    (folder / "lib64").unlink(missing_ok=True)
    shutil.rmtree(folder / "include", ignore_errors=True)
    packages = folder / "lib" / f"python{MINOR}" / "site-packages"
    for record in packages.glob("*.dist-info/RECORD"):
        _record(record, packages)


def _begin_with(script: Path, line: str) -> None:
    """Replace the interpreter of a script; a long path makes pip write two lines that sh reads first."""
    text = script.read_bytes()
    if not text.startswith(b"#!"):
        return
    begin = 3 if text.startswith(b"#!/bin/sh\n'''exec'") else 1
    script.write_bytes(b"\n".join([line.encode(), *text.split(b"\n")[begin:]]))


def _record(record: Path, packages: Path) -> None:
    """Write down what the scripts have become, so that `pip check` and auditors find what RECORD says."""
    with record.open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    for row in rows:
        path = packages / row[0]
        if row[0].startswith("../../../bin/") and path.is_file():
            digest = base64.urlsafe_b64encode(hashlib.sha256(path.read_bytes()).digest()).rstrip(b"=")
            row[1:] = [f"sha256={digest.decode()}", str(path.stat().st_size)]
    with record.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)


def compile_all(folder: Path, root: Path) -> None:
    """Bytecode beside every file: the node may write nothing there, and would read a minute at every start.

    Tied to no time of a file, so that what unpacks the package need not keep it (PEP 552).
    """
    compileall.compile_dir(
        folder / "lib", quiet=2, force=True, workers=0, stripdir=str(root), prependdir="/",
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
    )  # fmt: skip


def strangers(root: Path, *paths: Path) -> Iterator[Path]:
    """Files that name a path of the machine that made the package."""
    needles = [str(path).encode() for path in paths]
    for path in sorted(root.rglob("*")):
        if path.is_file() and not path.is_symlink():
            content = path.read_bytes()
            if any(needle in content for needle in needles):
                yield path


def libc(root: Path) -> str:
    """The oldest C library on which every extension loads, by the newest symbol version that one of them names."""
    found = {int(one) for path in root.rglob("*.so*") for one in re.findall(rb"GLIBC_2\.(\d+)", path.read_bytes())}
    return f"2.{max(found)}"


def stage(root: Path, wheelhouse: Path) -> None:
    """Lay out all files of the package but those that name its version."""
    made = root / PREFIX.relative_to("/")
    made.parent.mkdir(parents=True)
    environment(made, wheelhouse)
    first = configuration(made)
    move(made)
    compile_all(made, root)
    _put(root / "etc" / "dicomnode" / "dicomnode.toml", first.encode())
    for unit in sorted((ROOT / "systemd").iterdir()):
        _put(root / "usr" / "lib" / "systemd" / "system" / unit.name, unit.read_bytes())
    command = root / "usr" / "bin" / "dicomnode"
    command.parent.mkdir(parents=True)
    command.symlink_to(PREFIX / "bin" / "dicomnode")
    shared = root / "usr" / "share"
    _put(shared / "doc" / "dicomnode" / "copyright", (DEBIAN / "copyright").read_bytes())
    _put(shared / "doc" / "dicomnode" / "changelog.gz", gzip.compress((ROOT / "CHANGELOG.md").read_bytes(), mtime=0))
    manual = gzip.compress((DEBIAN / "dicomnode.1").read_bytes(), mtime=0)
    _put(shared / "man" / "man1" / "dicomnode.1.gz", manual)
    _put(shared / "lintian" / "overrides" / "dicomnode", (DEBIAN / "lintian-overrides").read_bytes())
    if named := list(strangers(root, root, ROOT)):
        raise SystemExit(f"deb: these files name where they were made: {', '.join(map(str, named[:5]))}")


def control(root: Path, version: str) -> None:
    """Write what names the version: the change log of the package, and the control files."""
    entry = Template(
        "dicomnode ($version) stable; urgency=medium\n\n  * See changelog.gz.\n\n"
        " -- dicomnode maintainers <maintainers@dicomnode.example>  $date\n"
    ).substitute(version=version, date=format_datetime(_date()))
    _put(root / "usr/share/doc/dicomnode/changelog.Debian.gz", gzip.compress(entry.encode(), mtime=0))
    folder = root / "DEBIAN"
    shutil.rmtree(folder, ignore_errors=True)
    files = sorted(path for path in root.rglob("*") if path.is_file() and not path.is_symlink())
    # Without configuration, of which dpkg keeps books of its own.
    sums = [f"{_md5(path)}  {path.relative_to(root)}\n" for path in files if path.relative_to(root).parts[0] != "etc"]
    size = sum(-(-path.stat().st_size // 1024) for path in files)
    command = ["dpkg", "--print-architecture"]
    architecture = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    text = Template((DEBIAN / "control").read_text()).substitute(
        version=version, architecture=architecture, python=MINOR, next_python=NEXT_MINOR, libc=libc(root),
        installed_size=size,
    )  # fmt: skip
    _put(folder / "control", text.encode())
    _put(folder / "conffiles", b"/etc/dicomnode/dicomnode.toml\n")
    _put(folder / "md5sums", "".join(sums).encode())
    for name in SCRIPTS:
        _put(folder / name, (DEBIAN / name).read_bytes())
        (folder / name).chmod(0o755)


def _md5(path: Path) -> str:
    """What dpkg --verify compares a file with; no protection against anybody."""
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()


def _put(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _date() -> datetime:
    """When the package is made, or when whoever wants the same bytes again says that it is."""
    given = os.environ.get("SOURCE_DATE_EPOCH")
    return datetime.fromtimestamp(int(given), UTC) if given else datetime.now(UTC)


def _modes(root: Path) -> None:
    """Readable for everybody, writable for root alone, whatever the umask was."""
    for path in [root, *root.rglob("*")]:
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)


def main() -> None:
    """Make the package and print its path."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("wheelhouse", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--revision", action="append", help="of the package of one version, a higher one upgrades; 1")
    parser.add_argument("--compression", default="zstd", help="of dpkg-deb: zstd, xz, none")
    given = parser.parse_args()
    # Whole, as the paths are in what is installed there.
    folder = given.folder.resolve()
    (wheel,) = given.wheelhouse.glob("dicomnode_ai-*.whl")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix="deb-") as made:
        root = Path(made) / "root"
        stage(root, given.wheelhouse)
        for revision in given.revision or ["1"]:
            control(root, f"{wheel.name.split('-')[1]}-{revision}")
            _modes(root)
            command = ["dpkg-deb", "--root-owner-group", f"-Z{given.compression}", "--build"]
            subprocess.run([*command, str(root), str(folder)], check=True)


if __name__ == "__main__":
    main()
