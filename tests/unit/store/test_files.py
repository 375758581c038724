"""Files are whole, durable and immutable, or they are not there."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from dicomnode.domain.errors import CannotUnderstand, OutOfResources
from dicomnode.store.files import Files


def test_an_arrival_keeps_its_bytes_under_uid_and_digest(files: Files) -> None:
    source = files.incoming / "x"
    source.write_bytes(b"abc")
    relative = files.keep_arrival("1.2", "1.2.3", "d1", source)
    assert relative == "studies/1.2/1.2.3.d1"
    assert not source.exists()
    assert files.path(relative).read_bytes() == b"abc"


def test_the_file_is_synced_before_it_has_its_name_and_the_folder_after(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    fsync, rename = os.fsync, os.rename

    def record_fsync(descriptor: int) -> None:
        steps.append(f"fsync {Path(f'/proc/self/fd/{descriptor}').readlink().name}")
        fsync(descriptor)

    def record_rename(source: str | Path, target: str | Path) -> None:
        steps.append(f"rename to {Path(target).name}")
        rename(source, target)

    monkeypatch.setattr(os, "fsync", record_fsync)
    monkeypatch.setattr(os, "rename", record_rename)
    source = files.incoming / "x"
    source.write_bytes(b"abc")
    files.keep_arrival("1.2", "1.2.3", "d1", source)
    assert steps == ["fsync x", "fsync studies", "rename to 1.2.3.d1", "fsync 1.2"]
    steps.clear()
    files.keep_result("1.2", "9.1", b"abc")
    parents, part, name, folder = steps
    assert parents == "fsync results" and part.startswith("fsync .9.1.")
    assert name.startswith("rename to 9.1.") and folder == "fsync 1.2"


def test_keeping_the_same_twice_is_one_file(files: Files) -> None:
    for name in ("x", "y"):
        source = files.incoming / name
        source.write_bytes(b"abc")
        files.keep_arrival("1.2", "1.2.3", "d1", source)
    assert [path.name for path in (files.folder / "studies" / "1.2").iterdir()] == ["1.2.3.d1"]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO])
def test_a_disk_that_cannot_take_it_says_out_of_resources_and_leaves_nothing(
    files: Files, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def fail(_descriptor: int) -> None:
        raise OSError(code, os.strerror(code))

    source = files.incoming / "x"
    source.write_bytes(b"abc")
    (files.folder / "studies" / "1.2").mkdir()
    with monkeypatch.context() as patch, pytest.raises(OutOfResources):
        patch.setattr(os, "fsync", fail)
        files.keep_arrival("1.2", "1.2.3", "d1", source)
    assert list((files.folder / "studies" / "1.2").iterdir()) == []
    assert files.keep_arrival("1.2", "1.2.3", "d1", source) == "studies/1.2/1.2.3.d1"


def test_sweeping_removes_what_no_row_names_and_nothing_else(files: Files) -> None:
    kept, _ = files.keep_result("1.2", "9.1", b"kept")
    lost, _ = files.keep_result("1.2", "9.2", b"lost")
    study, _ = "studies/1.2/1.2.3.d1", None
    whole, source = files.incoming / "whole", files.incoming / "half-received"
    for each in (whole, source):
        each.write_bytes(b"x")
    files.keep_arrival("1.2", "1.2.3", "d1", whole)
    assert files.sweep("results", lambda _study: {kept}, since=0) == [lost]
    assert files.path(kept).exists() and files.path(study).exists() and source.exists()
    assert files.sweep("studies", lambda _study: {study}, since=0) == ["incoming/half-received"]
    assert files.path(study).exists()


def test_sweeping_leaves_what_is_received_meanwhile_and_stumbles_over_nothing_that_goes_meanwhile(files: Files) -> None:
    before, coming, gone = (files.incoming / name for name in ("before", "coming", "gone"))
    for each in (before, coming, gone):
        each.write_bytes(b"x")
    for each in (before, gone):
        os.utime(each, (1000, 1000))
    lost = files.folder / "studies" / "1.2" / "1.2.3.d1"
    lost.parent.mkdir()
    lost.write_bytes(b"x")
    os.utime(lost, (1000, 1000))

    def known(_study: str) -> set[str]:
        gone.unlink()
        return set()

    assert "studies/1.2/1.2.3.d1" in files.sweep("studies", known, since=0, until=2000)
    assert list(files.incoming.iterdir()) == [coming] and not lost.exists()


def test_sweeping_passes_over_folders_that_did_not_change_since(files: Files) -> None:
    old, _ = files.keep_result("1.2", "9.1", b"old")
    os.utime(files.folder / "results" / "1.2", (1000, 1000))
    assert files.sweep("results", lambda _study: set(), since=2000) == []
    assert files.path(old).exists()


def test_no_other_account_may_enter_the_store_whatever_the_umask_is(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        files = Files(tmp_path / "var" / "store")
        files.keep_result("1.2", "1.2.3", b"bytes")
    finally:
        os.umask(before)
    folders = [files.folder, *(path for path in files.folder.rglob("*") if path.is_dir())]
    assert len(folders) > 5 and {path.stat().st_mode & 0o777 for path in folders} == {0o700}


@pytest.mark.parametrize(
    "uid",
    [
        "",
        ".",
        "..",
        "../1.2",
        "1.2/3",
        "1.2/../../etc",
        "/etc/cron.d/1",
        "1.2\0",
        "1.2\n",
        "1..2",
        "1.2.",
        "1" * 65,
        "1.2 ",
    ],
)
def test_what_is_no_uid_becomes_no_path(files: Files, uid: str) -> None:
    source = files.incoming / "x"
    source.write_bytes(b"abc")
    before = sorted(files.folder.parent.rglob("*"))
    for study, instance in ((uid, "1.2.3"), ("1.2", uid)):
        for keep in (
            lambda: files.keep_arrival(study, instance, "d1", source),  # noqa: B023 - called at once
            lambda: files.keep_prior(study, instance, "d1", source),  # noqa: B023
            lambda: files.keep_result(study, instance, b"x"),  # noqa: B023
            lambda: files.keep_notice(study, instance, b"x"),  # noqa: B023
        ):
            with pytest.raises(CannotUnderstand, match="not a UID"):
                keep()
    assert sorted(files.folder.parent.rglob("*")) == before


@pytest.mark.parametrize("relative", ["../node.db", "/etc/passwd", "studies/../../x", "studies/1.2/../../../x"])
def test_a_row_names_no_file_outside_the_store(files: Files, relative: str) -> None:
    with pytest.raises(ValueError, match="outside the store"):
        files.path(relative)
