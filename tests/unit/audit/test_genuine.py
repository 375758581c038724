"""Which lines of a trail that somebody has touched are taken for what the node has written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from dicomnode.audit.chain import read
from dicomnode.audit.event import Source
from dicomnode.audit.file import Trail
from dicomnode.audit.genuine import Genuine
from dicomnode.audit.head import path_of
from dicomnode.audit.message import application, this_process
from dicomnode.domain.clock import utc_now

STARTED = application(this_process(["DICOMNODE"]), started=True)
FORGED = b"999999999 2026-11-21T08:00:00.000000Z " + b"0" * 64 + b" <forged/>\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "audit"
    trail = Trail(folder, Source(id="N"), utc_now, limit_bytes=4000, sync=False)
    for _ in range(12):
        trail.record(STARTED)
    assert path_of(folder, 3).exists()
    return folder


def change(folder: Path, act: Callable[[list[bytes]], list[bytes]], number: int = 1) -> None:
    path = path_of(folder, number)
    path.write_bytes(b"".join(act(path.read_bytes().splitlines(keepends=True))))


def numbers(folder: Path, after: int = 0) -> list[int]:
    lines, found = Genuine(folder, after), []
    while (line := lines.next()) is not None:
        found.append(line.sequence)
    return found


def test_an_untouched_trail_is_read_from_any_line_on(folder: Path) -> None:
    for after in range(13):
        assert numbers(folder, after) == list(range(after + 1, 13))


@pytest.mark.parametrize("after", [0, 1, 2, 7])
def test_a_line_that_was_put_in_is_left_out_wherever_reading_begins(folder: Path, after: int) -> None:
    change(folder, lambda lines: [lines[0], FORGED, *lines[1:]])
    assert numbers(folder, after) == list(range(after + 1, 13))


def test_a_copy_of_an_earlier_line_is_left_out(folder: Path) -> None:
    change(folder, lambda lines: [*lines[:2], lines[0], *lines[2:]])
    assert numbers(folder) == list(range(1, 13))


def test_lines_that_are_gone_are_told_of_and_the_rest_is_read(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    change(folder, lambda lines: [lines[0], *lines[2:]])
    assert numbers(folder) == [1, *range(3, 13)]
    assert "audit_lines_missing" in capfd.readouterr().out


def test_a_line_that_was_changed_stands_where_it_stood(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    change(folder, lambda lines: [lines[0], lines[1].replace(b"DICOMNODE", b"SOMEWHERE"), *lines[2:]])
    assert numbers(folder) == list(range(1, 13))
    assert "audit_line_foreign" in capfd.readouterr().out


def test_a_line_whose_hash_was_changed_takes_no_other_along(folder: Path) -> None:
    def spoil(line: bytes) -> bytes:
        found = read(line)
        assert found is not None
        return line.replace(found.hash.encode(), b"0" * 64)

    change(folder, lambda lines: [lines[0], spoil(lines[1]), *lines[2:]])
    assert numbers(folder) == [1, *range(3, 13)]


def test_older_files_may_be_kept_elsewhere(folder: Path) -> None:
    first = read(path_of(folder, 2).read_bytes().splitlines(keepends=True)[0])
    assert first is not None
    path_of(folder, 1).unlink()
    assert numbers(folder) == list(range(first.sequence, 13))
    assert numbers(folder, first.sequence - 1) == list(range(first.sequence, 13))
