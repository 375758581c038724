"""The log: it keeps patients out, and its own faults to itself."""

from __future__ import annotations

import io
import sys

import pytest
import structlog

from dicomnode import log


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
