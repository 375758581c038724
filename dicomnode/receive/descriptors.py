"""Lets the process open as many files as its connections may need."""

from __future__ import annotations

import resource

import structlog

log = structlog.get_logger(__name__)

#: A connection has its socket and a pair that wakes its network thread; an object under way has a file, and so has the
#: folder that is synced.
_PER_CONNECTION, _PER_ASSOCIATION = 3, 2

#: Database, log, pipes, libraries, and what is not thought of here.
_BESIDES = 256


def require(connections: int, associations: int) -> int:
    """Raise this process' soft limit as far as needed and allowed (setrlimit(2)); the limit that holds.

    Shells and systemd start with a soft limit of 1024, because select(2) fails beyond; nothing here uses it.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = _PER_CONNECTION * connections + _PER_ASSOCIATION * associations + _BESIDES
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return soft
    allowed = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    if allowed < needed:
        log.warning(
            "few_open_files", allowed=allowed, needed=needed, remedy="raise LimitNOFILE, or allow fewer associations"
        )
    return allowed
