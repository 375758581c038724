"""An event as XML by the DICOM Audit Message Schema (PS3.15 A.5.1)."""

from __future__ import annotations

import re
from base64 import b64encode
from datetime import datetime
from ipaddress import ip_address
from xml.etree.ElementTree import Element, SubElement, tostring

from dicomnode.audit.event import Coded, Event, Participant, Source, Subject
from dicomnode.domain.clock import to_text

#: What XML 1.0 cannot hold (2.2), and line breaks, since a message is one line of the file.
_UNFIT = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufffe\uffff]")

#: AuditSourceTypeCode of an application server (PS3.15 A.5.1.2.1).
_APPLICATION_SERVER = "4"

#: NetworkAccessPointTypeCode (PS3.15 A.5.1): machine name, IP address.
_MACHINE, _IP_ADDRESS = "1", "2"

#: A reason longer than this helps nobody; receivers have to take 32 768 octets (PS3.15 A.6), rsyslog takes 8 096.
_LONGEST_TEXT = 1024


def to_xml(event: Event, source: Source, at: datetime) -> bytes:
    """The message in UTF-8, without line breaks."""
    root = Element("AuditMessage")
    when = {
        "EventActionCode": str(event.action),
        "EventDateTime": to_text(at),
        "EventOutcomeIndicator": str(int(event.outcome)),
    }
    identification = SubElement(root, "EventIdentification", when)
    _code(identification, "EventID", event.id)
    for kind in event.types:
        _code(identification, "EventTypeCode", kind)
    if event.reason:
        SubElement(identification, "EventOutcomeDescription").text = _fit(event.reason)
    for participant in event.participants:
        _participant(root, participant)
    site = {"AuditEnterpriseSiteID": _fit(source.site)} if source.site else {}
    kept_by = SubElement(root, "AuditSourceIdentification", {**site, "AuditSourceID": _fit(source.id)})
    SubElement(kept_by, "AuditSourceTypeCode", {"csd-code": _APPLICATION_SERVER})
    for subject in event.subjects:
        _subject(root, subject)
    body: bytes = tostring(root, encoding="utf-8", xml_declaration=False)
    return b'<?xml version="1.0" encoding="UTF-8"?>' + body


def _participant(root: Element, who: Participant) -> None:
    values = {"UserID": _fit(who.user_id), "UserIsRequestor": str(who.requestor).lower()}
    if who.aets:
        values["AlternativeUserID"] = _fit("AETITLES=" + ";".join(who.aets))
    if who.name:
        values["UserName"] = _fit(who.name)
    if who.address:
        values["NetworkAccessPointID"] = _fit(who.address)
        values["NetworkAccessPointTypeCode"] = _IP_ADDRESS if _is_address(who.address) else _MACHINE
    element = SubElement(root, "ActiveParticipant", values)
    for role in who.roles:
        _code(element, "RoleIDCode", role)


def _subject(root: Element, subject: Subject) -> None:
    values = {
        "ParticipantObjectID": _fit(subject.id),
        "ParticipantObjectTypeCode": str(subject.kind),
        "ParticipantObjectTypeCodeRole": str(subject.role),
    }
    element = SubElement(root, "ParticipantObjectIdentification", values)
    _code(element, "ParticipantObjectIDTypeCode", subject.id_type)
    if subject.query is not None:
        SubElement(element, "ParticipantObjectQuery").text = b64encode(subject.query).decode()
    else:
        SubElement(element, "ParticipantObjectName").text = _fit(subject.name or subject.id)
    for name, value in subject.details.items():
        SubElement(element, "ParticipantObjectDetail", {"type": name, "value": b64encode(value).decode()})
    if subject.sop_classes or subject.accession_number or subject.anonymized is not None:
        _description(SubElement(element, "ParticipantObjectDescription"), subject)


def _description(element: Element, subject: Subject) -> None:
    if subject.accession_number:
        SubElement(element, "Accession", {"Number": _fit(subject.accession_number)})
    for uid, count in subject.sop_classes.items():
        SubElement(element, "SOPClass", {"UID": _fit(uid), "NumberOfInstances": str(count)})
    if subject.anonymized is not None:
        SubElement(element, "Anonymized").text = str(subject.anonymized).lower()


def _code(parent: Element, name: str, code: Coded) -> None:
    values = {"csd-code": code.code, "codeSystemName": code.system, "originalText": code.meaning}
    SubElement(parent, name, values)


def _fit(text: str) -> str:
    return _UNFIT.sub("\ufffd", text[:_LONGEST_TEXT])


def _is_address(text: str) -> bool:
    try:
        ip_address(text.split("%")[0])
    except ValueError:
        return False
    return True
