"""Equipment, dates, series numbers and descriptions."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pydicom import Dataset

from dicomnode.domain.finding import Findings, Provenance
from dicomnode.domain.model import Weights
from dicomnode.domain.uid import ResultUids
from dicomnode.report import features, measurements, refusal, segmentation
from dicomnode.report.provenance import MODEL_NAME, ROLES, device_uid, local, series_number, shortened

from .reading import reread


def all_results(findings: Findings, provenance: Provenance, uids: ResultUids) -> dict[str, Dataset]:
    return {
        "seg": reread(segmentation.write(findings, provenance, uids)),
        "sr": reread(measurements.write(findings, provenance, uids, None)),
        "radiomics": reread(features.write(findings, provenance, uids, None)),
        "refusal": reread(refusal.write(findings.source.datasets, "too thin", provenance, uids)),
    }


def test_every_result_says_who_made_it(findings: Findings, provenance: Provenance, uids: ResultUids) -> None:
    for role, ds in all_results(findings, provenance, uids).items():
        assert (ds.Manufacturer, ds.ManufacturerModelName) == ("dicomnode project", MODEL_NAME)
        assert ds.ManufacturerModelName == MODEL_NAME
        assert list(ds.SoftwareVersions) == ["0.1.0", "chest-ct 1.0.0"]
        assert ds.DeviceSerialNumber == ds.StationName == "DICOMNODE"
        assert ds.SeriesNumber == series_number(role, "chest")
        assert ds.SeriesDescription == f"{ROLES[role].title} (research) Chest CT segmentation 1.0.0"
        assert ds.SpecificCharacterSet == "ISO_IR 192"


def test_the_model_is_contributing_equipment_with_a_device_uid_that_follows_its_weights(
    findings: Findings, provenance: Provenance, uids: ResultUids
) -> None:
    for ds in all_results(findings, provenance, uids).values():
        (item,) = (item for item in ds.ContributingEquipmentSequence if "DeviceUID" in item)
        assert item.PurposeOfReferenceCodeSequence[0].CodeValue == "109102"
        assert item.DeviceUID == device_uid(provenance)
    retrained = replace(
        provenance, model=replace(provenance.model, weights=(Weights(onnx="model.onnx", sha256="ef" * 32),))
    )
    assert device_uid(retrained) != device_uid(provenance)


def test_dates_are_the_start_of_the_analysis_in_the_offset_of_the_source(
    findings: Findings, provenance: Provenance, uids: ResultUids
) -> None:
    for source in findings.source.datasets:
        source.TimezoneOffsetFromUTC = "-0930"
    for ds in all_results(findings, provenance, uids).values():
        assert ds.TimezoneOffsetFromUTC == "-0930"
        for prefix in ("Content", "Series", "InstanceCreation"):
            assert (ds[f"{prefix}Date"].value, ds[f"{prefix}Time"].value) == ("20260101", "010015.250000")
        contributions = [item.get("ContributionDateTime") for item in ds.ContributingEquipmentSequence]
        assert "20260101010015.250000-0930" in contributions


@pytest.mark.parametrize("offset", ["", "UTC", "+1"])
def test_a_source_without_a_usable_offset_gets_local_time(provenance: Provenance, offset: str) -> None:
    began = local(provenance.started_at, offset)
    assert began == provenance.started_at
    assert began.utcoffset() == provenance.started_at.astimezone().utcoffset()


def test_series_numbers_are_stable_distinct_per_role_and_in_the_9000s() -> None:
    for rule in ("chest", "head", "", "Ü" * 200):
        numbers = [series_number(role, rule) for role in ROLES]
        assert len(set(numbers)) == len(ROLES)
        assert all(9000 < number < 10_000 for number in numbers)
    # A change of the numbering would split a rule's results over two numbers in every archive.
    assert series_number("seg", "chest") == 9241


def test_long_names_are_cut_to_what_their_attributes_hold(
    findings: Findings, provenance: Provenance, uids: ResultUids
) -> None:
    long = replace(
        provenance,
        station="S" * 40,
        model=replace(provenance.model, title="T" * 100, version="1" * 80, manufacturer="M" * 90, name="N" * 90),
    )
    for ds in all_results(findings, long, uids).values():
        assert len(ds.SeriesDescription) == 64
        assert ds.StationName == "S" * 16


def test_text_that_would_split_a_value_is_mended() -> None:
    assert shortened(" a\\b\nc ") == "a b c"
