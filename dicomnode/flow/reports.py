"""A report in every form that a destination may need: by what it refers to, and by SOP class."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from pydicom import Dataset
from pydicom.uid import ComprehensiveSRStorage, EnhancedSRStorage

from dicomnode.domain.uid import ResultUids
from dicomnode.flow.output import Output, encode_as

#: SOP classes that the tree of our reports is legal in too (PS3.3 A.35.3, A.35.2), for destinations that take no
#: Comprehensive 3D SR; the newer first.
OLDER_CLASSES = {"comprehensive": ComprehensiveSRStorage, "enhanced": EnhancedSRStorage}


def reports(
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
        yield encode_as(role, kind, dataset, mask, stands_in=place > 0)
        for name, sop_class in OLDER_CLASSES.items():
            older = recast(dataset, sop_class, replace(uids, variant=f"{variant}-{name}").instance(kind))
            yield encode_as(f"{role}-{name}", kind, older, mask, stands_in=True)


def recast(dataset: Dataset, sop_class_uid: str, sop_instance_uid: str) -> Dataset:
    """The same report as another SOP class; the tree is shared, since no object is changed once it is made."""
    result = Dataset()
    for element in dataset:
        result.add(element)
    # Assignment would change the element that is shared with the original.
    result.add_new("SOPClassUID", "UI", sop_class_uid)
    result.add_new("SOPInstanceUID", "UI", sop_instance_uid)
    return result
