"""Finds the images on which somebody has drawn, by the series that the contours name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dicomnode.domain.header import Header
from dicomnode.domain.model import ModelSpec
from dicomnode.domain.rule import Rule
from dicomnode.domain.study import Series, Study
from dicomnode.route.feed import Feed
from dicomnode.route.match import evaluate, match, words
from dicomnode.route.select import choose, frame_of, preference, technical_faults

#: Segmentation, Label Map Segmentation and RT Structure Set Storage (PS3.4 B.5).
CLASSES = frozenset({"1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7", "1.2.840.10008.5.1.4.1.1.481.3"})

#: Manufacturer of what this software makes. A result of ours that comes from another node, or lies in a folder, is
#: measured already; those of this node are not even accepted as new.
OURS = "dicomnode project"


def holds_contours(series: Series) -> bool:
    """Whether a series is of objects that hold contours."""
    return all(instance.sop_class_uid in CLASSES for instance in series.instances)


def is_untouched(series: Series, manufacturer: str) -> bool:
    """Whether contours are a result of a device of `manufacturer` that nobody has worked on since.

    Whoever corrects a contour and leaves the device's name as it is writes a name of their own (Content Creator's Name
    of a SEG, PS3.3 C.8.20.1, Operators' Name of a structure set).
    """
    header = series.header
    people = (str(header.first(keyword, "")).strip() for keyword in ("ContentCreatorName", "OperatorsName"))
    return header.first("Manufacturer") == manufacturer and not any(people)


def drawn(rule: Rule, study: Study, spec: ModelSpec) -> list[Series]:
    """The contours in a study that a rule and the input of its model take, as series of one object each."""
    fed = next(one for one in spec.inputs if one.name == spec.contours)
    return [
        series
        for series in study.series
        if holds_contours(series)
        and not is_untouched(series, OURS)
        and match(rule, study, series, spec.contours).matched
        and all(evaluate(condition, [series.header]).met for condition in fed.conditions)
    ]


def contour_feeds(rule: Rule, study: Study, spec: ModelSpec) -> list[Feed]:
    """What every object with contours and the images that it names have for a model; one feed for each object.

    Feeds that lack nothing come first.
    """
    found = [_feed(series, rule, study, spec) for series in drawn(rule, study, spec)]
    return sorted(found, key=lambda feed: (bool(feed.lacking), feed.frame))


def _feed(contours: Series, rule: Rule, study: Study, spec: ModelSpec) -> Feed:
    instance = contours.instances[0]
    # Each object is measured on its own, and one that is sent later does not replace it: see `Plan`.
    place = f"{frame_of(contours)} {instance.sop_instance_uid}"
    named = tuple(dict.fromkeys(series_named(instance.header)))
    images = [series for series in study.series if series.series_instance_uid in named and not holds_contours(series)]
    fed = spec.input
    fitting = [
        series
        for series in images
        if match(rule, study, series, fed.name).matched and not technical_faults(series, spec, fed)
    ]
    stacks = [series for series in fitting if shows(series, instance.header)] or fitting
    if stacks:
        chosen, why = choose(stacks)
        reason = why if len(stacks) > 1 else "the series that the contours name"
        return Feed(
            frame=place,
            series={fed.name: chosen, spec.contours: contours},
            why={fed.name: reason, spec.contours: "an object of its own"},
            lacking="",
            nearest=contours,
        )
    lacking = _lacking(contours, named, images, rule, study, spec)
    alone = {spec.contours: "an object of its own"}
    return Feed(frame=place, series={spec.contours: contours}, why=alone, lacking=lacking, nearest=contours)


def _lacking(
    contours: Series, named: Sequence[str], images: Sequence[Series], rule: Rule, study: Study, spec: ModelSpec
) -> str:
    subject = f"no images for the contours of {contours.title}"
    if not named:
        return f"{subject}: they name no series of images, needed the one on which they were drawn"
    if not images:
        return f"{subject}: they name series {', '.join(named)}, which the study does not hold"
    nearest = min(images, key=preference)
    unmet = [*match(rule, study, nearest, spec.input.name).failed, *technical_faults(nearest, spec, spec.input)]
    return f"{subject}: {nearest.title}: " + "; ".join(one.text for one in unmet)


def no_contours(rule: Rule, spec: ModelSpec) -> str:
    """What a study without contours lacks, in words."""
    fed = next(one for one in spec.inputs if one.name == spec.contours)
    conditions = (*fed.conditions, *rule.series, *rule.inputs.get(fed.name, ()))
    needed = f" (needed {', '.join(dict.fromkeys(map(words, conditions)))})" if conditions else ""
    return f"no contours for input {fed.name} of {spec.name}{needed}, so nothing is measured"


def series_named(header: Header) -> Iterator[str]:
    """Series Instance UIDs of the images on which something was drawn."""
    for series, _images in _references(header):
        yield str(series.first("SeriesInstanceUID", ""))


def shows(series: Series, header: Header) -> bool:
    """Whether one of the images of a stack is among those that the contours name one by one."""
    named = {str(image.first("ReferencedSOPInstanceUID", "")) for _, images in _references(header) for image in images}
    return not named.isdisjoint(instance.sop_instance_uid for instance in series.instances)


def _references(header: Header) -> Iterator[tuple[Header, Sequence[Header]]]:
    """Series and their images: of Common Instance Reference (PS3.3 C.12.2), or a structure set's own (C.8.8.5)."""
    for series in header.values("ReferencedSeriesSequence"):
        yield series, series.values("ReferencedInstanceSequence")
    for frame in header.values("ReferencedFrameOfReferenceSequence"):
        for study in frame.values("RTReferencedStudySequence"):
            for series in study.values("RTReferencedSeriesSequence"):
                yield series, series.values("ContourImageSequence")
