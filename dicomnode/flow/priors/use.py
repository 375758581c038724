"""Tells what of an earlier study an analysis can use, and whether it is the same patient's beyond doubt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from types import MappingProxyType

from dicomnode.domain.model import ModelSpec
from dicomnode.domain.prior import IDENTITY_UNCERTAIN, PatientIdentity, Prior, PriorFile, PriorKind
from dicomnode.domain.rule import Rule
from dicomnode.domain.study import Instance, Series, Study
from dicomnode.flow.priors.choice import identity_of
from dicomnode.flow.stacks import in_stacks
from dicomnode.report.provenance import MODEL_NAME
from dicomnode.route.contours import CLASSES
from dicomnode.route.feed import Feed
from dicomnode.route.inputs import feeds

#: RT Structure Set Storage.
_STRUCTURES = "1.2.840.10008.5.1.4.1.1.481.3"

#: PS3.4 Table B.5-1: every Structured Report Storage class begins so.
_REPORTS = "1.2.840.10008.5.1.4.1.1.88."


def prior_of(
    study: Study,
    day: date,
    source: str,
    *,
    rule: Rule,
    spec: ModelSpec,
    patient: PatientIdentity,
    results: Sequence[PriorFile] = (),
    made_here: Mapping[str, bool] = MappingProxyType({}),
) -> Prior | None:
    """What an analysis can use of an earlier study, or None where that is nothing.

    Images are those that would feed the model today by the same rule, whoever sent them; masks and structure sets
    are all there are; reports are this node's.

    Parameters
    ----------
    patient
        Of the present study.
    results
        What this node keeps of its own results beside the study.
    made_here
        SOP Instance UIDs of objects that this node made → whether they still stand; those that do not are left out.
    """
    fed = _feeds(study, rule, spec)
    images = _images(fed)
    asked = {one.sop_instance_uid: name for feed in fed for name, of in feed.series.items() for one in of.instances}
    files = [*images, *results]
    known = {file.sop_instance_uid for file in files}
    for series in study.series:
        for one in series.instances:
            own = one.sop_instance_uid in made_here or one.header.first("ManufacturerModelName") == MODEL_NAME
            kind = _kind(one.sop_class_uid)
            used = kind is not None and (own or kind is not PriorKind.REPORT)
            if kind and used and made_here.get(one.sop_instance_uid, True) and one.sop_instance_uid not in known:
                files.append(_file(series, one, kind, asked.get(one.sop_instance_uid, ""), own=own))
    if not files:
        return None
    doubts = _doubts(patient, study, images, files)
    return Prior(
        study_instance_uid=study.study_instance_uid,
        study_date=day,
        source=source,
        files=tuple(files),
        remark=f"{IDENTITY_UNCERTAIN}: {', '.join(doubts)} missing or not the same" if doubts else "",
    )


def _feeds(study: Study, rule: Rule, spec: ModelSpec) -> list[Feed]:
    """What feeds the model, the best first; its images alone where it measures contours and there are none."""
    anywhere, stacks = replace(rule, study=()), in_stacks(study)
    found = [one for one in feeds(anywhere, stacks, spec) if not one.lacking]
    if not spec.contours or found:
        return found
    pictured = replace(spec, contours="", inputs=spec.images)
    return [one for one in feeds(anywhere, stacks, pictured) if not one.lacking]


def _images(found: Sequence[Feed]) -> list[PriorFile]:
    return [
        _file(series, one, PriorKind.IMAGE, name)
        for feed in found[:1]
        for name, series in feed.series.items()
        for one in series.instances
        if one.sop_class_uid not in CLASSES
    ]


def _kind(sop_class_uid: str) -> PriorKind | None:
    if sop_class_uid.startswith(_REPORTS):
        return PriorKind.REPORT
    if sop_class_uid not in CLASSES:
        return None
    return PriorKind.CONTOURS if sop_class_uid == _STRUCTURES else PriorKind.MASK


def _file(series: Series, one: Instance, kind: PriorKind, name: str = "", *, own: bool = False) -> PriorFile:
    return PriorFile(
        kind=kind, series_instance_uid=series.series_instance_uid, sop_class_uid=one.sop_class_uid,
        sop_instance_uid=one.sop_instance_uid, path=one.path, input=name, own=own,
    )  # fmt: skip


def _doubts(
    patient: PatientIdentity, study: Study, images: Sequence[PriorFile], files: Sequence[PriorFile]
) -> dict[str, None]:
    """Keywords that do not vouch for the same patient, of the series that are used.

    The images vouch for what was drawn on them or reported of them and leaves a field empty, as many programs do, but
    not for what says something else.
    """
    identities = {series.series_instance_uid: identity_of(series.header) for series in study.series}
    shown = [identities[uid] for uid in dict.fromkeys(file.series_instance_uid for file in images)]
    used = [identities[uid] for uid in dict.fromkeys(file.series_instance_uid for file in files) if uid in identities]
    used = used or list(identities.values())
    vouched = [one.completed(shown[0]) for one in used] if shown else used
    return dict.fromkeys(keyword for one in (*shown, *vouched) for keyword in patient.doubts(one))
