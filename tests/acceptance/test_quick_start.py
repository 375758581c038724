"""The commands of the quick start, in their order, do what the page says."""

from __future__ import annotations

import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.acceptance.conftest import MakeOrthanc
from tests.acceptance.waiting import eventually, free_port
from tests.unit.docs.documents import DOCS, command_lines

pytestmark = pytest.mark.acceptance

PAGE = DOCS / "quick-start.md"


def test_the_commands_of_the_quick_start_run_in_their_order(make_orthanc: MakeOrthanc, tmp_path: Path) -> None:
    port = free_port()
    orthanc = make_orthanc(port)
    lines = list(command_lines(PAGE))
    verbs = [line.split()[1] for line in lines]
    assert verbs == ["init", "check", "run", "check", "status", "why"]
    lines = [line.replace("11112", str(port)).replace("4242", str(orthanc.port)) for line in lines]

    def command(line: str, seconds: float = 300) -> subprocess.CompletedProcess[str]:
        words = [sys.executable, "-m", "dicomnode", *shlex.split(line)[1:]]
        return subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=seconds, check=False)

    written, checked = command(lines[0]), command(lines[1])
    assert written.returncode == 0, written.stderr
    assert "1. Firewall: let 127.0.0.1" in written.stdout
    assert "2. In the PACS: enter this node with AE title DICOMNODE" in written.stdout
    assert tomllib.loads((tmp_path / "dicomnode.toml").read_text())["peer"][0]["aet"] == "ORTHANC"
    # A machine without time service or with a full disk is warned of, which is no fault of the page.
    assert checked.returncode in (0, 3), checked.stdout
    assert "model lung-ct: 1.0.0, research" in checked.stdout

    log = tmp_path / "node.log"
    with log.open("wb") as output:
        words = [sys.executable, "-m", "dicomnode", *shlex.split(lines[2])[1:]]
        node = subprocess.Popen(words, cwd=tmp_path, stdout=output, stderr=output)
    try:
        eventually(lambda: "node ready" in log.read_text(errors="replace"), 120, "node ready")
        travelled = command(lines[3], 900)
        assert travelled.returncode == 0, travelled.stdout + travelled.stderr
        assert "found again in PACS by C-FIND" in travelled.stdout
        status, why = command(lines[4]), command(lines[5])
        assert status.returncode == 0, status.stderr
        # Nothing of the round trip is left here, so that there is no study to tell of; one sentence says so.
        assert why.returncode == 1
        assert "Traceback" not in why.stderr
    finally:
        node.terminate()
        node.wait(timeout=120)
