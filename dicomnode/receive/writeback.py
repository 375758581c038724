"""Asks the kernel to begin writing a file, so that less is left to wait for when it has to be on the disk."""

from __future__ import annotations

import ctypes
from collections.abc import Callable

#: sync_file_range(2): initiate write-out of all dirty pages in the range which are not presently submitted for it.
_WRITE = 2


def begin_writing(descriptor: int) -> None:
    """Start and do not wait; a promise of nothing, so that it is no matter where a system has no such call."""
    if _sync_file_range is not None:
        _sync_file_range(descriptor, 0, 0, _WRITE)


def _found() -> Callable[[int, int, int, int], object] | None:
    try:
        function = ctypes.CDLL(None).sync_file_range
    except (OSError, AttributeError):
        return None
    function.argtypes = [ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint]
    return function


_sync_file_range = _found()
