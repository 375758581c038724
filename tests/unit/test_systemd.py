"""The units: every line of a service has its reason, and systemd itself understands them."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from dicomnode.node import ROLES

UNITS = sorted((Path(__file__).resolve().parents[2] / "systemd").glob("dicomnode*"))
SERVICES = [path for path in UNITS if path.suffix == ".service"]


def test_there_is_a_unit_for_every_process() -> None:
    assert {path.stem for path in SERVICES} == {f"dicomnode-{role}" for role in ROLES}
    target = next(path for path in UNITS if path.suffix == ".target").read_text()
    assert all(path.name in target for path in SERVICES)


@pytest.mark.parametrize("path", SERVICES, ids=lambda path: path.stem)
def test_every_line_of_a_service_has_its_reason(path: Path) -> None:
    section = path.read_text().split("[Service]")[1].split("[Install]")[0].strip().splitlines()
    bare = [
        line for before, line in zip(["", *section], section, strict=False)
        if "=" in line and not line.startswith("#") and not before.startswith("#")
    ]  # fmt: skip
    assert bare == []


@pytest.mark.parametrize("path", SERVICES, ids=lambda path: path.stem)
def test_systemd_understands_the_unit(path: Path, tmp_path: Path) -> None:
    tool = shutil.which("systemd-analyze")
    if tool is None:
        pytest.skip("needs systemd-analyze (Debian package systemd)")
    copy = tmp_path / path.name
    # The command is not installed in /opt here; everything else is judged as it stands.
    copy.write_text(path.read_text().replace("/opt/dicomnode/bin/dicomnode", "/bin/true"))
    done = subprocess.run([tool, "verify", str(copy)], capture_output=True, text=True, check=False)
    complaints = [line for line in done.stderr.splitlines() if path.name in line]
    assert complaints == []


def test_systemd_understands_the_target_with_its_services(tmp_path: Path) -> None:
    tool = shutil.which("systemd-analyze")
    if tool is None:
        pytest.skip("needs systemd-analyze (Debian package systemd)")
    for path in UNITS:
        (tmp_path / path.name).write_text(path.read_text().replace("/opt/dicomnode/bin/dicomnode", "/bin/true"))
    target = str(tmp_path / "dicomnode.target")
    done = subprocess.run([tool, "verify", target], capture_output=True, text=True, check=False)
    assert [line for line in done.stderr.splitlines() if "dicomnode" in line] == []


@pytest.mark.parametrize("path", SERVICES, ids=lambda path: path.stem)
def test_a_unit_is_exposed_to_little(path: Path) -> None:
    """At most 2.5 of 10, by systemd's own weights."""
    tool = shutil.which("systemd-analyze")
    if tool is None:
        pytest.skip("needs systemd-analyze (Debian package systemd)")
    command = [tool, "security", "--offline=yes", "--no-pager", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = re.search(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)
    if found is None:
        pytest.skip(f"this systemd-analyze does not judge files: {done.stderr.strip()}")
    assert float(found[1]) <= 2.5
