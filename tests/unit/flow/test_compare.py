"""Two time points of a phantom with known growth: change of every lesion, response, tracking UIDs, what forbids it."""

from __future__ import annotations

import dataclasses
import hashlib
import math
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from highdicom import Volume
from highdicom.seg import Segmentation as HighdicomSegmentation
from highdicom.seg import SegmentDescription
from numpy.typing import NDArray
from pydicom import Dataset, dcmread
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code as PydicomCode
from pydicom.uid import generate_uid

from dicomnode.domain.finding import Provenance
from dicomnode.domain.model import ModelSpec
from dicomnode.domain.prior import Prior, PriorFile, PriorKind
from dicomnode.domain.response import Comparison, Standing
from dicomnode.domain.uid import ResultUids
from dicomnode.flow import placed
from dicomnode.flow.analyse import Analysis, analyse
from dicomnode.flow.comparing.studies import compare
from dicomnode.infer.answer import Answer
from dicomnode.infer.bundle.load import load_bundle
from dicomnode.infer.network.session import Sessions
from dicomnode.measure.change import criteria
from dicomnode.measure.change.register import Registration, register
from dicomnode.report.compared import lines_of
from tests.series import bundles, classic
from tests.series.header import Place
from tests.series.scan import Scan
from tests.unit.infer.contours.drawn import structure_set
from tests.unit.measure.change.body import back, hu

DENSE_HU = 900.0
SPACING_MM = (4.0, 2.5, 2.5)

BODY = """
[input.ct]
Modality = "CT"
[[prepare]]
step = "scale"
range = [0.0, 1000.0]
[tile]
shape = [60, 96, 136]
overlap = 0.0
batch = 1
[output]
activation = "softmax"
[[post]]
step = "lesions"
segments = [1]
into = [2, 3]
[measure]
criteria = ["recist", "volume"]
targets = [2, 5]
"""

LABEL = """
[[segment]]
number = {number}
label = "Nodule {number}"
subject = "lesion"
derived = {derived}
category = {{ value = "49755003", scheme = "SCT", meaning = "Morphologically Abnormal Structure" }}
type = {{ value = "4147007", scheme = "SCT", meaning = "Mass" }}
anatomic_region = {{ value = "39607008", scheme = "SCT", meaning = "Lung" }}
"""

#: Middle in the earlier study, radius then and now (mm); 0 where it is not there.
GROWS, SHRINKS, GONE, NEW = (
    ((-75.0, 10.0, 20.0), 12.0, 18.0),
    ((70.0, 20.0, -20.0), 15.0, 12.0),
    ((-60.0, -30.0, -40.0), 9.0, 0.0),
    ((75.0, -20.0, 45.0), 0.0, 10.0),
)

Balls = list[tuple[tuple[float, float, float], float]]


def scan(balls: Balls, way: Callable[[Any], Any], spacing_mm: tuple[float, float, float] = SPACING_MM) -> Scan:
    """The body with balls of a dense material, which lie and bend with it."""
    shape = [round(size / step) for size, step in zip((240, 240, 340), spacing_mm, strict=True)]
    axes = [step * (np.arange(count) - count / 2) for step, count in zip(spacing_mm, shape, strict=True)]
    points = way(np.stack(np.meshgrid(*axes, indexing="ij")[::-1], axis=-1))
    values: NDArray[np.float64] = hu(points)
    for middle, radius in balls:
        values[((points - np.array(middle)) ** 2).sum(axis=-1) < radius**2] = DENSE_HU
    affine = np.eye(4)
    affine[:3, :3] = np.diag(spacing_mm)[::-1]
    affine[:3, 3] = [axis[0] for axis in reversed(axes)]
    return Scan(values=np.clip(values, -1000, 2000).astype(np.int16), affine=affine)


def same(points: Any) -> Any:
    return points


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> ModelSpec:
    body = BODY + "".join(LABEL.format(number=number, derived=str(number > 1).lower()) for number in (1, 2, 3))
    folder = bundles.write(tmp_path_factory.mktemp("models"), "nodules", body, bundles.threshold(0.7))
    return load_bundle(folder)


