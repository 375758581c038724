"""One result object with its bytes, and what it is to those who deliver it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from pydicom import Dataset

from dicomnode.domain.errors import EncodingError
from dicomnode.report import drawn_check, encode, report_check
from dicomnode.report.boundary import FOREIGN, told


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


#: Makes the objects of a kind, each read back and compared; raises `EncodingError`.
Write = Callable[[], Iterable[Output]]


def encode_as(role: str, kind: str, dataset: Dataset, refers_to: str = "", *, stands_in: bool = False) -> Output:
    """The bytes of an object, and what it is.

    Raises
    ------
    EncodingError
        If a value does not fit where it stands.
    """
    try:
        data = encode.to_bytes(dataset)
    except FOREIGN as error:
        raise EncodingError(f"{role}: the object cannot be written: {told(error)}") from error
    return Output(role=role, kind=kind, refers_to=refers_to, stands_in=stands_in, dataset=dataset, data=data)


def read_back(output: Output, headers: Sequence[Dataset]) -> Output:
    """The same, if it is a report or picture in words of the right patient that holds what it should.

    Raises
    ------
    EncodingError
        As `report_check.verify` and `drawn_check.verify_picture`.
    """
    if output.kind == "refusal-picture":
        drawn_check.verify_picture(output.data, headers)
    else:
        report_check.verify(output.data, headers)
    return output
