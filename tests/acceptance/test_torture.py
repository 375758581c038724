"""A short torture with a fixed seed; `make torture N=200` is the long one."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.acceptance

SEED = 20261121
TORMENTS = 8
LIMIT_SECONDS = 300


@pytest.mark.parametrize("archive", ["counting", "orthanc"])
def test_a_tormented_node_loses_nothing_that_it_acknowledged_and_delivers_each_result_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], archive: str
) -> None:
    if archive == "orthanc" and not shutil.which("Orthanc", path="/usr/sbin:/usr/local/sbin:/usr/bin"):
        pytest.skip("Orthanc is not installed; Debian package orthanc")
    log = tmp_path / "node.log"
    # A process of its own: senders whose connections are cut leave sockets of pynetdicom unclosed.
    done = subprocess.run(
        [sys.executable, "-m", "tests.torture", "--torments", str(TORMENTS), "--seed", str(SEED), "--log", str(log),
         "--archive", archive],
        cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=LIMIT_SECONDS, check=False,
    )  # fmt: skip
    with capsys.disabled():
        sys.stdout.write(f"\n{done.stdout}")
    sys.stdout.write(log.read_text() if log.exists() else "")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.split()[:2] == ["seed", str(SEED)]