@pytest.fixture(scope="module", autouse=True)
def registered() -> Iterator[dict[bytes, Registration]]:
    """Registers every pair of images once; pairs that `unmoved` names lie as they lie."""
    known: dict[bytes, Registration] = {}

    def once(before: Volume, now: Volume, **more: Any) -> Registration:
        key = hashlib.sha256(before.array.tobytes() + now.array.tobytes()).digest()
        if key not in known:
            known[key] = register(before, now, **more)
        return known[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(placed, "register", once)
        yield known


@pytest.fixture
def unmoved(monkeypatch: pytest.MonkeyPatch) -> None:
    """The patient lies as before: no registration is needed to know it."""
    monkeypatch.setattr(placed, "register", lambda *_images, **_more: Registration(correlation=1.0))


@pytest.fixture(scope="module")
def sessions() -> Sessions:
    return Sessions(threads=1, device="cpu")


Saved = Callable[..., list[Path]]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Saved:
    """Writes a CT study."""

    def save(study: str, made: Scan, day: str, **more: Any) -> list[Path]:
        folder = tmp_path_factory.mktemp(study)
        place = Place(study=study, series="ct", frame=study, more={"StudyDate": day, **more})
        paths = []
        for index, ds in enumerate(classic.ct(made, place)):
            paths.append(folder / f"{index}.dcm")
            ds.save_as(paths[-1], enforce_file_format=True)
        return paths

    return save


@pytest.fixture(scope="module")
def before(saved: Saved) -> list[Path]:
    balls = [(middle, then) for middle, then, _ in (GROWS, SHRINKS, GONE, NEW) if then]
    return saved("before", scan(balls, same), "20260101")


@pytest.fixture(scope="module")
def now(saved: Saved) -> list[Path]:
    balls = [(middle, later) for middle, _, later in (GROWS, SHRINKS, GONE, NEW) if later]
    return saved("now", scan(balls, back), "20260301")


def files(paths: list[Path], kind: PriorKind = PriorKind.IMAGE) -> tuple[PriorFile, ...]:
    found = []
    for path in paths:
        ds = dcmread(path, stop_before_pixels=True)
        found.append(
            PriorFile(
                kind=kind, series_instance_uid=ds.SeriesInstanceUID, sop_class_uid=ds.SOPClassUID,
                sop_instance_uid=ds.SOPInstanceUID, path=path, input="ct" if kind is PriorKind.IMAGE else "",
                own=kind is not PriorKind.IMAGE,
            )
        )  # fmt: skip
    return tuple(found)


def prior_of(paths: list[Path], *more: PriorFile, day: date = date(2026, 1, 1), remark: str = "") -> Prior:
    uid = str(dcmread(paths[0], stop_before_pixels=True).StudyInstanceUID)
    return Prior(study_instance_uid=uid, study_date=day, source="store", files=(*files(paths), *more), remark=remark)


def run(
    paths: list[Path], model: ModelSpec, sessions: Sessions, *priors: Prior, wanted: tuple[str, ...] = ()
) -> Analysis:
    uid = str(dcmread(paths[0], stop_before_pixels=True).StudyInstanceUID)
    uids = ResultUids(study_instance_uid=uid, rule="r", input_digest=uid, recipe_digest="d", run=1)
    provenance = Provenance(
        node_version="1",
        station="T",
        rule="r",
        model=model,
        revision=1,
        run=1,
        started_at=datetime(2026, 3, 1, tzinfo=UTC),
    )
    return analyse({"ct": paths}, wanted, provenance, uids, sessions, priors=priors)


def compared(*arguments: Any, **named: Any) -> Comparison:
    comparison = run(*arguments, **named).findings.comparison
    assert comparison is not None
    return comparison


@pytest.fixture(scope="module")
def rerun(before: list[Path], now: list[Path], model: ModelSpec, sessions: Sessions) -> Comparison:
    """The comparison where of the prior only images are at hand."""
    return compared(now, model, sessions, prior_of(before))


def test_without_a_report_the_model_is_run_on_the_prior_and_growth_is_told_lesion_by_lesion(
    rerun: Comparison, before: list[Path]
) -> None:
    found = rerun
    assert found.not_comparable == "" and len(found.priors) == 1 and "run again" in found.priors[0].measured_by
    by_standing = {standing: [one for one in found.changes if one.standing is standing] for standing in Standing}
    grown, shrunk = sorted(by_standing[Standing.MATCHED], key=lambda one: -one.percent["volume_ml"])
    # Voxels of 4 × 2.5 × 2.5 mm: a ball's volume within a shell of half a voxel, its diameter within a voxel.
    for change, (_, then, later) in ((grown, GROWS), (shrunk, SHRINKS)):
        assert change.before is not None and change.now is not None
        assert change.before.longest_mm == pytest.approx(2 * then, abs=4.0)
        assert change.now.longest_mm == pytest.approx(2 * later, abs=4.0)
        assert change.percent["volume_ml"] == pytest.approx(100 * ((later / then) ** 3 - 1), rel=0.15)
        days = math.log(2) * 59 / math.log((later / then) ** 3)
        assert change.doubling_days == pytest.approx(days, rel=0.15)
    assert len(by_standing[Standing.NOT_DETECTED]) == 1 and len(by_standing[Standing.CANDIDATE_NEW]) == 1
    recist, volume = found.assessments
    assert recist.baseline == pytest.approx(54.0, abs=6.0) and recist.now == pytest.approx(60.0, abs=6.0)
    assert recist.category == criteria.STABLE, "54 to 60 mm is 11 %"
    assert volume.category is None and volume.percent_from_baseline is None and "not detected" in volume.text
    everything = sum(radius**3 for radius in (GROWS[1], SHRINKS[1], GONE[1])) * 4 / 3 * math.pi / 1000
    assert volume.baseline == pytest.approx(everything, rel=0.15), "the total is that of all lesions"
    images = [ref.sop_instance_uid for ref in found.priors[0].references]
    assert len(images) == len(before)


def test_lesions_keep_the_tracking_uids_of_our_earlier_report(
    before: list[Path], now: list[Path], model: ModelSpec, sessions: Sessions, rerun: Comparison, tmp_path: Path
) -> None:
    first = run(before, model, sessions, wanted=("seg", "sr"))
    written = {}
    for output in first.outputs:
        if not output.stands_in:
            written[output.kind] = tmp_path / f"{output.role}.dcm"
            written[output.kind].write_bytes(output.data)
    own = (*files([written["seg"]], PriorKind.MASK), *files([written["sr"]], PriorKind.REPORT))
    second = run(now, model, sessions, prior_of(before, *own), wanted=("seg", "sr"))
    found = second.findings.comparison
    assert found is not None and found.priors[0].measured_by == "nodules 1.0.0"
    assert {ref.sop_instance_uid for ref in found.priors[0].references} == {one.sop_instance_uid for one in own}
    earlier_mask = dcmread(written["seg"])
    mask = next(output.dataset for output in second.outputs if output.kind == "seg")
    then = {str(item.TrackingUID): str(item.SegmentLabel) for item in earlier_mask.SegmentSequence}
    later = {str(item.TrackingUID): str(item.SegmentLabel) for item in mask.SegmentSequence}
    assert len(set(then) & set(later)) == 2 and len(later) == 3
    for change in found.changes:
        if change.standing is Standing.MATCHED:
            assert change.before is not None and change.before.tracking_uid in then
            assert change.before.volume_ml is not None and change.before.centroid_mm is not None
    # What is read back is what was measured.
    assert sorted(one.volume_ml or 0 for one in found.priors[0].lesions) == pytest.approx(
        sorted(one.volume_ml or 0 for one in rerun.priors[0].lesions), rel=1e-6
    )
    assert sorted(one.longest_mm or 0 for one in found.priors[0].lesions) == pytest.approx(
        sorted(one.longest_mm or 0 for one in rerun.priors[0].lesions), rel=1e-6
    )


@pytest.mark.parametrize(("named", "words"), [
    ({"remark": "prior identity uncertain: PatientSex"}, "prior identity uncertain: PatientSex"),
    ({"day": date(2026, 4, 1)}, "later than the present one"),
])  # fmt: skip
def test_a_prior_that_may_not_be_used_is_named_with_its_reason(
    before: list[Path], now: list[Path], model: ModelSpec, sessions: Sessions, named: Any, words: str
) -> None:
    found = compared(now, model, sessions, prior_of(before, **named))
    assert words in found.not_comparable and found.priors == () and found.changes == ()
    assert len(found.now.lesions) == 3


def test_other_circumstances_forbid_the_comparison(
    saved: Saved, now: list[Path], model: ModelSpec, sessions: Sessions
) -> None:
    thick = saved("thick", scan([(GROWS[0], 12.0)], same, (10.0, 2.5, 2.5)), "20260101")
    found = compared(now, model, sessions, prior_of(thick))
    assert "slice thickness 10 mm then, 4 mm now" in found.not_comparable


@pytest.mark.parametrize("damage", ["cut", "gone", "no images"])
def test_a_damaged_prior_never_costs_the_result(
    before: list[Path], now: list[Path], model: ModelSpec, sessions: Sessions, tmp_path: Path, damage: str
) -> None:
    prior = prior_of(before)
    bad = tmp_path / "bad.dcm"
    if damage == "cut":
        bad.write_bytes(before[5].read_bytes()[:700])
    replaced = tuple(dataclasses.replace(file, path=bad) for file in prior.files) if damage != "no images" else ()
    found = run(now, model, sessions, dataclasses.replace(prior, files=replaced), wanted=("seg",))
    assert found.findings.comparison is not None and found.findings.comparison.not_comparable
    assert [output.kind for output in found.outputs] == ["seg"]


def test_a_model_without_lesions_compares_nothing(
    before: list[Path], now: list[Path], sessions: Sessions, tmp_path: Path
) -> None:
    body = BODY.split("[[post]]")[0] + bundles.DENSE
    plain = load_bundle(bundles.write(tmp_path, "plain", body, bundles.threshold(0.7)))
    assert run(now, plain, sessions, prior_of(before)).findings.comparison is None


def kept(analysis: Analysis, folder: Path) -> tuple[PriorFile, ...]:
    """Mask and report of an analysis as later ones find them."""
    found: tuple[PriorFile, ...] = ()
    folder.mkdir()
    for output in analysis.outputs:
        if not output.stands_in:
            path = folder / f"{output.role}.dcm"
            path.write_bytes(output.data)
            found += files([path], PriorKind.MASK if output.kind == "seg" else PriorKind.REPORT)
    return found


def tracking(analysis: Analysis) -> set[str]:
    mask = next(output.dataset for output in analysis.outputs if output.kind == "seg")
    return {str(item.TrackingUID) for item in mask.SegmentSequence}


def test_a_first_study_has_targets_and_their_sum(before: list[Path], model: ModelSpec, sessions: Sessions) -> None:
    made = run(before, model, sessions, wanted=("sr",))
    found = made.findings.comparison
    assert found is not None and found.priors == () and found.changes == () and not found.not_comparable
    recist, volume = found.assessments
    assert recist.now == pytest.approx(54.0, abs=6.0) and recist.category is None and len(recist.targets) == 2
    assert [one.target for one in found.now.lesions].count(True) == 2 and volume.targets == ()
    assert any("2 target lesions by RECIST 1.1" in text for text in lines_of(found))
    report = next(output.dataset for output in made.outputs if output.kind == "sr")
    assert "SUM-DIAM" in str(report) and "112074" in str(report) and "SUM-DIAM-BASE" not in str(report)


@pytest.mark.usefixtures("unmoved")
def test_over_three_studies_lesions_keep_their_tracking_uids_and_the_sums_are_read_back(
    saved: Saved, model: ModelSpec, sessions: Sessions, tmp_path: Path
) -> None:
    middle, other = GROWS[0], SHRINKS[0]
    # Diameters of 66, 40 and 48 mm: -27 % from the baseline, +20 % over the nadir.
    shown = [
        saved(f"three{number}", scan([(middle, a), (other, b)], same), day)
        for number, (a, b, day) in enumerate(((18, 15, "20260101"), (11, 9, "20260201"), (13, 11.5, "20260301")))
    ]
    days = date(2026, 1, 1), date(2026, 2, 1)
    both = ("seg", "sr")
    second = run(shown[1], model, sessions, prior_of(shown[0], day=days[0]), wanted=both)
    stored = kept(second, tmp_path / "second")
    third = run(
        shown[2], model, sessions, prior_of(shown[0], day=days[0]), prior_of(shown[1], *stored, day=days[1]),
        wanted=both,
    )  # fmt: skip
    assert tracking(third) == tracking(second), "as the archived mask has them, though the baseline was run again"
    whole = third.findings.comparison
    assert whole is not None
    # The baseline is not among the priors: the report on the second study tells of it.
    alone = compared(shown[2], model, sessions, prior_of(shown[1], *stored, day=days[1]))
    for found in (whole, alone):
        recist = found.assessments[0]
        assert recist.baseline == pytest.approx(66.0, abs=6.0) and recist.baseline_day == days[0]
        assert recist.nadir == pytest.approx(40.0, abs=6.0) and recist.nadir_day == days[1]
        assert recist.category is not None
    assert alone.assessments[0].baseline == whole.assessments[0].baseline


def test_an_attempt_without_earlier_studies_says_so(before: list[Path], model: ModelSpec, sessions: Sessions) -> None:
    uid = str(dcmread(before[0], stop_before_pixels=True).StudyInstanceUID)
    uids = ResultUids(study_instance_uid=uid, rule="r", input_digest=uid, recipe_digest="d", run=1)
    made = run(before, model, sessions).findings
    found = Answer(segmentation=made.segmentation, measurements=made.measurements)
    comparison, _ = compare(
        made.source, found, made.measurements, (), model, sessions, uids, left_out="an attempt ended without a result"
    )
    assert comparison is not None and comparison.not_comparable == "an attempt ended without a result"


def test_a_study_without_a_date_is_not_compared_and_says_why(
    saved: Saved, before: list[Path], model: ModelSpec, sessions: Sessions
) -> None:
    undated = saved("undated", scan([(GROWS[0], 12.0)], same), "", SeriesDate="")
    found = compared(undated, model, sessions, prior_of(before))
    assert "has no date" in found.not_comparable


def mask_of(
    paths: list[Path], folder: Path, region: Any, *regions: tuple[Any, float], names: tuple[str, ...] = ()
) -> PriorFile:
    """A SEG that a person has drawn on a study: balls by middle and radius."""
    headers = sorted((dcmread(path) for path in paths), key=lambda ds: float(ds.ImagePositionPatient[2]))
    described, array = [], np.zeros((len(headers), headers[0].Rows, headers[0].Columns, len(regions)), np.uint8)
    for channel, (middle, radius) in enumerate(regions):
        for place, ds in enumerate(headers):
            x, y, z = (float(value) for value in ds.ImagePositionPatient)
            rows, columns = np.mgrid[: ds.Rows, : ds.Columns]
            apart = (x + columns * ds.PixelSpacing[1] - middle[0]) ** 2 + (
                y + rows * ds.PixelSpacing[0] - middle[1]
            ) ** 2
            array[place, ..., channel] = apart + (z - middle[2]) ** 2 < radius**2
        described.append(
            SegmentDescription(
                channel + 1, names[channel] if names else f"Cyst {channel}",
                codes.SCT.MorphologicallyAbnormalStructure, codes.SCT.Lesion, "MANUAL",
                anatomic_regions=[region] if region else None,
            )
        )  # fmt: skip
    seg = HighdicomSegmentation(
        headers, array, "BINARY", described, series_instance_uid=generate_uid(), series_number=9,
        sop_instance_uid=generate_uid(), instance_number=1, manufacturer="m", manufacturer_model_name="n",
        software_versions="1", device_serial_number="1",
    )  # fmt: skip
    path = folder / "drawn.dcm"
    seg.save_as(path)
    return dataclasses.replace(files([path], PriorKind.MASK)[0], own=False)


def test_what_a_person_drew_replaces_the_lesion_that_it_lies_on_and_no_other(
    before: list[Path], now: list[Path], model: ModelSpec, sessions: Sessions, tmp_path: Path
) -> None:
    stored = kept(run(before, model, sessions, wanted=("seg", "sr")), tmp_path / "first")
    plain = compared(now, model, sessions, prior_of(before, *stored))
    aside = mask_of(before, tmp_path, None, ((0.0, 40.0, 60.0), 8.0))
    same_as = compared(now, model, sessions, prior_of(before, *stored, aside))
    assert same_as.priors[0].lesions == plain.priors[0].lesions
    assert any("Cyst 0 drawn by a person in no organ" in text for text in same_as.remarks)
    # Another wording of the meaning is no other organ.
    lung = PydicomCode("39607008", "SCT", "Lung structure")
    drawn = compared(now, model, sessions, prior_of(before, *stored, mask_of(before, tmp_path, lung, (GROWS[0], 9.0))))
    sizes = sorted(one.longest_mm or 0 for one in drawn.priors[0].lesions)
    assert len(sizes) == len(plain.priors[0].lesions) and sizes[:2] == pytest.approx([18.0, 18.0], abs=4.0)
    assert {one.tracking_uid for one in drawn.priors[0].lesions} == {
        one.tracking_uid for one in plain.priors[0].lesions
    }


def test_targets_that_a_person_names_at_baseline_outrank_those_that_are_chosen_by_size(
    before: list[Path], now: list[Path], model: ModelSpec, sessions: Sessions, tmp_path: Path
) -> None:
    stored = kept(run(before, model, sessions, wanted=("seg", "sr")), tmp_path / "first")
    by_size = compared(now, model, sessions, prior_of(before, *stored))
    assert len(by_size.assessments[0].targets) == 2 and not by_size.priors[0].chosen
    # The smaller of the two that are found again, and none of the others.
    drawn = mask_of(before, tmp_path, None, (GROWS[0], 12.0), ((0.0, 40.0, 60.0), 8.0), names=("T01 left lung", "Cyst"))
    named = compared(now, model, sessions, prior_of(before, *stored, drawn))
    assert named.priors[0].chosen
    (target,) = [one for one in named.priors[0].lesions if one.target]
    assert named.assessments[0].targets == (target.tracking_uid,)
    assert named.assessments[0].baseline == pytest.approx(24.0, abs=4.0)
    assert named.assessments[0].now == pytest.approx(36.0, abs=4.0)
    assert named.assessments[0].category == criteria.PROGRESSION, "+50 %, +12 mm"
    assert "1 target lesion chosen by a person at baseline" in named.assessments[0].text
    assert [one.target for one in named.now.lesions].count(True) == 1


def test_a_structure_set_of_an_earlier_study_names_its_targets_by_the_names_of_its_regions(
    before: list[Path], now: list[Path], model: ModelSpec, sessions: Sessions, tmp_path: Path
) -> None:
    header = dcmread(before[0], stop_before_pixels=True)
    (x, y, middle), radius = GROWS[0], 12.0
    contours = []
    for level in sorted(float(dcmread(path, stop_before_pixels=True).ImagePositionPatient[2]) for path in before):
        if abs(level - middle) < radius:
            within = math.sqrt(radius**2 - (level - middle) ** 2)
            turns = np.linspace(0, 2 * math.pi, 40, endpoint=False)
            item = Dataset()
            item.ContourGeometricType, item.NumberOfContourPoints = "CLOSED_PLANAR", len(turns)
            around = np.c_[x + within * np.cos(turns), y + within * np.sin(turns), np.full(len(turns), level)]
            item.ContourData = [round(float(value), 2) for value in around.ravel()]
            contours.append(item)
    drawn = structure_set({"T01": contours}, frame=str(header.FrameOfReferenceUID), series=header.SeriesInstanceUID)
    drawn.StudyInstanceUID, drawn.PatientID = header.StudyInstanceUID, header.PatientID
    path = tmp_path / "drawn.dcm"
    drawn.save_as(path, enforce_file_format=True)
    prior = prior_of(before, dataclasses.replace(files([path], PriorKind.CONTOURS)[0], own=False))
    found = compared(now, model, sessions, prior)
    (then,) = found.priors[0].lesions
    assert found.priors[0].by_person and found.priors[0].chosen and then.target and then.label == "T01"
    assert then.longest_mm == pytest.approx(24.0, abs=4.0)
    # What the model finds today and nobody drew then is a candidate; the one that was drawn is found again.
    assert found.assessments[0].targets == (then.tracking_uid,)
    assert found.assessments[0].now == pytest.approx(36.0, abs=4.0)
