"""What stands above and below every picture: patient, study, series, node, model, time, and what it is not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pydicom import Dataset
from pydicom.valuerep import DA

from dicomnode.domain.finding import Provenance
from dicomnode.report.identity import fit
from dicomnode.report.lettering import LEFT_TO_RIGHT, SHAPES, drawable, name_text, right_to_left
from dicomnode.report.provenance import MODEL_NAME, disclaimer, local, supersedes


@dataclass(frozen=True, slots=True, kw_only=True)
class Banner:
    """Lines for people, all of letters that can be drawn.

    Attributes
    ----------
    name, identity
        Of the patient; ID, birth date and sex, which no long name may push off the page.
    lines
        Study; series; model, node and time; predecessor, if there is one.
    disclaimer
        What the picture is not.
    """

    name: str
    identity: str
    lines: tuple[str, ...]
    disclaimer: str


def banner(datasets: Sequence[Dataset], provenance: Provenance, *, shapes: bool = SHAPES) -> Banner:
    """Who and what a picture is about, from the headers of one study.

    Parameters
    ----------
    datasets
        Headers of the main series, at least one.
    shapes
        Whether whoever draws it can join and reorder letters.
    """
    header = fit(datasets[0])
    name = name_text(header.get("PatientName"), shapes=shapes)
    patient = [f"ID {_text(header, 'PatientID') or 'none'}"]
    if _date(header, "PatientBirthDate"):
        patient.append(f"born {_date(header, 'PatientBirthDate')}")
    patient.append(_text(header, "PatientSex"))
    study = ["Study", _date(header, "StudyDate") or "without date", _text(header, "StudyDescription")]
    series = [f"Series {_text(header, 'SeriesNumber')}".strip(), _text(header, "Modality")]
    series += [_text(header, "SeriesDescription"), _count(datasets)]
    lines = [f"{study[0]} {study[1]}" + (f" · {study[2]}" if study[2] else ""), " · ".join(filter(None, series))]
    lines.append(made(header, provenance))
    lines += supersedes(provenance)
    return Banner(
        name=f"{LEFT_TO_RIGHT}{name}" if right_to_left(name) else name,
        identity=drawable(" · ".join(filter(None, patient)), shapes=shapes),
        lines=tuple(drawable(line, shapes=shapes) for line in lines),
        disclaimer=disclaimer(provenance),
    )


def made(header: Dataset, provenance: Provenance) -> str:
    """Model, node and time in one line."""
    model = provenance.model
    began = local(provenance.started_at, str(header.get("TimezoneOffsetFromUTC") or ""))
    return (
        f"{model.name} {model.version} ({model.status}) · {MODEL_NAME} {provenance.node_version} "
        f"on {provenance.station} · analysed {began:%Y-%m-%d %H:%M}"
    )


def _count(datasets: Sequence[Dataset]) -> str:
    count = sum(int(ds.get("NumberOfFrames") or 1) for ds in datasets)
    return f"{count} images" if count > 1 else "1 image"


def _text(header: Dataset, keyword: str) -> str:
    value = header.get(keyword)
    return "" if value is None else " ".join(str(value).split())


def _date(header: Dataset, keyword: str) -> str:
    """As ISO 8601 writes it, which nobody reads as another day."""
    value = _text(header, keyword)
    date = DA(value) if value else None
    return f"{date:%Y-%m-%d}" if date else ""
