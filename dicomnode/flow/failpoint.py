"""Named places at which a test may kill the process, to prove that nothing is lost or doubled there."""

from __future__ import annotations

import os
import signal

#: `name=marker`: the process dies once at `name`, and the file `marker` remembers that it did.
VARIABLE = "DICOMNODE_FAILPOINT"

#: Every place there is: before and after each commit of the four loops.
NAMES = tuple(
    f"{loop}.{moment}_commit"
    for loop in ("intake", "settle", "work", "outbox", "inquiry")
    for moment in ("before", "after")
)


def failpoint(name: str) -> None:
    """Die here by SIGKILL if the environment says so and it has not happened yet."""
    wanted, _, marker = os.environ.get(VARIABLE, "").partition("=")
    if wanted != name:
        return
    try:
        os.close(os.open(marker, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return
    os.kill(os.getpid(), signal.SIGKILL)
