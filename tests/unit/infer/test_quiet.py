"""The runtime that networks run on tells nobody about it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def test_the_runtime_leaves_no_number_of_the_machine_behind_and_has_nothing_to_send(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "XDG_CACHE_HOME"}
    environment |= {"HOME": str(tmp_path), "ORT_DISABLE_TELEMETRY": "0"}
    loaded = "import dicomnode.infer.network.session"
    subprocess.run([sys.executable, "-c", loaded], env=environment, check=True)
    assert list(tmp_path.rglob("*")) == []
