"""A fresh Debian in a folder, with network, processes and mounts of its own, in which a test installs packages."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.acceptance.waiting import eventually

ROOT = Path(__file__).resolve().parents[2]

#: Made once and unpacked for each test; `make clean` takes it away.
_PACKED = ROOT / "build" / f"clean-root-{sys.version_info.major}.{sys.version_info.minor}.tar"

_TOOLS = ("mmdebstrap", "unshare", "nsenter", "dpkg-deb", "ip")

#: Debian writes these with every change of an account or a package, whatever package it is.
_BOOKKEEPING = (
    "etc/passwd-", "etc/group-", "etc/shadow-", "etc/gshadow-", "etc/subuid-", "etc/subgid-", "etc/.pwd.lock",
    "var/lib/dpkg/", "var/log/", "var/cache/", "tmp/", "run/", "proc/", "dev/",
)  # fmt: skip


def missing() -> str:
    """Why there can be no clean root here; "" if there can."""
    if os.geteuid() != 0:
        return "needs root, to unpack a system and to change into it"
    if lacking := [tool for tool in _TOOLS if shutil.which(tool) is None]:
        return f"needs {', '.join(lacking)} (Debian packages mmdebstrap, util-linux, dpkg, iproute2)"
    if subprocess.run(["unshare", "--net", "--mount", "--pid", "--fork", "true"], check=False).returncode != 0:
        return "needs a kernel that lets this account make namespaces"
    return ""


def _debian() -> Path:
    """The packed system: what is essential and apt need, Python, and what the package asks for."""
    if not _PACKED.exists():
        _PACKED.parent.mkdir(exist_ok=True)
        lists = Path("/etc/apt/sources.list.d/debian.sources")
        sources = lists if lists.exists() else Path("/etc/apt/sources.list")
        release = dict(
            line.strip().split("=", 1) for line in Path("/etc/os-release").read_text().splitlines() if "=" in line
        )
        part = _PACKED.with_suffix(".part.tar")
        done = subprocess.run(
            ["mmdebstrap", "--quiet", "--variant=apt", "--include=python3,adduser", release["VERSION_CODENAME"], part,
             sources], capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode != 0:
            part.unlink(missing_ok=True)
            pytest.skip(f"no clean Debian can be made here: {done.stderr.strip().splitlines()[-1:]}")
        part.rename(_PACKED)
    return _PACKED


class CleanRoot:
    """The system in a folder; nothing in it reaches the network, and all of its processes end with it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        subprocess.run(["tar", "--extract", "--file", _debian(), "--directory", folder], check=True)
        prepared = folder / "run" / "prepared"
        mounts = (
            f"ip link set lo up; mount -t proc proc {folder}/proc; mkdir -p {folder}/dev/shm;"
            f" mount -t tmpfs tmpfs {folder}/dev/shm; : > {prepared}; exec sleep infinity"
        )
        self._holder = subprocess.Popen(
            ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", mounts]
        )
        eventually(prepared.exists, what="the namespaces")
        prepared.unlink()
        children = Path(f"/proc/{self._holder.pid}/task/{self._holder.pid}/children").read_text().split()
        self._enter = ["nsenter", "--target", children[0], "--net", "--mount", "--pid"]

    def bind(self, source: Path, name: str) -> None:
        """Show a folder of the host in it."""
        (self.folder / name.lstrip("/")).mkdir()
        self.outside("mount", "--bind", source, self.folder / name.lstrip("/"))

    def outside(self, *command: object) -> subprocess.CompletedProcess[str]:
        """Run a program of the host on its network."""
        line = [*self._enter, *map(str, command)]
        return subprocess.run(line, capture_output=True, text=True, timeout=600, check=True)

    def line(self, *command: object, **environment: str) -> list[str]:
        """The command line that runs a program of it, with nothing of the host's environment."""
        path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        given = [f"{name}={value}" for name, value in environment.items()]
        settings = ["env", "-i", path, "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C.UTF-8", *given]
        return [*self._enter, "chroot", str(self.folder), *settings, *map(str, command)]

    def run(self, *command: object, status: int | None = 0, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a program of it to its end; any exit status will do where none is named."""
        done = subprocess.run(
            self.line(*command, **environment), capture_output=True, text=True, timeout=600, check=False
        )  # fmt: skip
        assert status is None or done.returncode == status, f"{command}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done

    def start(self, log: Path, *command: object, **environment: str) -> subprocess.Popen[bytes]:
        """Run a program of it beside the test."""
        with log.open("ab") as output:
            return subprocess.Popen(self.line(*command, **environment), stdout=output, stderr=output)

    def files(self, *under: str) -> dict[str, tuple[int, int, int, bytes | str]]:
        """What lies under folders, or all but the books that Debian keeps: mode, owner, group, content by name."""
        found: dict[str, tuple[int, int, int, bytes | str]] = {}
        but = () if under else _BOOKKEEPING
        for folder, folders, files in (step for one in under or ("",) for step in os.walk(self.folder / one)):
            inside = Path(folder).relative_to(self.folder)
            folders[:] = [name for name in folders if not f"{inside / name}/".startswith(but)]
            for name in [*folders, *files]:
                path, told = Path(folder) / name, str(inside / name)
                if told.startswith(but):
                    continue
                stat = path.lstat()
                content: bytes | str = ""
                if path.is_symlink():
                    content = str(path.readlink())
                elif path.is_file():
                    content = path.read_bytes()
                found[told] = (stat.st_mode, stat.st_uid, stat.st_gid, content)
        return found

    def close(self) -> None:
        """End everything in it and take it away."""
        self._holder.send_signal(signal.SIGKILL)
        self._holder.wait()
        eventually(lambda: _gone(self.folder), what="the folder to be left by everybody")


def _gone(folder: Path) -> bool:
    # A process that was killed holds the folder until the kernel is done with it.
    shutil.rmtree(folder, ignore_errors=True)
    return not folder.exists()
