"""Who made a result, with what and when: equipment, algorithm, series numbers and dates of every object we write."""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

from highdicom import AlgorithmIdentificationSequence, ContributingEquipment
from pydicom import Dataset
from pydicom.sr.codedict import codes
from pydicom.valuerep import DT

from dicomnode.domain.finding import Provenance
from dicomnode.domain.uid import derived_uid

#: Manufacturer's Model Name of all our objects; the node recognises its own results by it when they come back.
MODEL_NAME = "dicomnode"
MANUFACTURER = "dicomnode project"

DISCLAIMER = "RESEARCH ONLY: output of AI software, not reviewed by a physician. Not for primary diagnosis."
_CLINICAL_DISCLAIMER = "Output of AI software, not reviewed by a physician. Not for primary diagnosis."

_ACQUISITION_EQUIPMENT = "109101"


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """One kind of result: its place in the block of ten series numbers of a rule, and what its series is called."""

    offset: int
    title: str


#: The names are the roles of `ResultUids`. No role has offset 0, so that of ten fills the place in the next block;
#: what withdraws results shares numbers with another rule, which is rare and harms nobody (PS3.3 C.7.3.1).
ROLES = {
    "seg": Role(offset=1, title="AI SEG"),
    "sr": Role(offset=2, title="AI SR"),
    "radiomics": Role(offset=3, title="AI radiomics"),
    "refusal": Role(offset=4, title="AI not analysed"),
    "rtstruct": Role(offset=5, title="AI contours"),
    "map": Role(offset=6, title="AI map"),
    "picture": Role(offset=7, title="AI pictures"),
    "pdf": Role(offset=8, title="AI report"),
    "notice": Role(offset=9, title="AI notice"),
    "labelmap": Role(offset=10, title="AI label map"),
    "withdrawn": Role(offset=11, title="AI result withdrawn"),
    "rejection": Role(offset=12, title="AI result rejected"),
}


def shortened(text: str, length: int = 64) -> str:
    """`text` fit for a value of `length` characters: LO by default, SH with 16 (PS3.5 section 6.2)."""
    return re.sub(r"[\\\x00-\x1f]+", " ", text).strip()[:length]


def disclaimer(provenance: Provenance) -> str:
    """What every result says of itself in words."""
    return DISCLAIMER if provenance.research else _CLINICAL_DISCLAIMER


def supersedes(provenance: Provenance) -> tuple[str, ...]:
    """That there was an earlier result, where there was one; few viewers show what a report names as predecessor."""
    if provenance.predecessor is None:
        return ()
    return (f"SUPERSEDES the earlier result of this rule (revision {provenance.revision}, run {provenance.run})",)


def headline(provenance: Provenance) -> str:
    """Title of a result that people read as a page."""
    return f"AI result{' (research)' if provenance.research else ''}: {provenance.model.title}"


def series_number(role: str, rule: str) -> int:
    """A number from 9001 to 9992 that stays the same for a role and a rule."""
    return 9000 + 10 * (zlib.crc32(rule.encode()) % 99) + ROLES[role].offset


def device_uid(provenance: Provenance) -> str:
    """UID of the trained model as a device: changes with its weights, as IHE AIR asks."""
    return derived_uid("device", provenance.model.name, *(one.sha256 for one in provenance.model.weights))


def parameters(provenance: Provenance) -> dict[str, str]:
    """What, besides the input, decided the result."""
    return {
        "status": str(provenance.model.status),
        "recipe": provenance.model.recipe,
        "rule": provenance.rule,
        "use": "research" if provenance.research else "clinical",
        "revision": str(provenance.revision),
        "run": str(provenance.run),
        "node": f"{MODEL_NAME} {provenance.node_version}",
    }


def algorithm(provenance: Provenance) -> AlgorithmIdentificationSequence:
    """Algorithm Identification Macro (PS3.3 Table 10-19)."""
    model = provenance.model
    return AlgorithmIdentificationSequence(
        name=shortened(model.name),
        family=codes.DCM.ArtificialIntelligence,
        version=shortened(model.version),
        source=shortened(model.manufacturer),
        parameters=parameters(provenance),
    )


def equipment(provenance: Provenance) -> dict[str, Any]:
    """General Equipment (PS3.3 C.7.5.1) and contributing equipment as arguments of highdicom's constructors."""
    model = provenance.model
    contribution = ContributingEquipment(
        manufacturer=shortened(model.manufacturer),
        purpose_of_reference=codes.DCM.ProcessingEquipment,
        manufacturer_model_name=shortened(model.name),
        software_versions=[shortened(model.version)],
        contribution_description=shortened(model.title),
    )
    contribution.DeviceUID = device_uid(provenance)
    return {
        "manufacturer": MANUFACTURER,
        "manufacturer_model_name": MODEL_NAME,
        "software_versions": [shortened(provenance.node_version), shortened(f"{model.name} {model.version}")],
        "device_serial_number": shortened(provenance.station),
        "contributing_equipment": [contribution],
    }


def stamp(result: Dataset, header: Dataset, provenance: Provenance, role: str) -> None:
    """Write into `result` what highdicom leaves out or takes from the clock.

    Content, series and creation time are the start of the analysis (IHE AIR), so the same analysis has the same bytes.

    Parameters
    ----------
    result
        The object as highdicom built it; changed in place.
    header
        A fitted source header of the same study.
    """
    model = provenance.model
    result.SpecificCharacterSet = "ISO_IR 192"
    result.PatientName = header.PatientName
    what = f"{ROLES[role].title} (research)" if provenance.research else ROLES[role].title
    result.SeriesDescription = shortened(f"{what} {model.title} {model.version}")
    result.StationName = shortened(provenance.station, 16)
    began = local(provenance.started_at, str(header.get("TimezoneOffsetFromUTC") or ""))
    if header.get("TimezoneOffsetFromUTC"):
        # It would hold for the copied times too, and what a source does not say is not made up.
        result.TimezoneOffsetFromUTC = began.strftime("%z")
    for prefix in ("Content", "Series", "InstanceCreation"):
        setattr(result, f"{prefix}Date", began.strftime("%Y%m%d"))
        setattr(result, f"{prefix}Time", began.strftime("%H%M%S.%f"))
    for item in result.ContributingEquipmentSequence:
        if item.PurposeOfReferenceCodeSequence[0].CodeValue != _ACQUISITION_EQUIPMENT:
            item.ContributionDateTime = DT(began)


def local(moment: datetime, offset: str) -> datetime:
    """`moment` at the offset from UTC in which the source gives its times.

    TimezoneOffsetFromUTC holds for every date and time of an object (PS3.3 C.12.1.1.5), also for the study's, which
    are copied. A source that does not say gets the local time of this machine, which stands in the same hospital.
    """
    match = re.fullmatch(r"([+-])(\d\d)(\d\d)", offset)
    if not match:
        return moment.astimezone()
    sign = -1 if match[1] == "-" else 1
    return moment.astimezone(timezone(sign * timedelta(hours=int(match[2]), minutes=int(match[3]))))
