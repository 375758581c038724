"""Pictures as Secondary Capture: what they show is what the mask says, and every archive can file them."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from highdicom import Volume
from numpy.typing import NDArray
from PIL import Image
from pydicom import Dataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage

from dicomnode.domain.code import Code
from dicomnode.domain.errors import EncodingError
from dicomnode.domain.finding import Check, Classification, Detection, Findings, Provenance, SourceSeries
from dicomnode.domain.model import Severity, Task
from dicomnode.domain.uid import ResultUids
from dicomnode.report import secondary
from dicomnode.report.canvas import AMBER, BODY, RED
from dicomnode.report.encode import to_bytes
from dicomnode.report.focus import foci_of
from dicomnode.report.page import MOST_FINDINGS, pictures_of
from dicomnode.report.place import Place
from dicomnode.report.window import window_for

from .conftest import ORIENTATIONS, SEGMENTS, SERIES, SHAPE, STUDY, findings_in, with_headers
from .phantoms import SOURCES
from .reading import referenced_instances, reread
from .test_validators import ACCEPTED_WARNING, real_findings, tool

#: An outline of the thickest kind is four pixels wide, so its pixels lie within two of the true edge, and a pixel's
#: centre may be another half away.
OUTLINE_PIXELS = 2.5

#: What the checker says where no body part tells whether it is a paired one.
LATERALITY_UNKNOWN = "Laterality(0020,0060)> - is only permitted to be empty when actually unknown"


def pixels(ds: Dataset) -> NDArray[np.uint8]:
    """The image as decoded from the bytes of its file."""
    array = reread(ds).pixel_array
    assert array.dtype == np.uint8
    return np.asarray(array)


def coloured(image: NDArray[np.uint8], place: Place, colour: tuple[int, int, int]) -> NDArray[np.float64]:
    """Pixels of exactly this colour within a view as (down, right) in its voxels."""
    x, y = place.corner
    part = image[y : y + place.size[1], x : x + place.size[0]]
    found = np.argwhere((part == colour).all(axis=2)) + 0.5
    return np.asarray(found / np.array(place.scale[::-1]) + np.array(place.crop[:2]))


def edges_of(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Middles of all pixel edges between in and out, as (down, right) from the corner of the first pixel."""
    padded = np.pad(mask, 1)
    down = np.argwhere(padded[1:] != padded[:-1]) + np.array([0.0, -0.5])
    right = np.argwhere(padded[:, 1:] != padded[:, :-1]) + np.array([-0.5, 0.0])
    return np.concatenate([down, right])


@pytest.mark.parametrize("name", ["reversed", "sagittal", "tilted CT", "enhanced MR"])
def test_the_outline_in_the_decoded_picture_is_the_edge_of_the_mask(
    name: str, provenance: Provenance, uids: ResultUids
) -> None:
    findings = findings_in(name) if name in ORIENTATIONS else SOURCES[name]()
    pictures = pictures_of(findings, provenance)
    objects = secondary.write(findings, provenance, uids, pictures)
    checked = 0
    for picture, ds in zip(pictures, objects, strict=True):
        image = pixels(ds)
        for place in picture.places:
            labels = place.view.of(findings.segmentation.volume.array)
            # The lesion is drawn above all others and so is whole.
            lesion = next(one for one in SEGMENTS if one.label == "Nodule")
            drawn = coloured(image, place, lesion.color_rgb)
            edges = edges_of(labels == lesion.number)
            assert bool(len(drawn)) == bool(len(edges))
            if len(edges):
                scale = np.array(place.scale[::-1])
                apart = np.linalg.norm((drawn[:, None] - edges[None]) * scale, axis=2)
                # The outline goes straight from the middle of one edge to the next, at most a voxel further on.
                assert apart.min(axis=1).max() <= OUTLINE_PIXELS + np.max(scale) / 2
                assert apart.min(axis=0).max() <= OUTLINE_PIXELS
                checked += 1
    assert checked >= 3


