"""Linear algebra under features takes one thread, from the first import on."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

COUNT = (
    "import dicomnode, numpy, os\n"
    "numpy.linalg.eigvals(numpy.random.default_rng(1).random((200, 200)))\n"
    "print(len(os.listdir('/proc/self/task')))"
)


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="threads are counted in /proc")
def test_a_process_of_this_package_has_no_threads_of_openblas() -> None:
    environment = {name: value for name, value in os.environ.items() if name != "OPENBLAS_NUM_THREADS"}
    command = [sys.executable, "-c", COUNT]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "1"
