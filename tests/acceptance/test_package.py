"""What is handed out: wheel, sdist, wheelhouse and Debian package, installed where nothing of ours has been before."""

from __future__ import annotations

import configparser
import json
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom import dcmread

from dicomnode.domain.header import Header
from dicomnode.store import database
from tests.acceptance.clean_root import ROOT, CleanRoot, missing
from tests.acceptance.phantom import make_ct
from tests.acceptance.waiting import eventually
from tests.torture.million import fill

pytestmark = pytest.mark.acceptance

CONFIGURATION = "/etc/dicomnode/dicomnode.toml"

#: Folders of the source that are handed out: their files, as they were when that was made.
SHIPPED: dict[str, set[str]] = {"dicomnode": set(), "config": set(), "models": set(), "systemd": set()}

#: Takes the place of systemd, which is none where it is not the first process: writes down what it is told to do.
SYSTEMCTL = """#!/bin/sh
echo "$@" >> /run/told
case "$*" in *is-enabled*) echo enabled ;; esac
"""


def make(target: str, *settings: str) -> None:
    """Run a target of the Makefile."""
    done = subprocess.run(
        ["make", "--no-print-directory", target, f"PYTHON={sys.executable}", *settings],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def in_source(folder: str) -> set[str]:
    """Files of a folder that git knows or would take."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", folder]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    return {name for name in listed if (ROOT / name).is_file()}


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Two Debian packages, the second an upgrade of the first; `dist` has wheel, sdist and wheelhouse."""
    if not (ROOT / ".git").exists():
        pytest.skip("needs a checkout: what is handed out is what git knows")
    if shutil.which("dpkg-deb") is None:
        pytest.skip("needs dpkg-deb (Debian package dpkg)")
    folder = tmp_path_factory.mktemp("packages")
    for name in SHIPPED:
        SHIPPED[name] = in_source(name)
    make("deb", "REVISIONS=1 2", "COMPRESSION=none", f"DEBS={folder}")
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def root(tmp_path: Path) -> Iterator[CleanRoot]:
    if why := missing():
        pytest.skip(why)
    one = CleanRoot(tmp_path / "root")
    yield one
    one.close()


def test_wheel_and_sdist_hold_the_program_with_all_that_it_reads_and_nothing_else(packages: Path) -> None:
    (wheel,) = (ROOT / "dist").glob("dicomnode_ai-*.whl")
    (sdist,) = (ROOT / "dist").glob("dicomnode_ai-*.tar.gz")
    program, shared = SHIPPED["dicomnode"], {name for part in SHIPPED.values() for name in part} | {"constraints.txt"}
    shared -= program
    with zipfile.ZipFile(wheel) as packed:
        names = {name for name in packed.namelist() if not name.endswith("/")}
    prefix = wheel.name.removesuffix("-py3-none-any.whl")
    data = f"{prefix}.data/data/share/dicomnode/"
    assert {name for name in names if name.startswith("dicomnode/")} == program
    assert {name.removeprefix(data) for name in names if name.startswith(data)} == shared
    rest = {name for name in names if not name.startswith(("dicomnode/", data))}
    assert all(name.startswith(f"{prefix}.dist-info/") for name in rest), rest
    with tarfile.open(sdist) as packed_source:
        source = {one.name.split("/", 1)[1] for one in packed_source.getmembers() if one.isfile()}
    about = {name for name in source if name.startswith("dicomnode_ai.egg-info/")}
    assert source - about == program | shared | {"LICENSE", "README.md", "PKG-INFO", "pyproject.toml", "setup.cfg"}


def test_the_wheelhouse_installs_without_network_compiler_or_pip(packages: Path, root: CleanRoot) -> None:
    root.bind(ROOT / "dist" / "wheelhouse", "/wheelhouse")
    assert root.run("sh", "-c", "command -v gcc cc pip pip3", status=None).stdout == ""
    assert root.run("ip", "route", status=None).stdout == ""
    said = root.run("/wheelhouse/install.sh", "/opt/node").stdout
    assert said == "installed: /opt/node/bin/dicomnode\n"
    root.run(
        "/opt/node/bin/dicomnode", "init", "/node.toml", "--aet", "NODE", "--port", "11112", "--pacs-aet", "PACS",
        "--pacs-host", "127.0.0.1", "--pacs-port", "104", "--store", "/store", "--models", "lung-ct",
    )  # fmt: skip
    checked = root.run("/opt/node/bin/dicomnode", "check", "--quick", "--json", "--config", "/node.toml", status=None)
    found = {one["subject"]: one for one in json.loads(checked.stdout)}
    assert found["packages"]["verdict"] == found["decoders"]["verdict"] == "ok", checked.stdout
    # Its compiled parts load; nothing but them was ever built for this very Python.
    root.run("/opt/node/bin/python", "-c", "from radiomics import cMatrices, cShape")
    # One that was changed on the way is not installed.
    shutil.copytree(ROOT / "dist" / "wheelhouse", root.folder / "changed")
    with (root.folder / "changed" / "constraints.txt").open("a") as file:
        file.write("\n")
    assert "constraints.txt: FAILED" in root.run("/changed/install.sh", "/opt/other", status=1).stdout
    assert not (root.folder / "opt" / "other").exists()


class Installed:
    """The package in a clean root, and its units run as systemd would run them."""

    def __init__(self, root: CleanRoot, packages: Path, folder: Path) -> None:
        self.root, self.folder = root, folder
        self.debs = sorted(packages.glob("dicomnode_*.deb"))
        root.bind(packages, "/debs")
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def install(self, number: int) -> subprocess.CompletedProcess[str]:
        """Install the first package or the second."""
        return self.root.run("dpkg", "--force-unsafe-io", "--install", f"/debs/{self.debs[number - 1].name}")

    def start(self, role: str) -> None:
        """Run the command line of a unit, as its account, with its mask and environment."""
        unit = configparser.ConfigParser(interpolation=None, strict=False)
        unit.optionxform = str  # type: ignore[assignment,method-assign]  # the names of systemd have capitals
        unit.read(self.root.folder / "usr/lib/systemd/system" / f"dicomnode-{role}.service")
        service = unit["Service"]
        user, group = service["User"], service["Group"]
        if cache := service.get("CacheDirectory"):
            self.root.run("install", "-d", "-o", user, "-g", group, f"/var/cache/{cache}")
        begin = (
            f"umask {service['UMask']}; echo $$ > /run/{role}.pid; exec setpriv --reuid={user} --regid={group}"
            " --init-groups --no-new-privs --bounding-set=-all --inh-caps=-all"
            f" env HOME=/var/lib/dicomnode {service.get('Environment', '')} {service['ExecStart']}"
        )
        log = self.folder / f"{role}.log"
        said = log.stat().st_size if log.exists() else 0
        self._running[role] = self.root.start(log, "sh", "-c", begin)
        eventually(lambda: "node ready" in log.read_text()[said:], 120, f"{role}: node ready")

    def command(self, *arguments: str, status: int | None = 0) -> subprocess.CompletedProcess[str]:
        """Run a verb by the account of the node on its configuration."""
        return self.root.run(
            "runuser", "-u", "dicomnode", "--", "dicomnode", *arguments, "--config", CONFIGURATION, status=status
        )

    def log(self, role: str) -> str:
        """What the process of a unit has said."""
        return (self.folder / f"{role}.log").read_text()

    def stop(self) -> None:
        """Ask all that run to end, as systemd does, and have them do so in good order."""
        for role in self._running:
            self.root.run("sh", "-c", f"kill -TERM $(cat /run/{role}.pid)")
        for role, process in self._running.items():
            assert process.wait(timeout=120) == 0, self.log(role)
        self._running.clear()

    def told(self) -> list[str]:
        """What systemd was told to do since this was asked last, questions left out."""
        book = self.root.folder / "run" / "told"
        lines = book.read_text().splitlines() if book.exists() else []
        book.unlink(missing_ok=True)
        return [line for line in lines if "is-enabled" not in line and "is-active" not in line]


@pytest.fixture
def installed(packages: Path, root: CleanRoot, tmp_path: Path) -> Installed:
    if shutil.which("echoscu") is None or shutil.which("storescu") is None:
        pytest.skip("needs echoscu and storescu (Debian package dcmtk)")
    return Installed(root, packages, tmp_path)


def test_the_debian_package_installs_runs_upgrades_and_is_purged_without_a_trace(
    installed: Installed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, ct = installed.root, make_ct(tmp_path / "ct")
    before = root.files()

    # Installed, where there is no systemd: everything is in its place, and nothing runs.
    installed.install(1)
    account = root.run("getent", "passwd", "dicomnode").stdout.strip().split(":")
    assert account[5:] == ["/var/lib/dicomnode", "/usr/sbin/nologin"]
    assert root.run("stat", "-c", "%A %U %G", "/var/lib/dicomnode").stdout == "drwx------ dicomnode dicomnode\n"
    assert root.run("stat", "-c", "%A %U %G", CONFIGURATION).stdout == "-rw-r----- root dicomnode\n"
    wanted = "etc/systemd/system/dicomnode.target.wants"
    assert {path.name for path in (root.folder / wanted).iterdir()} == {
        f"dicomnode-{role}.service" for role in ("receive", "work", "deliver", "web")
    }
    assert root.run("dpkg", "--verify", "dicomnode").stdout == ""
    checked = installed.command("check", "--quick", "--json", status=None)
    assert [one for one in json.loads(checked.stdout) if one["verdict"] == "fail"] == []

    # Running, as first configured: heard by DCMTK, with a dashboard, and to this machine alone.
    installed.start("receive")
    installed.start("web")
    dcmtk = ("-aet", "PACS", "-aec", "DICOMNODE", "127.0.0.1", "11112")
    installed.root.outside("echoscu", *dcmtk)
    installed.root.outside("storescu", *dcmtk, *ct.files)
    asked = "from urllib.request import urlopen; print(urlopen('http://127.0.0.1:11180/healthz').read().decode())"
    assert json.loads(root.run("/opt/dicomnode/bin/python", "-c", asked).stdout) == {"alive": True}
    listening = {line.split()[3] for line in root.outside("ss", "-tlnH").stdout.splitlines()}
    assert listening == {"127.0.0.1:11112", "127.0.0.1:11180"}
    installed.stop()
    assert ct.study in installed.command("store", "list", "--json").stdout

    # Upgraded, with a configuration that somebody has changed, by what takes the place of systemd.
    configured = root.folder / CONFIGURATION[1:]
    configured.write_text(configured.read_text().replace("port = 11112", "port = 11113"))
    (root.folder / "run/systemd/system").mkdir(parents=True)
    systemctl = root.folder / "usr/bin/systemctl"
    systemctl.write_text(SYSTEMCTL)
    systemctl.chmod(0o755)
    kept = root.files("var/lib/dicomnode", "etc/dicomnode")
    # Libraries that keep something in the home of an account: ONNX Runtime did, a number of the machine.
    assert [name for name in kept if Path(name).name.startswith(".")] == []
    installed.install(2)
    told = installed.told()
    stopped, reloaded, started = (
        next(number for number, line in enumerate(told) if word in line.split())
        for word in ("stop", "daemon-reload", "start")
    )
    assert stopped < reloaded < started and "dicomnode.target" in told[started]
    assert root.files("var/lib/dicomnode", "etc/dicomnode") == kept
    assert "-2" in root.run("dpkg-query", "--show", "dicomnode").stdout

    # A store of an earlier version is brought up to date at the start, after a copy.
    store = tmp_path / "old"
    every = database.migrations()
    with monkeypatch.context() as patch:
        patch.setattr(database, "migrations", lambda: every[:10])
        fill(store, 300, Header.of(dcmread(ct.files[0], stop_before_pixels=True).to_json_dict()))
    shutil.rmtree(root.folder / "var/lib/dicomnode")
    shutil.copytree(store, root.folder / "var/lib/dicomnode")
    root.run("chown", "-R", "dicomnode:dicomnode", "/var/lib/dicomnode")
    root.run("chmod", "-R", "u=rwX,go=", "/var/lib/dicomnode")
    installed.start("receive")
    eventually(lambda: "store brought up to date" in installed.log("receive"), what="the migration")
    root.outside("echoscu", "-aet", "PACS", "-aec", "DICOMNODE", "127.0.0.1", "11113")
    installed.stop()
    copied = root.run("stat", "-c", "%a %U", "/var/lib/dicomnode/node.db.schema-10").stdout
    assert copied == "600 dicomnode\n"

    # With a configuration that is not valid it stays down and says why.
    valid = configured.read_text()
    configured.write_text(valid.replace("port = 11113", 'prot = "x"'))
    said = root.run("/var/lib/dpkg/info/dicomnode.postinst", "configure", "0.1.0-1").stderr
    assert "was not started" in said and "prot" in said
    assert [line for line in installed.told() if "start" in line.split()] == []
    configured.write_text(valid)

    # Removed: what it has and how it was set up stay.
    root.run("dpkg", "--remove", "dicomnode")
    assert "stop" in " ".join(installed.told()).split()
    assert (root.folder / "var/lib/dicomnode/node.db").exists() and configured.read_text() == valid
    assert list((root.folder / "opt").iterdir()) == [] and not (root.folder / "usr/bin/dicomnode").exists()
    root.run("getent", "passwd", "dicomnode")

    # Purged: nothing of it is left, and nobody.
    root.run("dpkg", "--purge", "dicomnode")
    shutil.rmtree(root.folder / "run/systemd")
    systemctl.unlink()
    after = root.files()
    assert sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name)) == []
    for book in ("passwd", "group"):
        root.run("getent", book, "dicomnode", status=2)
    assert list((root.folder / "var/cache").glob("dicomnode*")) == []
    assert root.run("dpkg-query", "--show", "dicomnode", status=1).stdout == ""