def test_every_segment_is_outlined_on_the_slice_of_its_largest_area(
    findings: Findings, provenance: Provenance, uids: ResultUids
) -> None:
    pictures = pictures_of(findings, provenance)
    assert [picture.title for picture in pictures[1:]] == [segment.label for segment in SEGMENTS]
    labels = findings.segmentation.volume.array
    for segment, picture, ds in zip(
        SEGMENTS, pictures[1:], secondary.write(findings, provenance, uids, pictures)[1:], strict=True
    ):
        place = picture.places[0]
        areas = (labels == segment.number).sum(axis=(1, 2))
        assert (place.view.axis, areas[place.view.index]) == (0, areas.max())
        assert len(coloured(pixels(ds), place, segment.color_rgb)) > 100
        assert [one.view.axis for one in picture.places[:3]] == [0, 1, 2]


def test_a_millimetre_is_as_long_in_every_direction(findings: Findings, provenance: Provenance) -> None:
    for picture in pictures_of(findings, provenance):
        for place in picture.places:
            x, y = place.scale
            across, down = x / place.view.spacing_mm[1], y / place.view.spacing_mm[0]
            # A view has whole pixels, so its sides are off by half of one at most.
            assert across / down == pytest.approx(1, abs=0.5 / min(place.size) * 2)


def test_nothing_is_drawn_outside_the_page_or_into_the_bands(findings: Findings, provenance: Provenance) -> None:
    for picture in pictures_of(findings, provenance):
        assert picture.image.shape == (1024, 1024, 3)
        for place in picture.places:
            x, y = place.corner
            assert x >= 0
            assert x + place.size[0] <= 1024
            assert y >= BODY
            assert y + place.size[1] <= BODY + picture.body.shape[0]


def test_a_small_finding_is_shown_enlarged(provenance: Provenance) -> None:
    large = np.zeros((6, 200, 200), dtype=np.uint8)
    large[3, 90:96, 120:126] = 5
    base = findings_in("axial")

    def volume(values: NDArray[np.generic]) -> Volume:
        return Volume(array=values, affine=base.source.volume.affine, coordinate_system="PATIENT")

    findings = replace(
        base,
        source=SourceSeries(volume=volume(np.zeros(large.shape, np.int16)), planes=base.source.planes[:6]),
        segmentation=replace(base.segmentation, volume=volume(large)),
        measurements=(),
    )
    (_, picture) = pictures_of(findings, provenance)
    whole, enlarged = picture.places[0], picture.places[3]
    assert enlarged.view == whole.view
    assert enlarged.scale[0] > 1.5 * whole.scale[0]
    top, left, bottom, right = enlarged.crop
    assert top < 90 < 96 < bottom
    assert left < 120 < 126 < right


def test_parts_of_a_lesion_are_findings_of_their_own_and_parts_of_an_organ_are_not(provenance: Provenance) -> None:
    array = np.zeros(SHAPE, dtype=np.uint8)
    array[2, 3:6, 3:6] = 5
    array[8, 10:15, 10:15] = 5
    array[2, 15, 15] = array[8, 2, 2] = 1
    foci = foci_of(findings_in("axial", array))
    assert [(focus.title, focus.voxels, focus.centre) for focus in foci] == [
        ("Lung right", 2, (2, 15, 15)),
        ("Nodule, part 1 of 2", 25, (8, 12, 12)),
        ("Nodule, part 2 of 2", 9, (2, 4, 4)),
    ]


def test_no_more_pictures_than_anybody_looks_at(provenance: Provenance) -> None:
    array = np.zeros(SHAPE, dtype=np.uint8)
    array[:, ::3, ::3] = 5
    assert len(pictures_of(findings_in("axial", array), provenance)) == 1 + MOST_FINDINGS


def test_the_centre_of_a_ring_lies_on_the_ring() -> None:
    array = np.zeros(SHAPE, dtype=np.uint8)
    array[5, 4:15, 4:15] = 1
    array[5, 6:13, 6:13] = 0
    (focus,) = foci_of(findings_in("axial", array))
    assert array[focus.centre] == 1


