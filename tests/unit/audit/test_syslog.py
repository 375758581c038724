"""The trail on its way to a collector: every line once, in order, whoever goes away meanwhile."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from time import monotonic
from xml.etree import ElementTree

import pytest

from dicomnode.audit import syslog
from dicomnode.audit.chain import GENESIS, link
from dicomnode.audit.event import Source
from dicomnode.audit.file import Trail
from dicomnode.audit.message import Studied, application, other_node, this_process, transferred
from dicomnode.audit.syslog import Collector, Forwarder, framed, read_position
from dicomnode.domain.clock import utc_now
from dicomnode.domain.network import Tls
from tests.certificates import Authority
from tests.unit.audit.collector import CollectorStandIn

HERE = this_process(["DICOMNODE"])
STARTED = application(HERE, started=True)


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[CollectorStandIn]:
    made = CollectorStandIn(tmp_path / "ca").start()
    yield made
    made.stop()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "audit"


@pytest.fixture
def trail(folder: Path) -> Trail:
    return Trail(folder, Source(id="N"), utc_now, limit_bytes=5000, sync=False)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in (("_IDLE_SECONDS", 0.01), ("_FIRST_SECONDS", 0.02), ("_OBJECTION_SECONDS", 0.1)):
        monkeypatch.setattr(syslog, name, seconds)


@contextmanager
def forwarding(folder: Path, port: int, ca: Path) -> Iterator[None]:
    target = Collector(host="localhost", port=port, tls=Tls(ca=ca))
    stop = Event()
    thread = Thread(target=Forwarder(folder, target.connect, "node.hospital").run, args=(stop,))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(30)
        assert not thread.is_alive()


def eventually(condition: Callable[[], bool], seconds: float = 20) -> None:
    until = monotonic() + seconds
    waiting = Event()
    while not condition():
        assert monotonic() < until, "it has not happened"
        waiting.wait(0.01)


def record(trail: Trail, count: int) -> None:
    for _ in range(count):
        trail.record(STARTED)


def test_a_frame_has_length_header_byte_order_mark_and_message() -> None:
    line = link(GENESIS, 7, "2026-11-21T08:00:00.000000Z", b'<AuditMessage EventOutcomeIndicator="0"/>')
    frame = framed(line, "node.hospital")
    length, message = frame.split(b" ", 1)
    assert int(length) == len(message)
    assert message == (
        b"<85>1 2026-11-21T08:00:00.000000Z node.hospital dicomnode - DICOM+RFC3881 "
        b'[meta sequenceId="7"] \xef\xbb\xbf<AuditMessage EventOutcomeIndicator="0"/>'
    )


def test_what_has_failed_is_a_warning() -> None:
    line = link(GENESIS, 1, "2026-11-21T08:00:00.000000Z", b'<AuditMessage EventOutcomeIndicator="8"/>')
    assert framed(line, "h").split(b" ", 1)[1].startswith(b"<84>1 ")


def test_every_line_arrives_once_and_in_order(trail: Trail, folder: Path, collector: CollectorStandIn) -> None:
    record(trail, 10)
    with forwarding(folder, collector.port, collector.ca):
        eventually(lambda: len(collector.frames) == 10)
        record(trail, 30)
        eventually(lambda: len(collector.frames) == 40)
    assert collector.sequences() == list(range(1, 41))
    assert read_position(folder) == 40


def test_a_forwarder_that_starts_again_goes_on_where_it_was(
    trail: Trail, folder: Path, collector: CollectorStandIn
) -> None:
    record(trail, 5)
    with forwarding(folder, collector.port, collector.ca):
        eventually(lambda: read_position(folder) == 5)
    record(trail, 5)
    with forwarding(folder, collector.port, collector.ca):
        eventually(lambda: read_position(folder) == 10)
    assert collector.sequences() == list(range(1, 11))


def test_a_collector_that_was_away_gets_everything(trail: Trail, folder: Path, collector: CollectorStandIn) -> None:
    record(trail, 3)
    with forwarding(folder, collector.port, collector.ca):
        eventually(lambda: read_position(folder) == 3)
        collector.stop()
        record(trail, 20)
        collector.start()
        eventually(lambda: read_position(folder) == 23)
    # What was under way when the connection broke may have come twice; nothing is missing.
    assert sorted(set(collector.sequences())) == list(range(1, 24))
    assert len(collector.frames) <= 23 + syslog.BATCH


def test_what_somebody_puts_into_the_trail_neither_goes_out_nor_keeps_the_rest_from_going(
    trail: Trail, folder: Path, collector: CollectorStandIn
) -> None:
    record(trail, 2)
    zeros = b"0" * 64
    forged = (
        b"999999999 2026-11-21T08:00:00.000000Z " + zeros + b" <forged/>\n",
        b"3 \xe9 " + zeros + b" <forged/>\n",
        b"9" * 5000 + b" 2026-11-21T08:00:00.000000Z " + zeros + b" <forged/>\n",
    )
    with (folder / "audit-000001.log").open("ab") as file:
        file.writelines(forged)
    record(trail, 3)
    for _start in range(2):
        with forwarding(folder, collector.port, collector.ca):
            eventually(lambda: read_position(folder) == 5)
    assert collector.sequences() == [1, 2, 3, 4, 5]
    assert not [one for one in collector.frames if b"forged" in one]


def test_nothing_goes_to_a_collector_that_cannot_prove_who_it_is(
    trail: Trail, folder: Path, collector: CollectorStandIn, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    record(trail, 3)
    other = Authority(tmp_path / "other", "Another authority")
    with forwarding(folder, collector.port, other.certificate):
        eventually(lambda: "audit_trail_not_forwarded" in capfd.readouterr().out)
    assert collector.frames == [] and read_position(folder) == 0


_CHILD = """
import sys
from pathlib import Path
from threading import Event
from dicomnode.audit import syslog
from dicomnode.audit.syslog import Collector, Forwarder
from dicomnode.domain.network import Tls
syslog._IDLE_SECONDS = syslog._FIRST_SECONDS = syslog._OBJECTION_SECONDS = 0.01
folder, port, ca = Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
Forwarder(folder, Collector(host="localhost", port=port, tls=Tls(ca=ca)).connect).run(Event())
"""


def test_kill_9_loses_nothing_and_doubles_at_most_what_was_under_way(
    trail: Trail, folder: Path, collector: CollectorStandIn
) -> None:
    total, kills = 0, 0
    for _ in range(4):
        record(trail, 60)
        total += 60
        wanted = total - 40
        arguments = [sys.executable, "-c", _CHILD, str(folder), str(collector.port), str(collector.ca)]
        with subprocess.Popen(arguments, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as child:
            eventually(lambda wanted=wanted: len(set(collector.sequences())) >= wanted)  # type: ignore[misc]
            os.kill(child.pid, signal.SIGKILL)
        kills += 1
    with forwarding(folder, collector.port, collector.ca):
        eventually(lambda: read_position(folder) == total)
    eventually(lambda: len(set(collector.sequences())) == total)
    assert sorted(set(collector.sequences())) == list(range(1, total + 1))
    assert len(collector.frames) - total <= kills * syslog.BATCH


RSYSLOG = """
global(workDirectory="{folder}" maxMessageSize="64k" defaultNetstreamDriver="gtls"
  defaultNetstreamDriverCAFile="{ca}" defaultNetstreamDriverCertFile="{certificate}"
  defaultNetstreamDriverKeyFile="{key}")
