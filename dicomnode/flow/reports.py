"""A report in every form that a destination may need: by what it refers to, and by SOP class."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from pydicom import Dataset
from pydicom.uid import Comprehensive3DSRStorage, ComprehensiveSRStorage, EnhancedSRStorage

from dicomnode.domain.uid import ResultUids
from dicomnode.flow.output import Output, encode_as

#: SOP classes that the tree of our reports is legal in too (PS3.3 A.35.3, A.35.2), for destinations that take no
#: Comprehensive 3D SR; the newer first.
OLDER_CLASSES = {"comprehensive": ComprehensiveSRStorage, "enhanced": EnhancedSRStorage}

#: The report about the findings of a mask: what is measured on one mask is not told beside another.
_ON_A_MASK = "radiomics"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Company:
    """What a form of a report refers to: a mask or "", and other objects; `variant` names the form."""

    variant: str
    mask: str
    others: tuple[Output, ...]

    @property
    def roles(self) -> tuple[str, ...]:
        return (*filter(None, (self.mask,)), *(one.role for one in self.others))


def reports(
    kind: str,
    write: Callable[[ResultUids, Dataset | None, Sequence[Dataset]], Dataset | None],
    uids: ResultUids,
    masks: Mapping[str, Output],
    others: Sequence[Output] = (),
) -> Iterator[Output]:
    """A report for each company that it may come in, the largest first, each in all SOP classes.

    A destination gets the first that refers to nothing but what it gets, too.

    Parameters
    ----------
    write
        Given UIDs, a mask or None, and further objects to refer to.
    masks
        By role, the best first.
    others
        What else was made and the report refers to.
    """
    for place, company in enumerate(_companies(masks, others)):
        variant = company.variant if place else ""
        named = replace(uids, variant=variant)
        mask = masks[company.mask].dataset if company.mask else None
        dataset = write(named, mask, [one.dataset for one in company.others])
        if dataset is None:
            return
        # The first is the report itself; the others say the same to destinations that lack what it refers to.
        role, refers_to = "-".join(filter(None, (kind, variant))), " ".join(company.roles)
        yield encode_as(role, kind, dataset, refers_to, stands_in=place > 0)
        for name, sop_class in OLDER_CLASSES.items():
            older = recast(dataset, sop_class, replace(uids, variant=f"{variant}-{name}").instance(kind))
            yield encode_as(f"{role}-{name}", kind, older, refers_to, stands_in=True)


def _companies(masks: Mapping[str, Output], others: Sequence[Output]) -> list[_Company]:
    """Everything; for each mask, and for none, what comes with it; and each alone.

    A destination with a mask gets no pictures, unless it lists them.
    """
    first = next(iter(masks), "")
    further = tuple(one for role, one in masks.items() if role != first and not one.stands_in)
    found = [_Company(variant="", mask=first, others=(*further, *_beside(first, others)))]
    for mask in (*masks, ""):
        beside = tuple(one for one in _beside(mask, others) if not (mask and one.kind == "picture"))
        variant = f"with-{mask}" if mask else "without-seg"
        if beside:
            found.append(_Company(variant=f"{variant}-and-more", mask=mask, others=beside))
        found.append(_Company(variant=variant, mask=mask, others=()))
    distinct: dict[frozenset[str], _Company] = {}
    for one in found:
        distinct.setdefault(frozenset(one.roles), one)
    return list(distinct.values())


def _beside(mask: str, others: Sequence[Output]) -> tuple[Output, ...]:
    return tuple(one for one in others if one.kind != _ON_A_MASK or (one.refers_to == mask and _is_newest(one)))


def _is_newest(report: Output) -> bool:
    return str(report.dataset.SOPClassUID) == Comprehensive3DSRStorage


def recast(dataset: Dataset, sop_class_uid: str, sop_instance_uid: str) -> Dataset:
    """The same report as another SOP class; the tree is shared, since no object is changed once it is made."""
    result = Dataset()
    for element in dataset:
        result.add(element)
    # Assignment would change the element that is shared with the original.
    result.add_new("SOPClassUID", "UI", sop_class_uid)
    result.add_new("SOPInstanceUID", "UI", sop_instance_uid)
    return result