def test_boxes_are_drawn_where_they_are_with_their_scores(
    findings: Findings, provenance: Provenance, uids: ResultUids
) -> None:
    box = Detection(number=1, segment=SEGMENTS[2], score=0.934, low=(3.5, 5.5, 7.5), high=(6.5, 10.5, 15.5))
    empty = np.zeros(SHAPE, dtype=np.uint8)
    found = replace(findings_in("axial", empty), detections=(box,), measurements=())
    pictures = pictures_of(found, provenance)
    assert [picture.title for picture in pictures[1:]] == ["Nodule 1"]
    image = pixels(secondary.write(found, provenance, uids, pictures)[1])
    drawn = coloured(image, pictures[1].places[0], box.segment.color_rgb)
    # The score stands above the box.
    assert drawn[:, 0].max() == pytest.approx(11, abs=0.2)
    assert (drawn[:, 1].min(), drawn[:, 1].max()) == pytest.approx((8, 16), abs=0.2)


def test_the_objects_are_one_series_of_plain_rgb_images(
    findings: Findings, provenance: Provenance, uids: ResultUids
) -> None:
    objects = [reread(ds) for ds in secondary.write(findings, provenance, uids)]
    assert {ds.SOPClassUID for ds in objects} == {SecondaryCaptureImageStorage}
    assert {ds.SeriesInstanceUID for ds in objects} == {uids.series("picture")}
    assert len({ds.SOPInstanceUID for ds in objects}) == len(objects) == 4
    assert [ds.InstanceNumber for ds in objects] == [1, 2, 3, 4]
    for ds in objects:
        assert ds.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
        assert (ds.PhotometricInterpretation, ds.SamplesPerPixel, ds.LossyImageCompression) == ("RGB", 3, "00")
        assert (ds.BurnedInAnnotation, ds.ConversionType, ds.Modality) == ("YES", "WSD", "OT")
        assert "FrameOfReferenceUID" not in ds
        assert "PixelSpacing" not in ds
        assert "Not for primary diagnosis" in ds.DerivationDescription
        assert (str(ds.PatientName), ds.PatientID, ds.IssuerOfPatientID) == ("Müller^Jörg", "P-1", "Hospital")
        assert (ds.StudyInstanceUID, ds.AccessionNumber, ds.StudyDescription) == (STUDY, "A-17", "Thorax")
        assert referenced_instances(ds) == {str(one.SOPInstanceUID) for one in findings.source.datasets}
        assert ds.ReferencedSeriesSequence[0].SeriesInstanceUID == SERIES


def test_the_same_findings_give_the_same_bytes(provenance: Provenance, uids: ResultUids) -> None:
    first, second = (secondary.write(findings_in("oblique"), provenance, uids) for _ in range(2))
    assert [to_bytes(ds) for ds in first] == [to_bytes(ds) for ds in second]


@pytest.mark.parametrize(
    "name",
    ["Yamada^Tarou=山田^太郎=やまだ^たろう", "王^小东", "홍^길동", "Иванов^Иван", "قباني^لنزار", "Διονυσιος^Άγγελος"],
)
def test_a_name_in_any_script_survives_in_the_header(name: str, provenance: Provenance, uids: ResultUids) -> None:
    def rename(_: int, ds: Dataset) -> None:
        ds.SpecificCharacterSet = "ISO_IR 192"
        ds.PatientName = name

    ds = reread(secondary.write(with_headers(findings_in("axial"), rename), provenance, uids)[0])
    assert (ds.SpecificCharacterSet, str(ds.PatientName)) == ("ISO_IR 192", name)


