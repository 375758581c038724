"""The trail on the disk: whole, chained, shared by processes, and honest about what it could not take."""

from __future__ import annotations

import multiprocessing
import os
import stat
from collections.abc import Callable
from pathlib import Path
from threading import Thread

import pytest

from dicomnode.audit import head as head_module
from dicomnode.audit.cursor import Cursor
from dicomnode.audit.event import Event, Source
from dicomnode.audit.file import Trail
from dicomnode.audit.head import locked, noted_head, path_of
from dicomnode.audit.message import application, this_process
from dicomnode.audit.verify import verify
from dicomnode.domain.clock import utc_now
from dicomnode.domain.errors import OutOfResources
from tests.conftest import Hands

STARTED = application(this_process(["DICOMNODE"]), started=True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "audit"


@pytest.fixture
def trail(folder: Path, clock: Hands) -> Trail:
    return Trail(folder, Source(id="DICOMNODE"), clock, sync=False)


def write(trail: Trail, count: int, event: Event = STARTED) -> None:
    for _ in range(count):
        trail.record(event)


def change(folder: Path, act: Callable[[list[bytes]], list[bytes]], number: int = 1) -> None:
    path = path_of(folder, number)
    path.write_bytes(b"".join(act(path.read_bytes().splitlines(keepends=True))))


def test_a_trail_that_nobody_touched_is_found_whole(trail: Trail, folder: Path) -> None:
    write(trail, 5)
    verdict = verify(folder)
    assert (verdict.first, verdict.last, verdict.files, verdict.faults) == (1, 5, 1, ())


def test_a_changed_line_is_found(trail: Trail, folder: Path) -> None:
    write(trail, 5)
    change(folder, lambda lines: [*lines[:2], lines[2].replace(b"DICOMNODE", b"SOMEWHERE"), *lines[3:]])
    (fault,) = verify(folder).faults
    assert fault.startswith("audit-000001.log, line 3: number 3 does not follow")


def test_a_removed_line_is_found(trail: Trail, folder: Path) -> None:
    write(trail, 5)
    change(folder, lambda lines: [*lines[:2], *lines[3:]])
    (fault,) = verify(folder).faults
    assert "line 3: numbered 4, expected 3: 1 lines before it are gone" in fault


def test_an_inserted_line_is_found(trail: Trail, folder: Path) -> None:
    write(trail, 5)
    change(folder, lambda lines: [*lines[:3], lines[2], *lines[3:]])
    faults = verify(folder).faults
    assert len(faults) == 1 and "line 4: numbered 3, expected 4: inserted" in faults[0]


def test_lines_in_another_order_are_found(trail: Trail, folder: Path) -> None:
    write(trail, 5)
    change(folder, lambda lines: [lines[0], lines[2], lines[1], *lines[3:]])
    assert verify(folder).faults


def test_lines_cut_from_the_end_are_found(trail: Trail, folder: Path) -> None:
    write(trail, 5)
    change(folder, lambda lines: lines[:3])
    assert verify(folder).faults == ("the end: 2 lines after number 3 are gone",)


def test_a_line_cut_in_the_middle_is_found(trail: Trail, folder: Path) -> None:
    write(trail, 5)
    change(folder, lambda lines: [*lines[:4], lines[4][:40]])
    assert any("line 5: cut in the middle" in fault for fault in verify(folder).faults)


def test_a_file_that_is_gone_is_found_unless_it_is_said_where_the_trail_begins(folder: Path, clock: Hands) -> None:
    trail = Trail(folder, Source(id="N"), clock, limit_bytes=2000, sync=False)
    write(trail, 9)
    whole = verify(folder)
    assert whole.files > 2 and whole.faults == ()
    path_of(folder, 1).unlink()
    (fault,) = verify(folder).faults
    assert "lines before it are gone" in fault
    begins = verify(folder).first
    assert verify(folder, first=begins).faults == ()


def test_the_chain_goes_on_from_file_to_file_and_none_grows_beyond_its_limit(folder: Path, clock: Hands) -> None:
    trail = Trail(folder, Source(id="N"), clock, limit_bytes=3000, sync=False)
    write(trail, 20)
    sizes = [path.stat().st_size for path in sorted(folder.glob("audit-*.log"))]
    assert len(sizes) > 3 and max(sizes) <= 3000
    assert verify(folder).last == 20 and verify(folder).faults == ()


def test_nobody_else_can_read_the_trail(trail: Trail, folder: Path) -> None:
    before = os.umask(0)
    try:
        write(trail, 1)
    finally:
        os.umask(before)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


def test_a_crash_between_a_line_and_its_note_loses_neither(trail: Trail, folder: Path) -> None:
    write(trail, 2)
    noted = (folder / "head").read_bytes()
    write(trail, 1)
    (folder / "head").write_bytes(noted)
    assert verify(folder).faults == ()
    write(trail, 1)
    assert verify(folder).last == 4 and verify(folder).faults == ()


def test_half_a_line_that_a_crash_has_left_is_taken_away(trail: Trail, folder: Path) -> None:
    write(trail, 2)
    with path_of(folder, 1).open("ab") as file:
        file.write(b"3 2026-11-21T08:0")
    write(trail, 1)
    assert verify(folder).last == 3 and verify(folder).faults == ()


def test_a_crash_between_a_new_file_and_its_note_loses_nothing(folder: Path, clock: Hands) -> None:
    trail = Trail(folder, Source(id="N"), clock, limit_bytes=1000, sync=False)
    write(trail, 1)
    noted = (folder / "head").read_bytes()
    write(trail, 2)
    (folder / "head").write_bytes(noted)
    write(trail, 1)
    assert verify(folder).last == 4 and verify(folder).faults == ()


def test_a_head_that_is_gone_is_found_and_made_anew_from_the_files(trail: Trail, folder: Path) -> None:
    write(trail, 3)
    (folder / "head").unlink()
    assert any(fault.startswith("head: is gone") for fault in verify(folder).faults)
    write(trail, 1)
    assert verify(folder).last == 5 and verify(folder).faults == ()
    told = Cursor(folder, after=3).next()
    assert told is not None and b"whether lines were cut off nobody can tell" in told.message, "for good"


def test_garbage_in_place_of_the_head_hides_no_line_that_was_cut_off(trail: Trail, folder: Path) -> None:
    write(trail, 5)
    change(folder, lambda lines: lines[:3])
    (folder / "head").write_bytes(b"?" * 128)
    assert any(fault.startswith("head: is gone or cannot be read") for fault in verify(folder).faults)
    write(trail, 1)
    told = Cursor(folder, after=3).next()
    assert told is not None and b"whether lines were cut off nobody can tell" in told.message


def test_what_one_process_could_not_write_another_tells(
    trail: Trail, folder: Path, clock: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(trail, 1)

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    write(trail, 2)
    other = Trail(folder, Source(id="N"), clock, sync=False)
    write(other, 1)
    monkeypatch.undo()
    del trail, other
    write(Trail(folder, Source(id="N"), clock, sync=False), 1)
    told = Cursor(folder, after=1).next()
    assert told is not None and b"3 messages since 2026-11-21T08:00:00.000000Z could not be written" in told.message
    assert verify(folder).last == 3 and verify(folder).faults == ()


def test_what_its_caller_keeps_does_not_count_as_lost(folder: Path, clock: Hands) -> None:
    folder.write_text("a file stands in the way")
    trail = Trail(folder, Source(id="N"), clock, sync=False)
    assert not trail.record(STARTED, kept=True)
    folder.unlink()
    assert trail.record(STARTED, kept=True)
    assert verify(folder).last == 1


def test_nobody_says_that_the_trail_is_written_again_while_it_is_not(
    folder: Path, clock: Hands, capfd: pytest.CaptureFixture[str]
) -> None:
    folder.write_text("a file stands in the way")
    trail = Trail(folder, Source(id="N"), clock, sync=False)
    write(trail, 7)
    assert "audit_trail_written_again" not in capfd.readouterr().out
    folder.unlink()
    write(trail, 1)
    assert capfd.readouterr().out.count("audit_trail_written_again") == 1


def test_a_foreign_line_does_not_stop_the_trail_and_is_found(trail: Trail, folder: Path) -> None:
    write(trail, 2)
    with path_of(folder, 1).open("ab") as file:
        file.write(b"somebody was here\n")
    write(trail, 2)
    verdict = verify(folder)
    assert verdict.last == 4 and verdict.faults == ("audit-000001.log, line 3: no line of an audit trail",)


def test_lines_cut_before_the_next_is_written_are_found_afterwards(trail: Trail, folder: Path) -> None:
    write(trail, 5)
    change(folder, lambda lines: lines[:3])
    write(trail, 1)
    assert any("numbered 6, expected 4" in fault for fault in verify(folder).faults)


def _process(folder: Path, count: int) -> None:
    write(Trail(folder, Source(id="N"), utc_now, limit_bytes=20_000, sync=False), count)


def test_processes_and_threads_write_one_chain(folder: Path, clock: Hands) -> None:
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_process, args=(folder, 50)) for _ in range(3)]
    for process in processes:
        process.start()
    trail = Trail(folder, Source(id="N"), clock, limit_bytes=20_000, sync=False)
    threads = [Thread(target=write, args=(trail, 25)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    for process in processes:
        process.join(60)
    assert trail.lost == 0 and all(process.exitcode == 0 for process in processes)
    assert verify(folder).last == 250 and verify(folder).faults == ()


def test_a_trail_that_cannot_be_written_is_counted_and_says_so_when_it_can(folder: Path, clock: Hands) -> None:
    folder.write_text("a file stands in the way")
    trail = Trail(folder, Source(id="N"), clock, sync=False)
    write(trail, 3)
    assert trail.lost == 3
    folder.unlink()
    write(trail, 1)
    assert trail.lost == 0
    first, second = Cursor(folder), Cursor(folder, after=1)
    told = first.next()
    assert told is not None and b"3 messages since 2026-11-21T08:00:00.000000Z could not be" in told.message
    rest = second.next()
    assert rest is not None and b"110120" in rest.message


def test_what_cannot_be_recorded_does_not_happen_where_the_trail_is_required(folder: Path, clock: Hands) -> None:
    folder.write_text("a file stands in the way")
    trail = Trail(folder, Source(id="N"), clock, sync=False, required=True)
    with pytest.raises(OutOfResources, match="audit trail"):
        trail.record(STARTED)


def test_a_full_disk_leaves_no_half_line(trail: Trail, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(trail, 1)
    whole = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, content: whole(descriptor, content[:30]))
    write(trail, 1)
    monkeypatch.undo()
    assert trail.lost == 1 and verify(folder).last == 1 and verify(folder).faults == ()


def test_who_waits_too_long_for_the_others_gives_up_and_the_data_go_on(
    trail: Trail, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(trail, 1)
    monkeypatch.setattr(head_module, "LOCK_SECONDS", 0.01)
    with locked(folder) as descriptor:
        head = noted_head(descriptor)
        assert head is not None and head.sequence == 1
        write(trail, 1)
    assert trail.lost == 1
    write(trail, 1)
    assert verify(folder).last == 3


def test_a_cursor_reads_on_while_others_write(folder: Path, clock: Hands) -> None:
    trail = Trail(folder, Source(id="N"), clock, limit_bytes=1500, sync=False)
    cursor = Cursor(folder)
    assert cursor.next() is None
    seen = []
    for _ in range(7):
        write(trail, 1)
        while (line := cursor.next()) is not None:
            seen.append(line.sequence)
    assert seen == [1, 2, 3, 4, 5, 6, 7]
    later = Cursor(folder, after=4).next()
    assert later is not None and later.sequence == 5