def test_what_debian_says_of_the_package(packages: Path, tmp_path: Path) -> None:
    """Without /opt, which is not Debian's to judge, and of which lintian would look at every file."""
    if shutil.which("lintian") is None:
        pytest.skip("needs lintian (Debian package lintian)")
    deb, hollow = min(packages.glob("*.deb")), tmp_path / "hollow"
    (hollow / "DEBIAN").mkdir(parents=True)
    subprocess.run(["dpkg-deb", "--control", deb, hollow / "DEBIAN"], check=True)
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", deb], stdout=subprocess.PIPE) as unpacking:
        command = ["tar", "--extract", "--directory", str(hollow), "--exclude=./opt/*/*"]
        subprocess.run(command, stdin=unpacking.stdout, check=True)
    sums = hollow / "DEBIAN" / "md5sums"
    sums.write_text("".join(line for line in sums.read_text().splitlines(keepends=True) if "  opt/" not in line))
    made = tmp_path / deb.name
    subprocess.run(["dpkg-deb", "--root-owner-group", "--build", hollow, made], capture_output=True, check=True)
    told = subprocess.run(["lintian", "--allow-root", "--no-cfg", made], capture_output=True, text=True, check=False)
    assert [line for line in told.stdout.splitlines() if line[:2] in ("E:", "W:")] == []
