"""Findings as the objects that a rule asks for: SEG, reports, and what stands in for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from pydicom import Dataset
from pydicom.uid import ComprehensiveSRStorage, EnhancedSRStorage

from dicomnode.domain.errors import EncodingError
from dicomnode.domain.finding import Check, Findings, Provenance
from dicomnode.domain.uid import ResultUids
from dicomnode.report import check, encode, features, measurements, refusal, segmentation

#: SOP classes that the tree of our reports is legal in too (PS3.3 A.35.3, A.35.2), for destinations that take no
#: Comprehensive 3D SR; the newer first.
OLDER_CLASSES = {"comprehensive": ComprehensiveSRStorage, "enhanced": EnhancedSRStorage}


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """One result object, encoded.

    Attributes
    ----------
    role, kind, refers_to
        As in `domain.work.Form`.
    stands_in
        Whether it says the same as another, for destinations that do not take that one.
    """

    role: str
    kind: str
    refers_to: str = ""
    stands_in: bool = False
    dataset: Dataset = field(repr=False)
    data: bytes = field(repr=False)


def encoded(findings: Findings, wanted: Sequence[str], provenance: Provenance, uids: ResultUids) -> Iterator[Output]:
    """The objects of one analysis, those first that others refer to, and of those that say the same the richest.

    Parameters
    ----------
    wanted
        Kinds of output (`config.OUTPUTS`). A mask without voxels makes no SEG; where nothing else is left to show, a
        report says so, since a rule that matched never ends in silence.

    Raises
    ------
    EncodingError
        If a valid object cannot be built, or the SEG does not say what the mask says.
    """
    masks: dict[str, Dataset] = {}
    mask = segmentation.write(findings, provenance, uids) if "seg" in wanted else None
    if mask is not None:
        output = _output("seg", "seg", mask)
        check.verify(output.data, findings)
        masks["seg"] = mask
        yield output
    if "sr" in wanted or not (masks or findings.features):
        yield from _reports("sr", lambda uids, mask: measurements.write(findings, provenance, uids, mask), uids, masks)
    if findings.features:
        yield from _reports(
            "radiomics", lambda uids, mask: features.write(findings, provenance, uids, mask), uids, masks
        )


def refused(
    headers: Sequence[Dataset], reason: str, provenance: Provenance, uids: ResultUids, checks: Sequence[Check]
) -> Iterator[Output]:
    """What tells a reader why there is no result.

    Raises
    ------
    EncodingError
        As `report.refusal.write`.
    """
    yield _output("refusal", "refusal", refusal.write(headers, reason, provenance, uids, checks))


def _reports(
    kind: str,
    write: Callable[[ResultUids, Dataset | None], Dataset | None],
    uids: ResultUids,
    masks: Mapping[str, Dataset],
) -> Iterator[Output]:
    """A report for each mask that it can refer to and one that refers to none, each in all SOP classes."""
    for place, mask in enumerate([*masks, ""]):
        # The first is the report itself; the others say the same to destinations that have another mask, or none.
        variant = "" if place == 0 else f"with-{mask}" if mask else "without-seg"
        named = replace(uids, variant=variant)
        dataset = write(named, masks.get(mask))
        if dataset is None:
            return
        role = "-".join(filter(None, (kind, variant)))
        yield replace(_output(role, kind, dataset, mask), stands_in=place > 0)
        for name, sop_class in OLDER_CLASSES.items():
            older = recast(dataset, sop_class, replace(uids, variant=f"{variant}-{name}").instance(kind))
            yield replace(_output(f"{role}-{name}", kind, older, mask), stands_in=True)


def recast(dataset: Dataset, sop_class_uid: str, sop_instance_uid: str) -> Dataset:
    """The same report as another SOP class; the tree is shared, since no object is changed once it is made."""
    result = Dataset()
    for element in dataset:
        result.add(element)
    # Assignment would change the element that is shared with the original.
    result.add_new("SOPClassUID", "UI", sop_class_uid)
    result.add_new("SOPInstanceUID", "UI", sop_instance_uid)
    return result


def _output(role: str, kind: str, dataset: Dataset, refers_to: str = "") -> Output:
    try:
        return Output(role=role, kind=kind, refers_to=refers_to, dataset=dataset, data=encode.to_bytes(dataset))
    except (ValueError, TypeError, AttributeError) as error:
        raise EncodingError(f"{role}: the object cannot be written: {error}") from error
