"""Files that grow as objects arrive: their names, and what the disk says of them."""

from __future__ import annotations

import ctypes
import errno
import os
import runpy
from pathlib import Path

import pytest

from dicomnode.domain.errors import OutOfResources
from dicomnode.receive import spool, writeback
from dicomnode.receive.spool import Spooled


def test_a_process_with_the_number_of_a_former_one_has_names_of_its_own() -> None:
    first, second = (runpy.run_path(str(spool.__file__))["_WORD"] for _ in range(2))
    assert first != second


def test_an_object_beyond_the_limit_gives_back_what_it_took(tmp_path: Path) -> None:
    spooled = Spooled(tmp_path, b"preface", 100)
    spooled.write(bytes(101))
    assert Path(spooled.path).stat().st_size == 0
    with pytest.raises(OutOfResources, match="limit here"):
        spooled.finish()
    spooled.discard()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("number", "counts"), [(errno.ENOSPC, True), (errno.EIO, True), (errno.EINVAL, False)])
def test_what_the_disk_says_when_writing_begins_is_heard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, counts: bool
) -> None:
    def fail(*_arguments: int) -> int:
        ctypes.set_errno(number)
        return -1

    monkeypatch.setattr(writeback, "_sync_file_range", fail)
    spooled = Spooled(tmp_path, b"preface", 100)
    spooled.write(b"data set")
    if counts:
        with pytest.raises(OSError, match=os.strerror(number)):
            spooled.finish()
    else:
        assert spooled.finish()[0] == spooled.path
    spooled.discard()


def test_a_file_system_without_the_call_is_no_matter(tmp_path: Path) -> None:
    descriptors = os.pipe()
    writeback.begin_writing(descriptors[1])  # ESPIPE
    for one in descriptors:
        os.close(one)
