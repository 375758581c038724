"""The log: it keeps patients out, and its own faults to itself."""

from __future__ import annotations

import io
import json
import logging
import sys
import threading

import pytest
import structlog

from dicomnode import log
from dicomnode.domain.errors import ModelError


class FullDisk(io.StringIO):
    def write(self, text: str) -> int:
        raise OSError(28, "No space left on device")


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_log_that_cannot_be_written_stops_nobody(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", FullDisk())
    log.configure("info", form, "test")
    structlog.get_logger().warning("the disk under the log is full")


def test_a_log_whose_stream_was_closed_stops_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    log.configure("info", "text", "test")
    stream.close()
    structlog.get_logger().warning("the collector went away")


@pytest.mark.parametrize("form", ["text", "json"])
def test_what_a_careless_line_names_of_the_patient_is_not_logged(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    log.configure("info", form, "test")
    structlog.get_logger().info("received", patient_name="Muster^Maria", study="1.2.3")
    told = capsys.readouterr().err
    assert "received" in told
    assert "1.2.3" in told
    assert "Muster" not in told


NAME = "Muster^Maria"


def fail(words: str) -> None:
    """As a library does that repeats the value which it cannot read."""
    raise ValueError(f"not a decimal: {words!r}")


@pytest.fixture
def _hooks(monkeypatch: pytest.MonkeyPatch) -> None:
    """What `catch_all` replaces is put back."""
    for module, name in ((sys, "excepthook"), (sys, "unraisablehook"), (threading, "excepthook")):
        monkeypatch.setattr(module, name, getattr(module, name))


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_traceback_tells_types_and_frames_and_not_the_words_of_others(
    form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    log.configure("info", form, "test")
    try:
        try:
            fail(NAME)
        except ValueError as error:
            error.add_note(f"of {NAME}")
            raise ModelError("toy: the runtime gave no mask") from error
    except ModelError:
        structlog.get_logger().exception("failed")
    shown = capsys.readouterr().err
    assert "Muster" not in shown
    assert "ValueError: (words withheld)" in shown and "in fail" in shown
    assert "ModelError: toy: the runtime gave no mask" in shown


def test_the_words_of_the_system_are_told_and_not_the_name_of_the_file(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure("info", "json", "test")
    error = FileNotFoundError(2, "No such file or directory", "/data/Muster^Maria.dcm")
    structlog.get_logger().error("failed", exc_info=error)
    (line,) = capsys.readouterr().err.splitlines()
    assert json.loads(line)["exception"].endswith("FileNotFoundError: No such file or directory")
    assert "Muster" not in line


@pytest.mark.usefixtures("_hooks")
def test_the_tracebacks_of_libraries_and_of_threads_withhold_words_too(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure("info", "text", "test")
    log.catch_all()
    try:
        fail(NAME)
    except ValueError as error:
        logging.getLogger("apscheduler.executors").exception("job raised an exception")
        sys.excepthook(type(error), error, error.__traceback__)
    thread = threading.Thread(target=fail, args=(NAME,), name="sender")
    thread.start()
    thread.join()
    shown = capsys.readouterr().err
    assert "Muster" not in shown
    assert shown.count("ValueError: (words withheld)") == 3 and "thread=sender" in shown


def test_an_exception_that_came_in_a_circle_is_told_once() -> None:
    first, second = ValueError("a"), KeyError("b")
    first.__cause__, second.__cause__ = second, first
    assert log.told(first).count("withheld") == 2