def test_an_empty_result_says_that_it_is_no_normal_report(
    empty_findings: Findings, provenance: Provenance, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = replace(provenance.model, sensitivity="93 % (n = 120 nodules)")
    told: list[str] = []
    line = "dicomnode.report.canvas.Canvas.paragraph"
    monkeypatch.setattr(line, lambda self, text, **_: told.append(text))
    table, middle = pictures_of(empty_findings, replace(provenance, model=model))
    assert told[1] == (
        "No candidate found by Chest CT segmentation 1.0.0; not a normal report. Sensitivity: 93 % (n = 120 nodules)"
    )
    assert not table.places
    assert [place.view.index for place in middle.places] == [length // 2 for length in SHAPE]


def test_a_classifier_gives_its_answer_and_the_middle_of_the_series(
    empty_findings: Findings, provenance: Provenance, monkeypatch: pytest.MonkeyPatch
) -> None:
    yes, no = (Code(value=str(number), scheme="99", meaning=text) for number, text in enumerate(("Oedema", "None")))
    question = Code(value="q", scheme="99", meaning="Lung oedema")
    answer = Classification(question=question, answer=yes, probabilities=((yes, 0.9996), (no, 0.0004)))
    findings = replace(empty_findings, measurements=(), classifications=(answer,))
    told: list[str] = []
    monkeypatch.setattr("dicomnode.report.canvas.Canvas.paragraph", lambda self, text, **_: told.append(text))
    pictures_of(findings, replace(provenance, model=replace(provenance.model, task=Task.CLASSIFY)))
    assert told[1:] == ["Lung oedema: Oedema (Oedema > 99.9 %, None < 0.1 %)"]


def test_a_refusal_is_a_picture_of_its_own_series_with_the_failures_first(
    findings: Findings, provenance: Provenance, uids: ResultUids
) -> None:
    checks = (
        Check(rule="modality", found="CT", limit="CT", passed=True),
        Check(rule="slice_spacing", found="5.0 mm", limit="at most 3.0 mm", passed=False),
        Check(rule="noise", found="80 HU", limit="at most 60 HU", passed=False, severity=Severity.WARN),
    )
    ds = secondary.refusal(findings.source.datasets, "slices 5.0 mm apart", provenance, uids, checks)
    assert (ds.SeriesInstanceUID, ds.SOPInstanceUID) == (uids.series("notice"), uids.instance("notice"))
    assert referenced_instances(ds) == {str(one.SOPInstanceUID) for one in findings.source.datasets}
    image = pixels(ds)
    # Below the heading: the failed check in red stands above the warning in amber.
    failed = np.argwhere((image[BODY + 80 : 940] == RED).all(axis=2))[:, 0]
    warned = np.argwhere((image[BODY + 80 : 940] == AMBER).all(axis=2))[:, 0]
    assert failed.max() < warned.min()
    again = secondary.refusal(findings.source.datasets, "slices 5.0 mm apart", provenance, uids, checks)
    assert to_bytes(ds) == to_bytes(again)


def test_a_withdrawal_is_another_object_of_the_same_series(
    findings: Findings, provenance: Provenance, uids: ResultUids
) -> None:
    ds = secondary.withdrawal(findings.source.datasets, "wrong patient", provenance, uids)
    assert ds.ImageComments == "WITHDRAWN"
    assert ds.SeriesInstanceUID == uids.series("notice")
    assert ds.SOPInstanceUID != uids.instance("notice")
    assert (pixels(ds)[BODY : BODY + 60] == RED).all(axis=2).any()


def test_a_new_revision_says_supersedes_in_the_upper_band(
    findings: Findings, provenance: Provenance, replacing: Provenance
) -> None:
    def amber_lines(who: Provenance) -> int:
        # The number of the page stands in the first line.
        return int((pictures_of(findings, who)[0].image[40 : BODY - 6] == AMBER).all(axis=2).sum())

    assert amber_lines(provenance) == 0
    assert amber_lines(replacing) > 100


def test_headers_with_nothing_but_uids_suffice_for_a_refusal(provenance: Provenance, uids: ResultUids) -> None:
    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", f"{SERIES}.1"
    ds.StudyInstanceUID, ds.SeriesInstanceUID = STUDY, SERIES
    assert reread(secondary.refusal([ds], "no geometry", provenance, uids)).PatientID == ""


def test_two_patients_or_no_header_are_errors(findings: Findings, provenance: Provenance, uids: ResultUids) -> None:
    with pytest.raises(EncodingError, match="found no header"):
        secondary.refusal([], "reason", provenance, uids)
    findings.source.datasets[3].PatientID = "P-2"
    with pytest.raises(EncodingError, match="found 2 patients"):
        secondary.write(findings, provenance, uids)


def test_a_series_of_one_value_makes_a_picture(findings: Findings, provenance: Provenance) -> None:
    volume = findings.source.volume.with_array(np.full(SHAPE, 7, dtype=np.int16))
    for modality in ("CT", "MR", "PT", "NM"):
        findings.source.datasets[0].Modality = modality
        assert pictures_of(replace(findings, source=replace(findings.source, volume=volume)), provenance)


def test_pet_is_black_on_white_and_lung_has_its_window(findings: Findings) -> None:
    pet = replace(findings.source, unit="g/ml{SUVbw}")
    pet.datasets[0].Modality = "PT"
    window = window_for(pet, None, None)
    assert window.grey(np.array([0.0, 5.0, 20.0, np.nan])).tolist() == [255, 128, 0, 255]
    pet.datasets[0].Modality = "CT"
    lung = window_for(findings.source, SEGMENTS[0], None)
    assert (lung.low, lung.high) == (-1350, 150)
    tissue = window_for(findings.source, replace(SEGMENTS[2], anatomic_region=None), None)
    assert (tissue.low, tissue.high) == (-160, 240)


@pytest.mark.parametrize(
    "name", ["oblique", "tilted CT", "part of an enhanced CT", "legacy converted CT", "tomographic NM"]
)
def test_dciodvfy_finds_nothing_in_any_picture(
    name: str, replacing: Provenance, uids: ResultUids, tmp_path: Path
) -> None:
    findings = findings_in(name) if name in ORIENTATIONS else SOURCES[name]()
    objects = [
        *secondary.write(findings, replacing, uids)[:2],
        secondary.refusal(findings.source.datasets, "too thin", replacing, uids),
        secondary.withdrawal(findings.source.datasets, "wrong side", replacing, uids),
    ]
    for number, ds in enumerate(objects):
        file = tmp_path / f"{number}.dcm"
        file.write_bytes(to_bytes(ds))
        done = subprocess.run([tool("dciodvfy"), "-new", str(file)], capture_output=True, text=True, check=False)
        lines = [line for line in done.stderr.splitlines() if line.strip() and ACCEPTED_WARNING not in line]
        if "BodyPartExamined" not in findings.source.datasets[0]:
            lines = [line for line in lines if LATERALITY_UNKNOWN not in line]
        assert lines == ["SCImage"]


def test_a_picture_survives_as_png_of_half_its_size(findings: Findings, provenance: Provenance) -> None:
    picture = pictures_of(findings, provenance)[1]
    half = np.asarray(Image.fromarray(picture.image).resize((512, 512), Image.Resampling.BILINEAR), dtype=int)
    red = np.abs(half - np.array(SEGMENTS[2].color_rgb)).sum(axis=2) < 120
    assert red.any()


def test_pictures_of_a_real_thorax_ct_validate(
    real_data: Path, provenance: Provenance, uids: ResultUids, tmp_path: Path
) -> None:
    findings = real_findings(real_data / "lung1" / "LUNG1-002_20180526_CT")
    for ds in secondary.write(findings, provenance, uids):
        file = tmp_path / f"{ds.InstanceNumber}.dcm"
        file.write_bytes(to_bytes(ds))
        done = subprocess.run([tool("dciodvfy"), "-new", str(file)], capture_output=True, text=True, check=False)
        # The series itself draws warnings: a name without components, a private scheme for how it was de-identified.
        assert [line for line in done.stderr.splitlines() if line and not line.startswith("Warning")] == ["SCImage"]
