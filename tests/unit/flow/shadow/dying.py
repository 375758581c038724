"""Stands in for a comparison whose candidate ends its process, or never ends; imports little."""

from __future__ import annotations

import os
import signal
import time
from typing import Any


def killed(_task: Any, _line: Any) -> None:
    """As a network does that makes the runtime crash."""
    os.kill(os.getpid(), signal.SIGKILL)


def endless(_task: Any, _line: Any) -> None:
    """As a network does that takes for ever."""
    time.sleep(600)
