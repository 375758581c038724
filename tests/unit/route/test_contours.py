"""Contours feed a model together with the images that they name, each object on its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset

from dicomnode.domain.header import Header
from dicomnode.domain.model import ModelSpec
from dicomnode.domain.rule import Rule
from dicomnode.domain.study import Instance, Series, Study
from dicomnode.infer.bundle.load import load_bundle
from dicomnode.route.contours import CLASSES, holds_contours, is_untouched
from dicomnode.route.inputs import feeds

ROOT = Path(__file__).resolve().parents[3]
SEG, LABEL_MAP, STRUCTURES = (
    "1.2.840.10008.5.1.4.1.1.66.4",
    "1.2.840.10008.5.1.4.1.1.66.7",
    "1.2.840.10008.5.1.4.1.1.481.3",
)
CT = "1.2.840.10008.5.1.4.1.1.2"

RULE = Rule(name="r", model="measure-contours", outputs=("sr",), destinations=())


@pytest.fixture(scope="module")
def spec() -> ModelSpec:
    return load_bundle(ROOT / "models" / "measure-contours")


def instance(uid: str, sop_class: str, **attributes: Any) -> Instance:
    ds = Dataset()
    for keyword, value in attributes.items():
        setattr(ds, keyword, value)
    return Instance(
        sop_instance_uid=uid, sop_class_uid=sop_class, transfer_syntax_uid="", digest=uid, path=Path(uid),
        header=Header.of(ds.to_json_dict()),
    )  # fmt: skip


def images(uid: str, first: int = 0, modality: str = "CT", stack: str = "") -> Series:
    made = [
        instance(f"{uid}.{n}", CT, Modality=modality, FrameOfReferenceUID="9", ImageType=["ORIGINAL", "PRIMARY"])
        for n in range(first, first + 3)
    ]
    return Series(series_instance_uid=uid, instances=tuple(made), stack=stack)


def item(**attributes: Any) -> Dataset:
    ds = Dataset()
    for keyword, value in attributes.items():
        setattr(ds, keyword, value)
    return ds


def mask(uid: str, *, of: str, shows: str = "", sop_class: str = SEG, **attributes: Any) -> Series:
    named = [item(ReferencedSOPClassUID=CT, ReferencedSOPInstanceUID=shows)] if shows else []
    series = [item(SeriesInstanceUID=of, ReferencedInstanceSequence=named)]
    made = instance(
        f"{uid}.1", sop_class, Modality="SEG", FrameOfReferenceUID="9", ReferencedSeriesSequence=series, **attributes
    )
    return Series(series_instance_uid=uid, instances=(made,))


def structures(uid: str, *, of: str) -> Series:
    study = item(RTReferencedSeriesSequence=[item(SeriesInstanceUID=of)])
    frame = item(FrameOfReferenceUID="9", RTReferencedStudySequence=[study])
    made = instance(f"{uid}.1", STRUCTURES, Modality="RTSTRUCT", ReferencedFrameOfReferenceSequence=[frame])
    return Series(series_instance_uid=uid, instances=(made,))


def study(*series: Series) -> Study:
    return Study(
        study_instance_uid="1", revision=1, calling_aet="A", called_aet="B", address="", peer="", series=series
    )


@pytest.mark.parametrize("sop_class", [SEG, LABEL_MAP])
def test_a_mask_feeds_the_model_with_the_series_that_it_names(sop_class: str, spec: ModelSpec) -> None:
    named, other = images("2"), images("1")
    drawn = mask("7", of="2", sop_class=sop_class)
    (feed,) = feeds(RULE, study(other, named, drawn), spec)
    assert not feed.lacking and dict(feed.series) == {"image": named, "contours": drawn}
    assert list(feed.series) == ["image", "contours"], "the first is the series that a job is of"


def test_a_structure_set_names_its_images_in_its_own_way(spec: ModelSpec) -> None:
    named, drawn = images("2"), structures("7", of="2")
    (feed,) = feeds(RULE, study(images("1"), named, drawn), spec)
    assert dict(feed.series) == {"image": named, "contours": drawn}


def test_of_two_stacks_of_a_series_the_one_with_the_images_named_is_taken(spec: ModelSpec) -> None:
    early, late = images("2", stack="early"), images("2", first=50, stack="late")
    (feed,) = feeds(RULE, study(early, late, mask("7", of="2", shows="2.51")), spec)
    assert feed.series["image"] is late


def test_every_object_is_a_feed_of_its_own_that_none_replaces(spec: ModelSpec) -> None:
    found = feeds(RULE, study(images("2"), mask("7", of="2"), structures("8", of="2"), mask("6", of="99")), spec)
    assert [feed.series["contours"].series_instance_uid for feed in found] == ["8", "7", "6"]
    assert len({feed.frame for feed in found}) == 3 and [bool(feed.lacking) for feed in found] == [False, False, True]


@pytest.mark.parametrize(
    ("drawn", "reason"),
    [
        (
            mask("7", of="99"),
            "no images for the contours of series 7: they name series 99, which the study does not hold",
        ),
        (mask("7", of="7"), "they name series 7, which the study does not hold"),
        (mask("7", of="3"), "series 3: Modality any of CT, MR, PT, NM: found US"),
        (
            Series(series_instance_uid="7", instances=(instance("7.1", SEG, Modality="SEG"),)),
            "they name no series of images, needed the one on which they were drawn",
        ),
    ],
)
def test_contours_without_their_images_say_what_is_missing(drawn: Series, reason: str, spec: ModelSpec) -> None:
    (feed,) = feeds(RULE, study(images("2"), images("3", modality="US"), drawn), spec)
    assert reason in feed.lacking and dict(feed.series) == {"contours": drawn}


def test_a_study_without_contours_has_no_feed(spec: ModelSpec) -> None:
    assert feeds(RULE, study(images("2")), spec) == []


def test_a_result_of_ours_that_nobody_touched_is_no_contour_to_measure(spec: ModelSpec) -> None:
    ours = {"Manufacturer": "dicomnode project"}
    assert feeds(RULE, study(images("2"), mask("7", of="2", **ours)), spec) == []
    assert feeds(RULE, study(images("2"), mask("7", of="2", ContentCreatorName="", **ours)), spec) == []
    assert len(feeds(RULE, study(images("2"), mask("7", of="2", ContentCreatorName="A^B", **ours)), spec)) == 1
    assert len(feeds(RULE, study(images("2"), mask("7", of="2", Manufacturer="viewer")), spec)) == 1


def test_the_name_of_our_own_device_is_the_one_that_results_bear() -> None:
    from dicomnode.report.provenance import MANUFACTURER

    assert is_untouched(mask("7", of="2", Manufacturer=MANUFACTURER), MANUFACTURER)
    from dicomnode.route.contours import OURS

    assert OURS == MANUFACTURER


def test_images_are_no_contours() -> None:
    assert not holds_contours(images("2")) and holds_contours(mask("7", of="2"))
    assert CT not in CLASSES
