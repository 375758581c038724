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

#: Further ones of what a study without priors does not pass: an object kept in the scratch area, a prior handed over.
PRIOR_NAMES = tuple(f"{place}.{moment}_commit" for place in ("scratch", "priors") for moment in ("before", "after"))

#: And of what happens beside the loops: a missed deadline, a retraction.
NOTICE_NAMES = ("overdue.before_commit", "overdue.after_commit",
                "retract.stopped", "retract.before_commit", "retract.after_commit")  # fmt: skip

#: And of what makes room: rows given up, files unlinked before their removal is struck off.
RETENTION_NAMES = ("purge.before_commit", "purge.after_commit", "removal.before_commit", "removal.after_commit")

#: And of storage commitment: what this node asks and hears (commitment), what it is asked and tells (pledge).
COMMITMENT_NAMES = ("commitment.before_request", "commitment.after_request",
                    "commitment.before_commit", "commitment.after_commit")  # fmt: skip
PLEDGE_NAMES = ("pledge.before_commit", "pledge.after_commit", "pledge.before_report", "pledge.after_report")

#: And of an archive that says, before results go there, whose their study is now.
IDENTITY_NAMES = ("identity.before_commit", "identity.after_commit")

#: And of a message that has been sent and not been noted as sent.
MESSAGE_NAMES = ("notify.before_commit",)


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
