"""What of an earlier study a rule can use that measures what a person has drawn."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from pydicom import Dataset

from dicomnode.domain.header import Header
from dicomnode.domain.model import ModelSpec
from dicomnode.domain.prior import PatientIdentity, Prior
from dicomnode.domain.rule import Rule
from dicomnode.domain.study import Instance, Series, Study
from dicomnode.flow.priors.use import prior_of
from dicomnode.infer.bundle.load import load_bundle

ROOT = Path(__file__).resolve().parents[3]
CT, STRUCTURES = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.481.3"
RULE = Rule(name="r", model="measure-contours", outputs=("sr",), destinations=())
PATIENT = PatientIdentity(patient_id="P1", birth_date="19700101", sex="F")


@pytest.fixture(scope="module")
def spec() -> ModelSpec:
    return load_bundle(ROOT / "models" / "measure-contours")


def series(uid: str, sop_class: str, modality: str, *, names: str = "", objects: int = 1) -> Series:
    ds = Dataset()
    ds.PatientID, ds.PatientBirthDate, ds.PatientSex, ds.Modality = "P1", "19700101", "F", modality
    ds.FrameOfReferenceUID, ds.Manufacturer = "1.9", "SOMEBODY"
    if names:
        named, study, frame = Dataset(), Dataset(), Dataset()
        named.SeriesInstanceUID, study.RTReferencedSeriesSequence = names, [named]
        frame.RTReferencedStudySequence = [study]
        ds.ReferencedFrameOfReferenceSequence = [frame]
    else:
        ds.ImageType, ds.Rows, ds.Columns = ["ORIGINAL", "PRIMARY", "AXIAL"], 16, 16
        ds.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    instances = []
    for number in range(objects):
        if not names:
            ds.ImagePositionPatient = [0, 0, number]
        instances.append(
            Instance(
                sop_instance_uid=f"{uid}.{number}",
                sop_class_uid=sop_class,
                transfer_syntax_uid="",
                digest="",
                path=Path(f"{uid}.{number}"),
                header=Header.of(ds.to_json_dict()),
            )
        )
    return Series(series_instance_uid=uid, instances=tuple(instances))


def used(spec: ModelSpec, *found: Series) -> Prior:
    study = Study(
        study_instance_uid="1", revision=1, calling_aet="", called_aet="", address="", peer="", series=found
    )  # fmt: skip
    prior = prior_of(study, date(2026, 1, 1), "PACS", rule=RULE, spec=spec, patient=PATIENT)
    assert prior is not None
    return prior


def test_the_contours_that_the_rule_would_measure_are_named_by_their_input_and_are_no_images(spec: ModelSpec) -> None:
    prior = used(
        spec,
        series("1.1", CT, "CT", objects=3),
        series("1.2", STRUCTURES, "RTSTRUCT", names="1.1"),
        series("1.3", STRUCTURES, "RTSTRUCT", names="1.8"),
    )
    assert {name: len(paths) for name, paths in prior.images.items()} == {"image": 3}
    assert [(one.sop_instance_uid, one.input) for one in prior.contours] == [("1.2.0", "contours"), ("1.3.0", "")]
    assert prior.remark == ""


def test_images_come_also_where_nobody_has_drawn_on_them(spec: ModelSpec) -> None:
    prior = used(spec, series("1.1", CT, "CT", objects=3))
    assert {name: len(paths) for name, paths in prior.images.items()} == {"image": 3}
    assert prior.contours == ()
