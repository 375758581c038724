"""The radiomics report."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from highdicom.sr import Comprehensive3DSR

from dicomnode.domain.code import Code
from dicomnode.domain.finding import Absent, Findings, Measurement, Provenance
from dicomnode.domain.uid import ResultUids
from dicomnode.report import features, segmentation
from dicomnode.report.encode import to_bytes

from .conftest import findings_in
from .reading import referenced_instances, reread, texts


def test_features_are_a_report_of_their_own_with_ibsi_codes_and_exact_values(
    findings: Findings, provenance: Provenance, uids: ResultUids
) -> None:
    seg = segmentation.write(findings, provenance, uids)
    sr: Any = Comprehensive3DSR.from_dataset(reread(features.write(findings, provenance, uids, seg)))
    assert (sr.SOPInstanceUID, sr.SeriesInstanceUID) == (uids.instance("radiomics"), uids.series("radiomics"))
    (group,) = sr.content.get_volumetric_roi_measurement_groups()
    assert group.referenced_segment[0].referenced_segment_numbers == [3]
    assert [(row.name.value, row.name.scheme_designator) for row in group.get_measurements()] == [
        ("TLU2", "IBSI"),
        ("ACUI", "IBSI"),
    ]
    assert [row.value for row in group.get_measurements()] == [row.value for row in findings.features[0].measurements]
    assert sr.CodingSchemeIdentificationSequence[0].CodingSchemeDesignator == "IBSI"
    assert referenced_instances(sr) == {str(ds.SOPInstanceUID) for ds in findings.source.datasets} | {
        uids.instance("seg")
    }


def test_the_algorithm_is_the_radiomics_software_with_its_settings(
    findings: Findings, provenance: Provenance, uids: ResultUids
) -> None:
    sr: Any = Comprehensive3DSR.from_dataset(reread(features.write(findings, provenance, uids, None)))
    (group,) = sr.content.get_image_measurement_groups()
    algorithm = {
        item.ConceptNameCodeSequence[0].CodeMeaning: item.TextValue
        for item in group[0].ContentSequence
        if item.ValueType == "TEXT"
    }
    assert algorithm["Algorithm Name"] == "pyradiomics"
    assert algorithm["Algorithm Version"] == "3.0.1"
    assert algorithm["Algorithm Parameters"] == findings.features[0].settings


def test_without_features_there_is_no_report(
    findings: Findings, empty_findings: Findings, provenance: Provenance, uids: ResultUids
) -> None:
    assert features.write(replace(findings, features=()), provenance, uids, None) is None
    assert features.write(replace(empty_findings, features=findings.features), provenance, uids, None) is None


def test_a_segment_too_small_for_features_is_named(
    findings: Findings, provenance: Provenance, uids: ResultUids
) -> None:
    mask = findings.segmentation
    wanted = tuple(replace(segment, radiomics=True) for segment in mask.segments)
    changed = replace(findings, segmentation=replace(mask, segments=wanted))
    assert "No features for Lung left: its region is too small for them." in texts(
        reread(features.write(changed, provenance, uids, None))
    )


def test_features_of_filtered_images_have_private_codes_and_what_they_rest_on_is_told(
    findings: Findings, provenance: Provenance, uids: ResultUids
) -> None:
    (base,) = findings.features
    unit = Code(value="1", scheme="UCUM", meaning="no units")
    wavelet = Code(value="RAD-0A1B2C3D", scheme="99DICOMNODE", meaning="wavelet-HHL_glcm_Contrast")
    busyness = Code(value="NQ30", scheme="IBSI", meaning="Busyness of NGTDM")
    reason = Code(value="114011", scheme="DCM", meaning="Value indeterminate")
    features_of_one = replace(
        base,
        measurements=(
            *base.measurements,
            Measurement(segment_number=base.segment_number, name=wavelet, value=0.125, unit=unit),
        ),
        absent=(
            Absent(
                segment_number=base.segment_number, name=busyness, unit=unit, reason=reason,
                text="not defined where all voxels have one grey level",
            ),
        ),
        contour_change={"original_glcm_Contrast": 0.1234, "wavelet-HHL_glcm_Contrast": 0.5},
    )  # fmt: skip
    ds = reread(features.write(replace(findings, features=(features_of_one,)), provenance, uids, None))
    sr: Any = Comprehensive3DSR.from_dataset(ds)
    (group,) = sr.content.get_image_measurement_groups()
    last = group.get_measurements()[-1]
    assert (last.name.scheme_designator, last.name.meaning, last.value) == ("99DICOMNODE", wavelet.meaning, 0.125)
    assert ("NQ30", "114011") in {(one.name.value, one.value.value) for one in group.get_qualitative_evaluations()}
    said = texts(ds)
    assert "Not measured of Nodule: Busyness of NGTDM: not defined where all voxels have one grey level" in said
    assert (
        "Largest relative change of each feature of Nodule with a contour one voxel wider or narrower: "
        "original_glcm_Contrast 0.123; wavelet-HHL_glcm_Contrast 0.5" in said
    )


def test_the_same_analysis_has_the_same_bytes(provenance: Provenance, uids: ResultUids) -> None:
    first, second = (features.write(findings_in("axial"), provenance, uids, None) for _ in range(2))
    assert first is not None
    assert second is not None
    assert to_bytes(first) == to_bytes(second)
