"""The sarcoma model on the patients whose images are DICOM, by the way that `dicomnode process` goes."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dicomnode.domain.finding import Measurement, Segmentation, SourceSeries
from dicomnode.domain.model import ModelSpec
from dicomnode.flow.outcome import name_of
from dicomnode.flow.process import NotAnalysed, process
from dicomnode.infer.bundle.load import load_bundle
from dicomnode.infer.contours.read import read_contours
from dicomnode.infer.network.session import Sessions
from dicomnode.measure.intensity import measure
from dicomnode.train.sts_cases import HELD_OUT, Case
from dicomnode.train.sts_measure import Row, row

STUDIES = "sts_ibsi_validation"
"""Folder of the DICOM studies below the folder of data sets."""
OUTPUTS = ("seg", "sr", "radiomics")


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """One patient by the node's own path.

    Attributes
    ----------
    measured
        Name of a measurement → its value in the node's segment and in the contour, and its unit.
    features
        How many radiomics features the report holds.
    warnings
        What the report tells its reader.
    """

    row: Row
    measured: dict[str, tuple[float, float, str]]
    features: int
    seconds: float
    warnings: tuple[str, ...]


def study_folder(data: Path, name: str) -> Path:
    """Where the series of one patient lie."""
    return data / STUDIES / name / "dicom" / name


def on_dicom(data: Path, model: Path, sessions: Sessions, seed: int = 1) -> list[Examined]:
    """Every held-out patient, processed from files to reports and held against his RT Structure Set on the PET.

    Raises
    ------
    ValueError
        If the node did not analyse one of them.
    """
    spec = load_bundle(model)
    return [_tested(study_folder(data, name), spec, sessions, seed) for name in HELD_OUT]


def _tested(folder: Path, spec: ModelSpec, sessions: Sessions, seed: int) -> Examined:
    with tempfile.TemporaryDirectory() as results:
        series = [folder / "PET" / "image", folder / "CT" / "image"]
        done = process(series, spec, OUTPUTS, Path(results), sessions)
    if isinstance(done, NotAnalysed):
        raise ValueError(f"{folder.name}: not analysed, {done.reason}")
    findings = done.analysis.findings
    contour = read_contours([folder / "PET" / "mask" / "RS.dcm"], findings.source).segmentation
    truth = contour.volume.array > 0
    case = Case(
        name=folder.name, pet=findings.source.volume, ct=findings.companions[0].volume, truth=truth, has_ct=True
    )
    drawn = Segmentation(volume=contour.volume.with_array(truth.astype("uint8")), segments=spec.segments)
    return Examined(
        row=row(case, spec, sessions, seed, findings.segmentation.volume.array == 1),
        measured=dict(_beside(findings.measurements, _reference(findings.source, drawn))),
        features=sum(len(one.measurements) for one in findings.features),
        seconds=sum(done.analysis.seconds.values()),
        warnings=findings.warnings,
    )


def _reference(source: SourceSeries, drawn: Segmentation) -> tuple[Measurement, ...]:
    """What the node measures in the contour itself."""
    return measure(source.volume, drawn, "PT", source.unit).measurements


def _beside(
    found: tuple[Measurement, ...], reference: tuple[Measurement, ...]
) -> Iterator[tuple[str, tuple[float, float, str]]]:
    values = {_name(one): one.value for one in found}
    for one in reference:
        if _name(one) in values:
            yield _name(one), (values[_name(one)], one.value, one.unit.value)


def _name(one: Measurement) -> str:
    return f"{name_of(one)} ({one.method.meaning})" if one.method else name_of(one)