module(load="imtcp" streamDriver.name="gtls" streamDriver.mode="1" streamDriver.authMode="x509/certvalid")
template(name="whole" type="string" string="%pri% %msgid% %structured-data% %msg%\\n")
input(type="imtcp" port="{port}" address="127.0.0.1" ruleset="audit")
ruleset(name="audit") {{ action(type="omfile" file="{received}" template="whole") }}
"""


def test_rsyslog_takes_the_trail_over_mutual_tls(trail: Trail, folder: Path, tmp_path: Path) -> None:
    tool = shutil.which("rsyslogd", path=f"{os.environ['PATH']}:/usr/sbin")
    if tool is None or not any(Path("/usr/lib").glob("*/rsyslog/lmnsd_gtls.so")):
        pytest.skip("needs rsyslogd with TLS; Debian packages rsyslog and rsyslog-gnutls")
    authority = Authority(tmp_path / "ca")
    server, client = authority.issue("collector"), authority.issue("node")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    received, settings = tmp_path / "received", tmp_path / "rsyslog.conf"
    settings.write_text(
        RSYSLOG.format(
            folder=tmp_path, ca=authority.certificate, certificate=server.certificate, key=server.key, port=port,
            received=received,
        )
    )  # fmt: skip
    study = Studied(study_instance_uid="1.2.3", patient_id="Ä1", sop_classes={"1.2.840.10008.5.1.4.1.1.2": 3})
    trail.record(STARTED, transferred(other_node("CT1", "10.0.0.21"), HERE, study, created=True))
    record(trail, 20)
    target = Collector(
        host="127.0.0.1", port=port,
        tls=Tls(ca=authority.certificate, certificate=client.certificate, key=client.key),
    )  # fmt: skip
    command = [tool, "-n", "-f", str(settings), "-i", str(tmp_path / "pid")]
    stop = Event()
    thread = Thread(target=Forwarder(folder, target.connect, "node").run, args=(stop,))
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        thread.start()
        try:
            eventually(lambda: received.exists() and len(received.read_bytes().splitlines()) == 22)
        finally:
            stop.set()
            thread.join(30)
            process.terminate()
    lines = received.read_text(encoding="utf-8").splitlines()
    numbers = [int(re.findall(r'^85 DICOM\+RFC3881 \[meta sequenceId="(\d+)"\]', line)[0]) for line in lines]
    assert numbers == list(range(1, 23))
    root = ElementTree.fromstring(lines[1].split("\ufeff", 1)[1])
    patient = root.findall("ParticipantObjectIdentification")[1]
    assert patient.get("ParticipantObjectID") == "Ä1"
