"""A report in every form that a job's destinations may need: by what it refers to, and by SOP class."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from pydicom import Dataset
from pydicom.uid import ComprehensiveSRStorage, EnhancedSRStorage

from dicomnode.domain.uid import ResultUids
from dicomnode.flow.forms import MASKS
from dicomnode.flow.output import Output, encode_as
from dicomnode.flow.takers import Taker
from dicomnode.report.report_check import verify_recast

#: SOP classes that the tree of our reports is legal in too (PS3.3 A.35.3, A.35.2), for destinations that are not known
#: to take Comprehensive 3D SR; the newer first.
OLDER_CLASSES = {"comprehensive": ComprehensiveSRStorage, "enhanced": EnhancedSRStorage}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Company:
    """What a form of a report refers to, the mask first, and whether it is needed in older classes."""

    objects: tuple[Output, ...]
    older: bool

    @property
    def roles(self) -> tuple[str, ...]:
        return tuple(one.role for one in self.objects)

    @property
    def name(self) -> str:
        if not self.objects:
            return "without-seg"
        # Of masks there are several of one kind; of the rest all of a kind are there, or none.
        parts = (one.role if one.kind in MASKS else one.kind for one in self.objects)
        return "with-" + "-".join(dict.fromkeys(parts))


def reports(
    kind: str,
    write: Callable[[ResultUids, Dataset | None, Sequence[Dataset]], Dataset | None],
    uids: ResultUids,
    made: Sequence[Output] = (),
    takers: Sequence[Taker] = (),
    verify: Callable[[bytes], None] = lambda data: None,
) -> Iterator[Output]:
    """A report for each company that a destination may have it in, the largest first.

    A destination gets the first that refers to nothing but what it gets, too.

    Parameters
    ----------
    write
        Given UIDs, a mask or None, and further objects to refer to.
    made
        What may be referred to, masks first.
    takers
        The destinations; without any it comes once, with everything.
    verify
        Reads a file back and compares; what is the same but for its SOP class is held against that file.
    """
    names: set[str] = set()
    for company in _companies(kind, made, takers):
        mask = next((one.dataset for one in company.objects if one.kind in MASKS), None)
        others = [one.dataset for one in company.objects if one.dataset is not mask]
        # The UID tells what it refers to: destinations change, and no other content may come under the same.
        variant = " ".join(company.roles)
        dataset = write(replace(uids, variant=variant), mask, others)
        if dataset is None:
            return
        # The first is the report itself; the others say the same to destinations that lack what it refers to.
        first, role = not names, f"{kind}-{company.name}" if names else kind
        role = next(name for name in (role, *(f"{role}-{n}" for n in range(2, len(names) + 3))) if name not in names)
        names.add(role)
        report = encode_as(role, kind, dataset, variant, stands_in=not first)
        verify(report.data)
        yield report
        for name, sop_class in OLDER_CLASSES.items() if company.older else ():
            older = recast(dataset, sop_class, replace(uids, variant=f"{variant} {name}").instance(kind))
            output = encode_as(f"{role}-{name}", kind, older, variant, stands_in=True)
            verify_recast(output.data, report.data, older)
            yield output


def _companies(kind: str, made: Sequence[Output], takers: Sequence[Taker]) -> list[_Company]:
    """One for each set of objects that some destination gets or may be left with, the largest first."""
    found: dict[frozenset[str], _Company] = {}
    for taker in takers:
        # Who does not list reports is offered one all the same where nothing of what it lists was made.
        companies = taker.companies(made) if taker.takes(kind) else [()]
        for objects in companies:
            roles = frozenset(one.role for one in objects)
            older = taker.needs_older_reports or (roles in found and found[roles].older)
            found[roles] = _Company(objects=objects, older=older)
    if not found:
        return [_Company(objects=tuple(one for one in made if not one.stands_in), older=False)]
    return sorted(found.values(), key=lambda one: len(one.objects), reverse=True)


def recast(dataset: Dataset, sop_class_uid: str, sop_instance_uid: str) -> Dataset:
    """The same report as another SOP class; the tree is shared, since no object is changed once it is made."""
    result = Dataset()
    for element in dataset:
        result.add(element)
    # Assignment would change the element that is shared with the original.
    result.add_new("SOPClassUID", "UI", sop_class_uid)
    result.add_new("SOPInstanceUID", "UI", sop_instance_uid)
    return result
