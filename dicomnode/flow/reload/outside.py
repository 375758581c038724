"""Has a configuration judged by a process of its own, so that the supervisor neither grows nor waits."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from dicomnode.domain.errors import Fault
from dicomnode.flow.reload.handed import Text

#: Reading every network of the models may take that long on a slow disk.
_JUDGE_SECONDS = 300.0


def unusable(text: str, path: Path) -> list[Fault]:
    """What is wrong with models and files that the text of the configuration `path` names."""
    command = [sys.executable, "-m", "dicomnode", "reload", "--config", str(path), "--judge"]
    held: Text | None = None
    try:
        held = Text(text)
        handed = held.handed({})
        done = subprocess.run(
            command, env={**os.environ, **handed.environment}, pass_fds=handed.descriptors, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, timeout=_JUDGE_SECONDS, check=False,
        )  # fmt: skip
        found = json.loads(done.stdout)
        return [Fault(key=one["key"], value=one["value"], remedy=one["remedy"]) for one in found["faults"]]
    except (OSError, ValueError, KeyError, TypeError, subprocess.TimeoutExpired) as error:
        remedy = f"its models and files could not be judged ({type(error).__name__}); see the log"
        return [Fault(key="--config", value=str(path), remedy=remedy)]
    finally:
        if held is not None:
            held.close()
