"""Audit messages: valid by the schema of PS3.15 A.5.1, with what A.5.3 asks of each."""

from __future__ import annotations

import shutil
import subprocess
from base64 import b64decode
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree

import pytest

from dicomnode.audit import message
from dicomnode.audit.encode import to_xml
from dicomnode.audit.event import Action, Event, Outcome, Source
from dicomnode.audit.message import Studied

SCHEMA = Path(__file__).parent / "audit-message.rng"
AT = datetime(2026, 11, 21, 8, 0, 0, 1200, tzinfo=UTC)
HERE = message.this_process(["DICOMNODE", "NODE_NOW"])
CT = message.other_node("CT1", "10.0.0.21", requestor=True)
STUDY = Studied(
    study_instance_uid="1.2.3", patient_id="P1", accession_number="A1", sop_classes={"1.2.840.10008.5.1.4.1.1.2": 300}
)

EVENTS = {
    "application": message.application(HERE, started=True),
    "log used": message.log_used(message.this_person(), HERE, "file:///var/lib/dicomnode/audit"),
    "begin": message.begin_transfer(HERE, CT, STUDY),
    "transferred": message.transferred(CT, HERE, STUDY, created=True),
    "failed": message.transferred(CT, HERE, STUDY, created=True, failure="A700"),
    "anonymized": message.transferred(HERE, CT, Studied(study_instance_uid="1.2", anonymized=True), created=False),
    "accessed": message.accessed(message.this_person(), STUDY, Action.DELETE, "wrong patient"),
    "deleted": message.study_deleted(HERE, STUDY, "retention time is over"),
    "query": message.query(HERE, CT, "1.2.840.10008.5.1.4.1.2.2.1", b"\x10\x00\x20\x00", "1.2.840.10008.1.2"),
    "alert": message.alert(message.NODE_AUTHENTICATION, HERE, CT, "certificate has expired", Outcome.SERIOUS),
    "resumed": message.alert(message.RECORDING_STARTED, HERE, None, "3 messages are missing", Outcome.SERIOUS),
}


def parsed(event: Event) -> ElementTree.Element:
    return ElementTree.fromstring(to_xml(event, Source(id="DICOMNODE", site="Hospital"), AT))


@pytest.mark.parametrize("event", EVENTS.values(), ids=EVENTS.keys())
def test_every_message_is_valid_by_the_schema_of_the_standard(event: Event, tmp_path: Path) -> None:
    tool = shutil.which("xmllint")
    if tool is None:
        pytest.skip("needs xmllint; Debian package libxml2-utils")
    path = tmp_path / "message.xml"
    path.write_bytes(to_xml(event, Source(id="DICOMNODE", site="Hospital"), AT))
    command = [tool, "--noout", "--relaxng", str(SCHEMA), str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_schema_refuses_what_the_standard_does_not_allow(tmp_path: Path) -> None:
    tool = shutil.which("xmllint")
    if tool is None:
        pytest.skip("needs xmllint; Debian package libxml2-utils")
    path = tmp_path / "message.xml"
    wrong = to_xml(EVENTS["transferred"], Source(id="N"), AT).replace(b'EventActionCode="C"', b'EventActionCode="X"')
    path.write_bytes(wrong)
    command = [tool, "--noout", "--relaxng", str(SCHEMA), str(path)]
    assert subprocess.run(command, capture_output=True, check=False).returncode != 0


def test_a_transfer_names_both_ends_the_study_and_the_patient() -> None:
    root = parsed(EVENTS["transferred"])
    event = root.find("EventIdentification")
    assert event is not None and event.get("EventDateTime") == "2026-11-21T08:00:00.001200Z"
    assert event.find("EventID[@csd-code='110104']") is not None and event.get("EventOutcomeIndicator") == "0"
    source, destination = root.findall("ActiveParticipant")
    assert (source.get("UserID"), source.get("UserIsRequestor")) == ("CT1", "true")
    assert source.get("NetworkAccessPointID") == "10.0.0.21" and source.get("NetworkAccessPointTypeCode") == "2"
    assert source.find("RoleIDCode[@csd-code='110153']") is not None
    assert destination.get("AlternativeUserID") == "AETITLES=DICOMNODE;NODE_NOW"
    assert destination.find("RoleIDCode[@csd-code='110152']") is not None
    study, patient = root.findall("ParticipantObjectIdentification")
    assert study.get("ParticipantObjectID") == "1.2.3" and patient.get("ParticipantObjectID") == "P1"
    sop_class = study.find("ParticipantObjectDescription/SOPClass")
    assert sop_class is not None and sop_class.get("NumberOfInstances") == "300"


def test_a_failure_is_one_in_the_outcome_and_says_why() -> None:
    root = parsed(EVENTS["failed"])
    event = root.find("EventIdentification")
    assert event is not None and event.get("EventOutcomeIndicator") == "4"
    assert event.findtext("EventOutcomeDescription") == "A700"


def test_a_query_is_kept_as_it_was_sent() -> None:
    (model,) = parsed(EVENTS["query"]).findall("ParticipantObjectIdentification")
    assert b64decode(model.findtext("ParticipantObjectQuery") or "") == b"\x10\x00\x20\x00"
    detail = model.find("ParticipantObjectDetail[@type='TransferSyntax']")
    assert detail is not None and b64decode(detail.get("value") or "") == b"1.2.840.10008.1.2"


@pytest.mark.parametrize("hostile", ["a\nb", "<x a='\"'/>&amp;", "\x00\x1b[2J\x85", "\ud800", "ÄÖ=山田"])
def test_whatever_a_peer_calls_itself_a_message_stays_one_line_of_valid_xml(hostile: str) -> None:
    peer = message.other_node(hostile, "10.0.0.9")
    made = to_xml(message.alert(message.RESTRICTED_FUNCTION, HERE, peer, hostile, Outcome.MINOR), Source(id="N"), AT)
    assert b"\n" not in made and b"\r" not in made
    assert len(ElementTree.fromstring(made).findall("ActiveParticipant")) == 2


def test_a_message_about_an_event_prints_no_patient_where_it_is_logged() -> None:
    assert "P1" not in repr(EVENTS["transferred"]) and "P1" not in repr(STUDY)
