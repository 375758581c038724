"""Asks the kernel to begin writing a file, so that less is left to wait for when it has to be on the disk."""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Callable

#: sync_file_range(2): initiate write-out of all dirty pages in the range which are not presently submitted for it.
_WRITE = 2

#: What says something of the disk; other errors only say that a file system has no such call.
_OF_THE_DISK = frozenset({errno.EIO, errno.ENOSPC, errno.EDQUOT})


def begin_writing(descriptor: int) -> None:
    """Start and do not wait; a promise of nothing, so that it is no matter where a system has no such call.

    Raises
    ------
    OSError
        The disk fails or is full, which the sync that follows need not hear again.
    """
    if _sync_file_range is not None and _sync_file_range(descriptor, 0, 0, _WRITE):
        number = ctypes.get_errno()
        if number in _OF_THE_DISK:
            raise OSError(number, os.strerror(number))


def _found() -> Callable[[int, int, int, int], int] | None:
    try:
        function = ctypes.CDLL(None, use_errno=True).sync_file_range
    except (OSError, AttributeError):
        return None
    function.argtypes = [ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint]
    return function


_sync_file_range = _found()
